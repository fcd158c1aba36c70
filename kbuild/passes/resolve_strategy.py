"""Write the strategy and the reuse factors of each layer into its op, and refuse reuse factors that no kernel has.

Where the recipe names no strategy, a layer that is too large for the tools to unroll becomes `Resource`; so does a
product of two values where the recipe names one that is about constants.
"""

from __future__ import annotations

import math

from kbuild.config.backends import find_backend
from kbuild.config.places import Problem, raise_problems
from kbuild.config.recipe import DEFAULT, Setting
from kbuild.config.settings import LayerSettings
from kbuild.dataclass import dataclass, replace
from kbuild.ir import Graph, Node
from kbuild.ops.conv import Conv
from kbuild.ops.multipliers import Matrix, Multiplying
from kbuild.passes.context import Context

SHOWN = 8  # legal values listed on each side of an illegal one


@dataclass(frozen=True)
class Choice:
    """How the products of a node are computed; for each of its matrices `reuse`."""

    strategy: Setting[str]
    reuse: tuple[Setting[int], ...]
    matrices: tuple[Matrix, ...]

    def legal(self) -> list[list[int]]:
        """The reuse factors that each matrix may have."""
        return [matrix.legal(self.strategy.value.lower()) for matrix in self.matrices]


def run(graph: Graph, context: Context) -> Graph:
    """The graph with strategies and reuse factors. Raises RecipeError for all illegal ones at once."""
    problems: list[Problem] = []
    nodes = [_resolved(graph, node, context, problems) for node in graph]
    raise_problems(problems)
    return graph.with_nodes(nodes)


def as_chosen(graph: Graph, context: Context) -> dict[str, LayerSettings]:
    """The settings of the context with the strategies and reuse factors that are chosen here, and why."""
    found = dict(context.settings)
    for node in graph:
        settings, choice = found.get(node.layer.name), chosen(graph, node, context)
        if settings is None or choice is None or not _is_meant(node, settings):
            continue
        if choice.strategy.value != settings.strategy.value:
            settings = replace(settings, strategy=choice.strategy, reuse_factor=choice.reuse[0])
            found[node.layer.name] = replace(settings, recurrent_reuse_factor=choice.reuse[-1])
    return found


def chosen(graph: Graph, node: Node, context: Context) -> Choice | None:
    """The strategy and reuse factors of a node with multipliers; None for any other, or one without settings."""
    settings, op = context.settings_of(node), node.op
    if settings is None or not isinstance(op, Multiplying):
        return None
    if isinstance(op, Conv):
        at_once = settings.parallelization_factor.value
        op = replace(op, parallelization_factor=at_once, encoded=_encoded(settings, context))
    found = op.matrices([graph[name].shape for name in node.inputs], context.io_type)
    if not found:
        return None
    reuse = tuple(settings.recurrent_reuse_factor if m.recurrent else settings.reuse_factor for m in found)
    meant = _is_meant(node, settings)
    asked = Choice(settings.strategy if meant else Setting("Latency", "products of two values"), reuse, found)
    backend = find_backend(context.backend)
    most = backend.limits.get("unroll") if backend else None
    strategy = asked.strategy.value.lower()
    fits = most is None or max(m.at_once(strategy, 1) for m in found) <= most
    return asked if fits or (meant and settings.strategy.origin != DEFAULT) else _fitted(asked, most, context.backend)


def _is_meant(node: Node, settings: LayerSettings) -> bool:
    """Whether the layer's strategy means something to the node."""
    return isinstance(node.op, Multiplying) and settings.strategy.value.lower() in node.op.strategies


def _fitted(asked: Choice, most: int | None, backend: str) -> Choice:
    """`Resource` with the least reuse factors that fit where none is asked for; `asked`, to be refused, if none do."""
    assert most is not None
    origin = f"unroll limit of {backend}"
    fitted = []
    for matrix, given in zip(asked.matrices, asked.reuse, strict=True):
        fitting = matrix.fitting(most)
        if (given.value != 1 and given.value not in fitting) or not fitting:
            return asked
        fitted.append(given if given.value in fitting else replace(given, value=fitting[0], origin=origin))
    return replace(asked, strategy=Setting("Resource", origin), reuse=tuple(fitted))


def _resolved(graph: Graph, node: Node, context: Context, problems: list[Problem]) -> Node:
    choice, op = chosen(graph, node, context), node.op
    if choice is None:
        return node
    assert isinstance(op, Multiplying)
    problems += _illegal(node, choice)
    op = op.reusing(choice.strategy.value.lower(), *(reuse.value for reuse in choice.reuse))
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
    return replace(op, parallelization_factor=factor.value, encoded=_encoded(settings, context))


def _encoded(settings: LayerSettings, context: Context) -> bool:
    return context.io_type == "io_stream" and settings.conv_implementation.value == "Encoded"


def _near(legal: list[int], wanted: int) -> str:
    return ", ".join(map(str, sorted(sorted(legal, key=lambda n: abs(n - wanted))[:SHOWN])))


def _illegal(node: Node, choice: Choice) -> list[Problem]:
    """The reuse factors that their matrices cannot have."""
    problems = []
    for matrix, reuse, legal in zip(choice.matrices, choice.reuse, choice.legal(), strict=True):
        if reuse.value not in legal:
            name = f"the layer {node.layer.name}"
            if matrix.recurrent:
                name = f"the recurrent weights, which RecurrentReuseFactor is for, of {name}"
            message = (
                f"a reuse factor of {reuse.value} does not fit {name} ({matrix.terms} x {matrix.outputs}, strategy "
                f"{choice.strategy.value}); legal ones near it are {_near(legal, reuse.value)}"
            )
            problems.append(Problem(reuse.place, reuse.key, message))
    return problems
