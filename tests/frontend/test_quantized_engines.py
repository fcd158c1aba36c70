"""Quantized models of single layers on the emulator and in the C simulation: the same integers at every node.

That they are the library's own is in `test_keras_quantized.py`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kbuild import emulate
from kbuild.engines import csim
from kbuild.engines.csim_stream import StreamCSim
from kbuild.fixed import IntArray, wide
from kbuild.frontend.keras import read_model
from kbuild.ir import Graph
from kbuild.passes.context import Context
from kbuild.passes.pipeline import optimize
from kbuild.tools.cxx import Options, compile_shared

DATA = Path(__file__).parent / "data"
# Of attention, products, recurrent layers, and of all the others that stand alone.
FILES = ("hgq2_attention_0.keras", "hgq2_product_0.keras", "hgq2_recurrent_1.keras", "hgq2_0.keras",
         "qkeras_recurrent_0.h5", "hgq_training_0.h5")  # fmt: skip


def quantized(name: str, io_type: str) -> tuple[Graph, dict[str, IntArray]]:
    """The typed graph of a committed model, and its inputs."""
    path = DATA / name
    archive = path.suffix == ".keras"
    graph = read_model(None, None if archive else path, path if archive else None, "m")
    with np.load(path.with_suffix(".npz")) as arrays:
        inputs = {node.name: arrays[f"x{i}"].astype(np.float64) for i, node in enumerate(graph.inputs)}
    fixed = optimize(graph, Context(calibration=inputs, io_type=io_type))
    return fixed, emulate.quantize_inputs(fixed, inputs)[0]


def simulated(graph: Graph, inputs: dict[str, IntArray], io_type: str, folder: Path) -> dict[str, IntArray]:
    texts = csim.sources(graph, io_type)
    for path, text in texts.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    library, names = folder / csim.LIBRARY, [node.name for node in graph]
    compiled = [folder / path for path in texts if path.endswith(".cpp")]
    compile_shared(compiled, library, build_dir=folder, log_dir=folder, options=Options(optimise="-O0"))
    if io_type == "io_stream":
        return dict(StreamCSim(library, graph, threads=1).run_bounded(inputs, names).values)
    return dict(csim.CSim(library, graph, threads=1).run(inputs, names))


def check(name: str, io_type: str, folder: Path) -> None:
    graph, inputs = quantized(name, io_type)
    wanted = emulate.run(graph, inputs, [node.name for node in graph]).values
    found = simulated(graph, inputs, io_type, folder)
    assert found.keys() == wanted.keys() and len(found) > len(inputs)
    different = [node for node in found if not np.array_equal(wide(found[node]), wide(wanted[node]))]
    assert not different


@pytest.mark.parametrize("name", FILES)
def test_the_c_simulation_gives_the_same_integers(name: str, tmp_path: Path) -> None:
    check(name, "io_parallel", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_so_does_that_of_streams(name: str, tmp_path: Path) -> None:
    check(name, "io_stream", tmp_path)
