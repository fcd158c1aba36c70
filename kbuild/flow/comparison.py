"""Engines against the emulator, integer by integer, and the emulator against floating point, layer by layer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np

from kbuild.dataclass import dataclass, field
from kbuild.emulate import quantize_inputs, run, run_float
from kbuild.fixed import FloatArray, IntArray, from_float, to_float
from kbuild.flow.metrics import differing_samples, enough_integer_bits, first_difference
from kbuild.ir import Graph, Node
from kbuild.ops.contraction import Contraction
from kbuild.ops.einsum import Einsum
from kbuild.report.records import EngineRun, LayerResult

_ALIVE = 1 << 23  # integers of all layers together that are kept at once


class Engine(Protocol):
    """Runs the design on integers by input node name, samples first; returns those of the nodes in `keep`."""

    def run(self, inputs: Mapping[str, IntArray], keep: Sequence[str]) -> Mapping[str, IntArray]: ...


@dataclass(frozen=True)
class Mismatch:
    """The first integer in which an engine differs from the emulator."""

    engine: str
    layer: str
    sample: int
    position: tuple[int, ...]
    engine_value: int
    emulator_value: int

    def __str__(self) -> str:
        return (
            f"{self.engine} differs from the emulator in the layer {self.layer}, sample {self.sample}, element "
            f"{list(self.position)}: {self.engine_value} instead of {self.emulator_value}"
        )


@dataclass
class _Layer:
    """What is gathered about one node over all samples."""

    error: float | None = None
    overflows: int = 0
    low: float = 0.0
    high: float = 0.0


@dataclass
class Comparison:
    """The outcome. Outputs are float64 by node name, over all samples."""

    engines: dict[str, EngineRun]
    mismatches: list[Mismatch]
    layers: tuple[LayerResult, ...]
    outputs: dict[str, FloatArray]
    float_outputs: dict[str, FloatArray]


@dataclass
class _State:
    seconds: dict[str, float] = field(default_factory=dict)
    wrong: dict[str, int] = field(default_factory=dict)
    first: dict[str, Mismatch] = field(default_factory=dict)
    layers: dict[str, _Layer] = field(default_factory=dict)
    outputs: dict[str, list[FloatArray]] = field(default_factory=dict)
    float_outputs: dict[str, list[FloatArray]] = field(default_factory=dict)


def compare(
    graph: Graph,
    reference: Graph,
    inputs: Mapping[str, FloatArray],
    engines: Mapping[str, Engine],
    tell: Callable[[str], None],
) -> Comparison:
    """Run everything on all samples, a chunk at a time, so that the values of all layers fit into memory.

    graph: the fixed-point graph; reference: the float graph that it was made from; engines: all but the emulator.
    """
    samples = len(next(iter(inputs.values())))
    state = _State({"emulate": 0.0, **dict.fromkeys(engines, 0.0)}, dict.fromkeys(engines, 0))
    state.layers = {node.name: _Layer() for node in graph}
    chunk = max(_ALIVE // max(sum(int(np.prod(node.shape)) for node in graph), 1), 1)
    for start in range(0, samples, chunk):
        tell(f"sample {start} of {samples}")
        part = {name: values[start : start + chunk] for name, values in inputs.items()}
        _one_chunk(graph, reference, part, engines, state, start)
    runs = {"emulate": EngineRun(samples, round(state.seconds["emulate"], 6), 0)}
    for name in engines:
        runs[name] = EngineRun(samples, round(state.seconds[name], 6), state.wrong[name])
    return Comparison(
        engines=runs,
        mismatches=list(state.first.values()),
        layers=_results(graph, state.layers),
        outputs={name: np.concatenate(parts) for name, parts in state.outputs.items()},
        float_outputs={name: np.concatenate(parts) for name, parts in state.float_outputs.items()},
    )


def _one_chunk(
    graph: Graph,
    reference: Graph,
    inputs: Mapping[str, FloatArray],
    engines: Mapping[str, Engine],
    state: _State,
    start: int,
) -> None:
    names = [node.name for node in graph]
    integers, overflows = quantize_inputs(graph, inputs)
    began = time.perf_counter()
    emulated = run(graph, integers, names)
    state.seconds["emulate"] += time.perf_counter() - began
    for name, count in {**emulated.overflows, **overflows}.items():
        state.layers[name].overflows += count
    for name, engine in engines.items():
        began = time.perf_counter()
        values = engine.run(integers, names)
        state.seconds[name] += time.perf_counter() - began
        state.wrong[name] += differing_samples(values, emulated.values, [n for n in names if n in values])
        if name not in state.first:
            found = first_mismatch(name, graph, values, emulated.values, start)
            if found is not None:
                state.first[name] = found
    real = run_float(reference, inputs, [node.name for node in reference])
    for node in graph:
        if node.name in real and real[node.name].shape == emulated.values[node.name].shape:
            _gather(state.layers[node.name], node, emulated.values[node.name], real[node.name])
    for name, other in dict(zip(graph.outputs, reference.outputs, strict=True)).items():  # one may be there twice
        state.outputs.setdefault(name, []).append(to_float(emulated.values[name], graph[name].fixed()))
        state.float_outputs.setdefault(name, []).append(real[other])


def first_mismatch(
    engine: str, graph: Graph, ours: Mapping[str, IntArray], theirs: Mapping[str, IntArray], start: int
) -> Mismatch | None:
    """In the first layer, in the graph's order, that differs: the later ones follow from it."""
    for node in graph:
        difference = first_difference(ours[node.name], theirs[node.name]) if node.name in ours else None
        if difference is not None:
            (sample, *position), value, expected = difference
            return Mismatch(engine, node.layer.name, start + sample, tuple(position), value, expected)
    return None


def _gather(layer: _Layer, node: Node, q: IntArray, real: FloatArray) -> None:
    meant = to_float(from_float(real, node.fixed()), node.fixed()) if node.declared else real
    error = float(np.abs(to_float(q, node.fixed()) - meant).max()) if real.size else 0.0
    layer.error = error if layer.error is None else max(layer.error, error)
    if real.size:
        layer.low, layer.high = min(layer.low, float(real.min())), max(layer.high, float(real.max()))


def _results(graph: Graph, layers: Mapping[str, _Layer]) -> tuple[LayerResult, ...]:
    """One line for each layer: its last node's type and error, the overflows of all its nodes."""
    nodes: dict[str, list[Node]] = {}
    for node in graph:
        nodes.setdefault(node.layer.name, []).append(node)
    found = []
    for name, own in nodes.items():
        last = own[-1]
        overflows = sum(layers[node.name].overflows for node in own)
        wide = [_enough(graph, node, layers[node.name]) for node in own if layers[node.name].overflows]
        enough = max((bits for bits in wide if bits is not None), default=None)
        found.append(
            LayerResult(name, str(last.fixed()), overflows, layers[last.name].error, last.layer.class_name, enough)
        )
    return tuple(found)


def _enough(graph: Graph, node: Node, layer: _Layer) -> int | None:
    """Integer bits for what the layer should be; where its result fits, it is the accumulator that is too narrow.

    None where more bits for the result would change nothing.
    """
    needed = enough_integer_bits(node.fixed(), layer.low, layer.high)
    if needed > node.fixed().integer:
        return needed
    inputs = graph.inputs_of(node)
    if isinstance(node.op, Contraction):
        return node.op.sum_type(inputs[0].fixed()).integer
    if isinstance(node.op, Einsum):
        return node.op.sum_type([x.fixed() for x in inputs], [x.shape for x in inputs]).integer
    return None
