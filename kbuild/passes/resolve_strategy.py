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
from kbuild.ops.scan import Scan
from kbuild.passes.context import Context
from kbuild.passes.unrolled import Matrix, contractions, legal_reuse_factors, matrices

SHOWN = 8  # legal values listed on each side of an illegal one


@dataclass(frozen=True)
class Choice:
    """How the products of a node are computed, with the reuse factors of its matrices."""

    strategy: Setting[str]
    reuse: Setting[int]
    recurrent: Setting[int]

    def of(self, matrix: Matrix) -> Setting[int]:
        """The reuse factor of a matrix of the node."""
        return self.recurrent if matrix.recurrent else self.reuse


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
            found[node.layer.name] = replace(settings, strategy=choice.strategy, reuse_factor=choice.reuse,
                                             recurrent_reuse_factor=choice.recurrent)  # fmt: skip
    return found


def chosen(node: Node, context: Context) -> Choice | None:
    """The strategy and reuse factors of a node with constant matrices; None for any other, or one without settings."""
    settings, op = context.settings_of(node), node.op
    if settings is None or not isinstance(op, Contraction | Recurrent | Scan):
        return None
    asked = Choice(settings.strategy, settings.reuse_factor, settings.recurrent_reuse_factor)
    backend = find_backend(context.backend)
    most = backend.limits.get("unroll") if backend else None
    if isinstance(op, Conv):
        op = replace(op, parallelization_factor=settings.parallelization_factor.value)
    found = matrices(op, node, context.io_type)
    strategy = settings.strategy.value.lower()
    largest = max((m.at_once(strategy, 1) for m in found), default=0)
    if settings.strategy.origin != DEFAULT or most is None or largest <= most:
        return asked
    origin = f"unroll limit of {context.backend}"
    recurrent = [matrix for matrix in found if matrix.recurrent]
    reuse = _fitted(asked.reuse, [matrix for matrix in found if not matrix.recurrent], most, origin)
    further = _fitted(asked.recurrent, recurrent, most, origin) if recurrent else reuse
    if reuse is None or further is None:
        return asked  # which is refused
    return Choice(Setting("Resource", origin), reuse, further)


def _fitted(given: Setting[int], found: list[Matrix], most: int, origin: str) -> Setting[int] | None:
    """The reuse factor itself where it fits all the matrices, the least that does where it is 1, or None."""
    fitting = [set(matrix.fitting(most)) for matrix in found]
    if all(given.value in each for each in fitting):
        return given
    common = set.intersection(*fitting)
    return replace(given, value=min(common), origin=origin) if common and given.value == 1 else None


def _resolved(node: Node, context: Context, problems: list[Problem]) -> Node:
    choice, op = chosen(node, context), node.op
    if choice is None:
        return node
    strategy = choice.strategy.value
    assert isinstance(op, Contraction | Recurrent | Scan)
    for matrix in matrices(op, node, context.io_type):
        whose = f"the layer {node.layer.name}"
        if matrix.recurrent:
            whose = f"the recurrent weights, which RecurrentReuseFactor is for, of {whose}"
        problems += _illegal(strategy, choice.of(matrix), (matrix.terms, matrix.outputs), whose)
    if isinstance(op, Scan):
        factors = {inner.name: choice.recurrent if its else choice.reuse for inner, _, its in contractions(op)}
        body = op.body.with_nodes(
            _with(inner, strategy, factors[inner.name]) if inner.name in factors else inner for inner in op.body
        )
        return replace(node, op=op.with_inside(body))
    made = _with(node, strategy, choice.reuse)
    if isinstance(made.op, Recurrent):
        return replace(made, op=replace(made.op, recurrent_reuse_factor=choice.recurrent.value))
    return replace(made, op=_in_parallel(made, made.op, context, problems)) if isinstance(made.op, Conv) else made


def _with(node: Node, strategy: str, reuse: Setting[int]) -> Node:
    assert isinstance(node.op, Contraction | Recurrent)
    return replace(node, op=replace(node.op, strategy=strategy.lower(), reuse_factor=reuse.value))


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
