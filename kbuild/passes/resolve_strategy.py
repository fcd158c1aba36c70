"""Write the strategy and the reuse factors of each layer into its op, and refuse reuse factors that no kernel has.

Where the recipe names no strategy, a layer that is too large for the tools to unroll becomes `Resource`.
"""

from __future__ import annotations

import math

from kbuild.config.backends import find_backend
from kbuild.config.places import Problem, raise_problems
from kbuild.config.recipe import DEFAULT, Setting
from kbuild.config.settings import LayerSettings
from kbuild.dataclass import dataclass, replace
from kbuild.ir import Graph, Node
from kbuild.ops.contraction import Contraction
from kbuild.ops.conv import Conv
from kbuild.ops.rnn import Recurrent
from kbuild.passes.context import Context
from kbuild.passes.unrolled import legal_reuse_factors, matrices

SHOWN = 8  # legal values listed on each side of an illegal one


@dataclass(frozen=True)
class Choice:
    """How the products of a node are computed; `reuse` for each of its matrices."""

    strategy: Setting[str]
    reuse: tuple[Setting[int], ...]


def run(graph: Graph, context: Context) -> Graph:
    """The graph with strategies and reuse factors. Raises RecipeError for all illegal ones at once."""
    problems: list[Problem] = []
    nodes = [_resolved(node, context, problems) for node in graph]
    raise_problems(problems)
    return graph.with_nodes(nodes)


def as_chosen(graph: Graph, context: Context) -> dict[str, LayerSettings]:
    """The settings of the context with the strategies and reuse factors that are chosen here, and why."""
    found = dict(context.settings)
    for node in graph:
        settings, choice = found.get(node.layer.name), chosen(node, context)
        if settings is not None and choice is not None and choice.strategy.value != settings.strategy.value:
            settings = replace(settings, strategy=choice.strategy, reuse_factor=choice.reuse[0])
            found[node.layer.name] = replace(settings, recurrent_reuse_factor=choice.reuse[-1])
    return found


def chosen(node: Node, context: Context) -> Choice | None:
    """The strategy and reuse factors of a node with constant matrices; None for any other, or one without settings."""
    settings, op = context.settings_of(node), node.op
    if settings is None or not isinstance(op, Contraction | Recurrent):
        return None
    reuse: tuple[Setting[int], ...] = (settings.reuse_factor,)
    reuse = (*reuse, settings.recurrent_reuse_factor) if isinstance(op, Recurrent) else reuse
    asked = Choice(settings.strategy, reuse)
    backend = find_backend(context.backend)
    most = backend.limits.get("unroll") if backend else None
    if isinstance(op, Conv):
        op = replace(op, parallelization_factor=settings.parallelization_factor.value)
    found = matrices(op, node, context.io_type)
    strategy = settings.strategy.value.lower()
    if settings.strategy.origin != DEFAULT or most is None or max(m.at_once(strategy, 1) for m in found) <= most:
        return asked
    origin = f"unroll limit of {context.backend}"
    fitted = []
    for matrix, given in zip(found, reuse, strict=True):
        fitting = matrix.fitting(most)
        if (given.value != 1 and given.value not in fitting) or not fitting:
            return asked  # which is refused
        fitted.append(given if given.value in fitting else replace(given, value=fitting[0], origin=origin))
    return Choice(Setting("Resource", origin), tuple(fitted))


def _resolved(node: Node, context: Context, problems: list[Problem]) -> Node:
    choice, op = chosen(node, context), node.op
    if choice is None:
        return node
    strategy, reuse = choice.strategy.value, choice.reuse
    if isinstance(op, Recurrent):
        problems += _illegal(strategy, reuse[0], op.matrix_shape, f"the layer {node.layer.name}")
        whose = f"the recurrent weights, which RecurrentReuseFactor is for, of the layer {node.layer.name}"
        problems += _illegal(strategy, reuse[1], op.recurrent_shape, whose)
        made = replace(op, strategy=strategy.lower(), reuse_factor=reuse[0].value,
                       recurrent_reuse_factor=reuse[1].value)  # fmt: skip
        return replace(node, op=made)
    assert isinstance(op, Contraction)
    problems += _illegal(strategy, reuse[0], op.matrix_shape, f"the layer {node.layer.name}")
    op = replace(op, strategy=strategy.lower(), reuse_factor=reuse[0].value)
    return replace(node, op=_in_parallel(node, op, context, problems) if isinstance(op, Conv) else op)


def _in_parallel(node: Node, op: Conv, context: Context, problems: list[Problem]) -> Conv:
    """With the number of output positions that are computed at once, and how a stream keeps its window."""
    settings, positions = context.settings[node.layer.name], math.prod(node.shape[:-1])
    factor = settings.parallelization_factor
    if positions % factor.value:
        legal = [n for n in range(1, positions + 1) if positions % n == 0]
        message = (
            f"a parallelization factor of {factor.value} does not divide the {positions} output positions of the layer "
            f"{node.layer.name}; legal ones near it are {_near(legal, factor.value)}"
        )
        problems.append(Problem(factor.place, factor.key, message))
    encoded = context.io_type == "io_stream" and settings.conv_implementation.value == "Encoded"
    return replace(op, parallelization_factor=factor.value, encoded=encoded)


def _near(legal: list[int], wanted: int) -> str:
    return ", ".join(map(str, sorted(sorted(legal, key=lambda n: abs(n - wanted))[:SHOWN])))


def _illegal(strategy: str, reuse: Setting[int], shape: tuple[int, int], whose: str) -> list[Problem]:
    legal = legal_reuse_factors(strategy.lower(), *shape)
    if reuse.value in legal:
        return []
    message = (
        f"a reuse factor of {reuse.value} does not fit {whose} ({shape[0]} x {shape[1]}, strategy {strategy}); "
        f"legal ones near it are {_near(legal, reuse.value)}"
    )
    return [Problem(reuse.place, reuse.key, message)]
