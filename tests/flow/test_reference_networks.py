"""ResNet8 and MobileNet as streams: whole builds with 64 images, the C simulation equal to the emulator."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from reference_models import mobilenet, resnet8

from kbuild.cli import main
from kbuild.frontend.keras import read_model
from kbuild.ops.conv import Conv

SAMPLES = 64
AT_ONCE = 4096  # products that the HLS tools unroll


def reuse_factors(path: Path) -> str:
    """Lines of `LayerName` with the least legal reuse factors of the convolutions that are too large at once."""
    lines = []
    for node in read_model(None, None, path, path.stem):
        if isinstance(node.op, Conv):
            terms, products = node.op.terms, node.op.terms * node.op.outputs
            least = next(n for n in range(1, terms + 1) if terms % n == 0 and products <= n * AT_ONCE)
            lines.append(f"    {node.layer.name}: {{ReuseFactor: {least}}}\n")
    return "".join(lines)


@pytest.mark.slow
@pytest.mark.parametrize("make", [resnet8, mobilenet])
def test_streams(make, tmp_path: Path) -> None:
    made = make(tmp_path)
    np.save(tmp_path / "images.npy", made.images[:SAMPLES].astype(np.float32))
    (tmp_path / "recipe.yml").write_text(
        f"KerasModel: {made.path.name}\nBackend: Vitis\nIOType: io_stream\nInputData: images.npy\nOutputDir: out\n"
        f"HLSConfig:\n  Model: {{Strategy: Resource}}\n  LayerName:\n{reuse_factors(made.path)}"
    )
    assert main(["build", str(tmp_path / "recipe.yml"), "--to", "simulate"]) == 0
    report = json.loads((tmp_path / "out/reports/simulate.json").read_text())
    assert report["engines"]["csim"]["samples"] == SAMPLES and report["engines"]["csim"]["mismatches"] == 0
    assert report["reference"]["argmax_agreement"] >= 0.99
