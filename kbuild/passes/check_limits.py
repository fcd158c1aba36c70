"""Refuse a design in which an HLS tool would have to unroll or partition more than it does, and name what fits."""

from __future__ import annotations

import math

from kbuild.config.backends import Backend, load_backend
from kbuild.config.places import NOWHERE, Problem, raise_problems
from kbuild.config.recipe import DEFAULT, Setting
from kbuild.ir import Graph, Node
from kbuild.ops.multipliers import Matrix, Multiplying
from kbuild.ops.pool import Pool
from kbuild.ops.softmax import Softmax
from kbuild.passes.context import Context


def run(graph: Graph, context: Context) -> Graph:
    """The graph itself. Raises RecipeError with a line for each layer that is beyond the backend's limit."""
    backend = load_backend(context.backend)
    most = backend.limits.get("unroll")
    if most is not None:
        raise_problems(problem for node in graph for problem in _problems(graph, node, most, backend, context))
    return graph


def _problems(graph: Graph, node: Node, most: int, backend: Backend, context: Context) -> list[Problem]:
    name = f"layer {node.layer.name} ({node.layer.class_name})"
    beyond = f"at once, more than the {most} that {backend.name} unrolls"
    if isinstance(node.op, Multiplying):
        return [*_products(graph, node, node.op, most, f"{name}: {{}} {beyond}", context),
                *_registers(node, most, backend, context)]  # fmt: skip
    found = _operations(graph, node, context.io_type)
    if found > most:
        return [Problem(NOWHERE, "", f"{name}: {node.op.kind} takes {found} operations {beyond}; make it smaller")]
    return _registers(node, most, backend, context)


def _products(
    graph: Graph, node: Node, op: Multiplying, most: int, message: str, context: Context
) -> list[Problem]:
    """Matrices of which too much is unrolled: the strategy and the reuse factor that fit."""
    settings = context.settings_of(node)
    found = op.matrices([graph[name].shape for name in node.inputs], context.io_type)
    problems: list[Problem] = []
    given: list[Setting[int] | Setting[str]]
    for matrix, factor in zip(found, op.reuse_factors, strict=True):
        count = matrix.at_once(op.strategy, factor)
        if count <= most or settings is None:
            continue
        text = message.format(f"{matrix.terms} x {matrix.outputs} products, {count} of them")
        given = [settings.recurrent_reuse_factor if matrix.recurrent else settings.reuse_factor, settings.strategy]
        given = given if op.strategy == "resource" or settings.strategy.origin == DEFAULT else given[::-1]
        key = "RecurrentReuseFactor" if matrix.recurrent else "ReuseFactor"
        problems.append(Problem(given[0].place, given[0].key, f"{text}; {_remedy(matrix, key, most, context.io_type)}"))
    return problems


def _remedy(matrix: Matrix, key: str, most: int, io_type: str) -> str:
    fitting = matrix.fitting(most)
    if not fitting and io_type == "io_stream" and matrix.window > max(most, matrix.outputs):
        return "only with ParallelizationFactor: 1 and ConvImplementation: LineBuffer does its window lie in memory"
    if not fitting:
        return "no reuse factor makes it fit; make the layer smaller, or split it"
    more = f", {fitting[1]}" if len(fitting) > 1 else ""
    return f"write Strategy: Resource with {key}: {fitting[0]}" + (f" (or a larger legal one{more}, …)" if more else "")


def _operations(graph: Graph, node: Node, io_type: str) -> int:
    """Operations in the largest loop that is unrolled, beside those of one an element."""
    op, x = node.op, graph[node.inputs[0]] if node.inputs else node
    if isinstance(op, Softmax) and op.implementation == "legacy":
        return math.prod(node.shape) * node.shape[-1]
    if isinstance(op, Pool):
        return op.at_once(x.shape[-1], io_type)
    return 0


def _registers(node: Node, most: int, backend: Backend, context: Context) -> list[Problem]:
    """With io_parallel every element of a value is a register."""
    count = math.prod(node.shape)
    if context.io_type != "io_parallel" or count <= most:
        return []
    message = (
        f"layer {node.layer.name} ({node.layer.class_name}): a result of {count} elements; with io_parallel each is a "
        f"register, and {backend.name} partitions arrays of at most {most}; write IOType: io_stream"
    )
    return [Problem(NOWHERE, "", message)]
