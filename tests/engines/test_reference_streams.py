"""Networks of the size of MLPerf Tiny with io_stream: right by default, and no deadlock with the FIFOs they have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from reference_models import Reference, mobilenet, resnet8

from kbuild import emulate
from kbuild.emit.hls.stream.depths import LEAST, depths
from kbuild.engines import csim
from kbuild.engines.csim_stream import Deadlock, StreamCSim
from kbuild.fixed import IntArray, to_float
from kbuild.frontend.keras import read_model
from kbuild.passes.context import Context
from kbuild.passes.pipeline import optimize

SAMPLES = 64


def simulated(made: Reference, folder: Path) -> tuple[StreamCSim, dict[str, IntArray]]:
    """The design of the default types, after 64 images with bounded FIFOs; and the images as integers."""
    graph = read_model(None, None, made.path, made.path.stem)
    (source,), (output,) = graph.inputs, graph.outputs
    context = Context(backend="Vitis", io_type="io_stream", calibration={source.name: made.images})
    fixed = optimize(graph, context)
    engine = StreamCSim(csim.build(fixed, folder, io_type="io_stream"), fixed)
    images = {source.name: made.images[:SAMPLES]}
    integers, _ = emulate.quantize_inputs(fixed, images)
    values = engine.run_bounded(integers).values
    assert np.array_equal(values[output], emulate.run(fixed, integers).values[output])
    assert np.array_equal(values[output], engine.run(integers)[output])
    y, expected = to_float(values[output], fixed[output].fixed()), emulate.run_float(graph, images)[output]
    assert (y.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.99
    return engine, {name: x[:1] for name, x in integers.items()}


def test_a_residual_network(tmp_path: Path) -> None:
    """Each block needs room around its convolutions. At half its depth the deepest FIFO is a deadlock, the margin for
    the pipelines of hardware included; without that margin each deep one is when it lacks a single packet."""
    engine, image = simulated(resnet8(tmp_path), tmp_path)
    emitted = {fifo.name: fifo.depth for fifo in engine.network.fifos if not fifo.is_port}
    deepest = max(emitted, key=lambda name: emitted[name])
    with pytest.raises(Deadlock, match=f"{deepest} .*depth {emitted[deepest] // 2}. is full"):
        engine.run_bounded(image, depths={deepest: emitted[deepest] // 2})
    least = depths(engine.network, lags=False)
    deep = [name for name, depth in least.items() if depth > LEAST]
    assert sum(name.startswith("copy_") for name in deep) == 3
    engine.run_bounded(image, depths=least)
    for name in deep:
        with pytest.raises(Deadlock, match=f"{name} .*depth {least[name] - 1}. is full"):
            engine.run_bounded(image, depths={**least, name: least[name] - 1})


@pytest.mark.slow
def test_a_network_without_branches(tmp_path: Path) -> None:
    """Nothing waits around a delay, so no FIFO needs more than the least."""
    engine, _ = simulated(mobilenet(tmp_path), tmp_path)
    assert {fifo.depth for fifo in engine.network.fifos if not fifo.is_port} == {LEAST}
