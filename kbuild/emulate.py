"""The emulator: runs a graph on integers, exactly, a batch at a time. Its results define what the other engines do."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from kbuild.dataclass import dataclass, field
from kbuild.fixed import FloatArray, IntArray, from_float
from kbuild.ir import Graph, Node, OverflowCount
from kbuild.ops.compiled import Compiled
from kbuild.ops.walk import Compute, compute_float, counting, prepared, walk
from kbuild.parallel import mapped

if TYPE_CHECKING:
    from kbuild.ops.native.kernels import Kernels

CHUNK_ELEMENTS = 1 << 18  # values of the widest layer at once: few calls, and what stays in the shared cache


@dataclass
class Run:
    """Integers of the values that were asked for, by node name, and the overflow count of every node."""

    values: dict[str, IntArray]
    overflows: dict[str, int] = field(default_factory=dict)


def quantize_inputs(graph: Graph, inputs: Mapping[str, FloatArray]) -> tuple[dict[str, IntArray], dict[str, int]]:
    """Cast the float inputs (by node name, samples first) to the integers that enter the hardware, counting overflows.

    Raises ValueError for a missing input, a wrong shape, NaN or infinity.
    """
    found, overflows = {}, {}
    for node in graph.inputs:
        x, of = _shaped(node, inputs), node.fixed()
        ends = (float(x.min(initial=0)), float(x.max(initial=0)))
        found[node.name] = from_float(x, of, ends)
        low, high = float(of.range[0]) - float(of.lsb), float(of.range[1]) + float(of.lsb)
        inside = low <= ends[0] and ends[1] <= high
        y = x[:0] if inside else np.asarray(x, dtype=np.float64)  # bounds are not rounded to float32
        outside = OverflowCount(results=int(np.count_nonzero((y < low) | (y > high))))
        overflows[node.name] = node.overflows(outside)
    if len({len(x) for x in found.values()}) > 1:
        raise ValueError("the inputs have different numbers of samples")
    return found, overflows


def _shaped(node: Node, inputs: Mapping[str, FloatArray]) -> FloatArray:
    """One input, in float64 or in the float32 that it may have."""
    if node.name not in inputs:
        raise ValueError(f"the input {node.layer.name} is missing")
    x = np.asarray(inputs[node.name])
    x = x if x.dtype == np.float32 else np.asarray(x, dtype=np.float64)
    if x.ndim == 0 or x[:1].size != int(np.prod(node.shape)) * min(len(x), 1):
        wanted = ", ".join(["samples", *map(str, node.shape)])
        raise ValueError(f"the input {node.layer.name} has shape {x.shape}, not ({wanted})")
    return x.reshape(len(x), *node.shape)


def run(
    graph: Graph,
    inputs: Mapping[str, IntArray],
    keep: Collection[str] | None = None,
    kernels: Kernels | None = None,
) -> Run:
    """Run on integer inputs by node name, samples first; keep the values named (default: the model's outputs).

    With `kernels` sums of products are computed by them, where they can be: the result is the same.
    """
    kept = set(graph.outputs if keep is None else keep)
    _keep_freed_memory()
    evaluations = prepared(graph, kernels)

    def part(chunk: Mapping[str, IntArray]) -> Run:
        overflows = {node.name: OverflowCount() for node in graph}
        compute = counting(evaluations, overflows, len(next(iter(chunk.values()))))
        values = {name: value for name, value in walk(graph, chunk, compute) if name in kept}
        return Run(values, {node.name: node.overflows(overflows[node.name]) for node in graph})

    parts = mapped(part, list(chunks(graph, inputs)))
    if len(parts) == 1:
        return parts[0]
    return Run(
        {name: np.concatenate([each.values[name] for each in parts]) for name in kept},
        {node.name: sum(each.overflows[node.name] for each in parts) for node in graph},
    )


def chunks(graph: Graph, inputs: Mapping[str, IntArray]) -> Iterator[dict[str, IntArray]]:
    """The inputs, as many samples at a time as keep the widest layer within `CHUNK_ELEMENTS`."""
    samples = len(next(iter(inputs.values())))
    largest = max((math.prod(node.shape) for node in graph), default=1)
    step = max(CHUNK_ELEMENTS // max(largest, 1), 1)
    for start in range(0, max(samples, 1), step):
        yield {name: value[start : start + step] for name, value in inputs.items()}


def _keep_freed_memory() -> None:
    """The C library of Linux returns large arrays to the system when they are freed, and gets them back page by page.

    It does so with no array smaller than the largest one, of at most 32 MB, that it has returned: this one.
    """
    np.empty((1 << 25) - (1 << 16), np.uint8)


def products(graph: Graph) -> int:
    """How many products each sample takes that kernels may compute."""
    return sum(
        node.op.products([graph[name].shape for name in node.inputs])
        for node in graph
        if isinstance(node.op, Compiled)
    )


def run_float(
    graph: Graph, inputs: Mapping[str, FloatArray], keep: Collection[str] | None = None
) -> dict[str, FloatArray]:
    """The graph in float64 (before or after its types are resolved): the reference when Keras is not there."""
    kept = set(graph.outputs if keep is None else keep)
    return {name: value for name, value in float_values(graph, inputs) if name in kept}


def float_values(
    graph: Graph, inputs: Mapping[str, FloatArray], compute: Compute = compute_float
) -> Iterator[tuple[str, FloatArray]]:
    """Name and float64 value of each node in order; a value is dropped after its last reader."""
    given = {node.name: np.asarray(_shaped(node, inputs), dtype=np.float64) for node in graph.inputs}
    return walk(graph, given, compute)
