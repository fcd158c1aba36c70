"""A design with streams, simulated with FIFOs of the depths they will have."""

from __future__ import annotations

from collections.abc import Mapping

from kbuild.emulate import quantize_inputs, run
from kbuild.engines.csim_stream import StreamCSim
from kbuild.fixed import FloatArray
from kbuild.flow.comparison import Mismatch, first_mismatch
from kbuild.ir import Graph
from kbuild.report.records import FifoResult

SAMPLES = 3


def run_bounded(
    engine: StreamCSim, graph: Graph, inputs: Mapping[str, FloatArray]
) -> tuple[tuple[FifoResult, ...], Mismatch | None]:
    """The FIFOs of the design, and the first difference from the emulator in a few samples.

    Raises Deadlock, a StageError that names the FIFOs, when the design comes to a stop.
    """
    integers, _ = quantize_inputs(graph, {name: values[:SAMPLES] for name, values in inputs.items()})
    names = [node.name for node in graph]
    found = engine.run_bounded(integers, names)
    mismatch = first_mismatch("csim with FIFOs", graph, found.values, run(graph, integers, names).values, 0)
    fifos = tuple(
        FifoResult(fifo.name, fifo.producer, fifo.consumer, fifo.width_bits, fifo.depth, found.occupancy[fifo.name])
        for fifo in engine.network.fifos
        if fifo.producer is not None and fifo.consumer is not None
    )
    return fifos, mismatch
