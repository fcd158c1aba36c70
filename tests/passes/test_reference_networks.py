"""Networks of the size of MLPerf Tiny: right by default, in little memory."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import numpy as np
import pytest
from reference_models import Reference, mobilenet, resnet8

from kbuild import emulate
from kbuild.fixed import to_float
from kbuild.frontend.keras import read_model
from kbuild.ir import Graph
from kbuild.passes.context import VALUE_WIDTH, Context
from kbuild.passes.pipeline import optimize

SAMPLES = 64
MAX_BYTES = 2 << 30


def check(made: Reference) -> Graph:
    """Argmax and probabilities of the emulator beside those of the float graph, on 64 images. Returns the graph."""
    graph = read_model(None, None, made.path, made.path.stem)
    fixed = optimize(graph, Context(io_type="io_stream", calibration={graph.inputs[0].name: made.images}))
    images = {graph.inputs[0].name: made.images[:SAMPLES]}
    integers, overflows = emulate.quantize_inputs(fixed, images)
    found = emulate.run(fixed, integers)
    (output,) = fixed.outputs
    y = to_float(found.values[output], fixed[output].fixed())
    expected = emulate.run_float(graph, images)[graph.outputs[0]]
    assert len(np.unique(expected.argmax(axis=1))) == expected.shape[1], "the network must tell the classes apart"
    assert (expected.argmax(axis=1) == made.labels[:SAMPLES]).mean() > 0.6
    assert (y.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.99
    assert np.abs(y - expected).max() < 0.005
    assert not any(overflows.values()) and not any(found.overflows.values())
    assert all(node.fixed().width <= VALUE_WIDTH for node in fixed)
    assert all(node.op.kind != "affine" for node in fixed), "every BatchNormalization is folded"
    return fixed


def test_resnet8(tmp_path: Path) -> None:
    fixed = check(resnet8(tmp_path))
    assert [node.op.kind for node in fixed].count("conv") == 9


@pytest.mark.slow
def test_mobilenet(tmp_path: Path) -> None:
    fixed = check(mobilenet(tmp_path))
    assert [node.op.kind for node in fixed].count("conv") == 27
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    assert peak < MAX_BYTES


@pytest.mark.slow
@pytest.mark.parametrize("make", [resnet8, mobilenet])
def test_keras_reads_the_same(make, tmp_path: Path) -> None:
    keras = pytest.importorskip("keras", minversion="3")
    made = make(tmp_path)
    graph = read_model(None, None, made.path, made.path.stem)
    images = made.images[:SAMPLES]
    y = emulate.run_float(graph, {graph.inputs[0].name: images})[graph.outputs[0]]
    expected = keras.models.load_model(made.path).predict(images.astype(np.float32), verbose=0)
    assert np.array_equal(y.argmax(axis=1), expected.argmax(axis=1))
    assert np.abs(y - expected).max() < 5e-4  # Keras computes in float32, through 28 layers
