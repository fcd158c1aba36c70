"""Values of a graph's nodes in order, on integers and on floats: of the model, and of graphs inside operations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kbuild.fixed import FloatArray
from kbuild.ir import Evaluation, Graph, Node, OverflowCount
from kbuild.ops.compiled import Compiled

Array = NDArray[Any]
Compute = Callable[[Node, Sequence[Array]], Array]

if TYPE_CHECKING:
    from kbuild.ops.native.kernels import Kernels


def walk(graph: Graph, inputs: Mapping[str, Array], compute: Compute) -> Iterator[tuple[str, Array]]:
    """Name and value of each node, samples first; a value is dropped after its last reader.

    inputs: the values of the nodes of op `input`. What is computed once for all samples, a constant, is repeated.
    """
    last = {name: node.name for node in graph for name in node.inputs}
    samples = next((len(values) for values in inputs.values()), 0)
    alive: dict[str, Array] = {}
    for node in graph:
        if node.op.kind == "input":
            value = inputs[node.name]
        else:
            value = compute(node, [alive[name] for name in node.inputs])
            value = value if len(value) == samples else np.broadcast_to(value, (samples, *value.shape[1:]))
        yield node.name, value
        alive[node.name] = value
        for name in {*node.inputs, node.name}:
            if last.get(name, name) == node.name:
                alive.pop(name, None)


def prepared(graph: Graph, kernels: Kernels | None = None) -> dict[str, Evaluation]:
    """What computes each node of a typed graph, by `kernels` where they can."""
    return {node.name: _prepared(graph, node, kernels) for node in graph if node.op.kind != "input"}


def _prepared(graph: Graph, node: Node, kernels: Kernels | None) -> Evaluation:
    types = [graph[name].fixed() for name in node.inputs]
    if kernels is not None and isinstance(node.op, Compiled):
        shapes = [graph[name].shape for name in node.inputs]
        found = node.op.compiled(shapes, types, node.fixed(), kernels)
        if found is not None:
            return found
    return node.op.prepared(types, node.fixed())


def counting(
    evaluations: Mapping[str, Evaluation], overflows: Mapping[str, OverflowCount], samples: int
) -> Compute:
    """The computation of a node on integers, for `walk`; a constant overflows in every sample as it does in one."""

    def compute(node: Node, arguments: Sequence[Array]) -> Array:
        count = OverflowCount()
        value = evaluations[node.name](arguments, count)
        times = 1 if len(value) == samples else samples
        overflows[node.name].add(count.inside * times, count.results * times)
        return value

    return compute


def compute_float(node: Node, arguments: Sequence[FloatArray]) -> FloatArray:
    """That in float64."""
    return node.op.eval_float(arguments)
