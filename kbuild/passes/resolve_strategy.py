"""Write the strategy and the reuse factor of each layer into its op, and refuse reuse factors that no kernel has."""

from __future__ import annotations

from dataclasses import replace

from kbuild.config.places import Problem, raise_problems
from kbuild.config.recipe import Setting
from kbuild.ir import Graph, Node
from kbuild.ops.contraction import Contraction
from kbuild.ops.rnn import Recurrent
from kbuild.passes.context import Context

SHOWN = 8  # legal values listed on each side of an illegal one


def run(graph: Graph, context: Context) -> Graph:
    """The graph with strategies and reuse factors. Raises RecipeError for all illegal ones at once."""
    problems: list[Problem] = []
    nodes = [_resolved(node, context, problems) for node in graph]
    raise_problems(problems)
    return graph.with_nodes(nodes)


def _resolved(node: Node, context: Context, problems: list[Problem]) -> Node:
    settings, op = context.settings_of(node), node.op
    if settings is None or not isinstance(op, Contraction | Recurrent):
        return node
    strategy, reuse = settings.strategy.value, settings.reuse_factor
    problems += _illegal(strategy, reuse, op.matrix_shape, f"the layer {node.layer.name}")
    if isinstance(op, Contraction):
        return replace(node, op=replace(op, strategy=strategy.lower(), reuse_factor=reuse.value))
    recurrent = settings.recurrent_reuse_factor
    whose = f"the recurrent weights, which RecurrentReuseFactor is for, of the layer {node.layer.name}"
    problems += _illegal(strategy, recurrent, op.recurrent_shape, whose)
    chosen = replace(op, strategy=strategy.lower(), reuse_factor=reuse.value, recurrent_reuse_factor=recurrent.value)
    return replace(node, op=chosen)


def _illegal(strategy: str, reuse: Setting[int], shape: tuple[int, int], whose: str) -> list[Problem]:
    legal = legal_reuse_factors(strategy.lower(), *shape)
    if reuse.value in legal:
        return []
    near = sorted(sorted(legal, key=lambda r: abs(r - reuse.value))[:SHOWN])
    message = (
        f"a reuse factor of {reuse.value} does not fit {whose} ({shape[0]} x {shape[1]}, strategy {strategy}); "
        f"legal ones near it are {', '.join(map(str, near))}"
    )
    return [Problem(reuse.place, reuse.key, message)]


def legal_reuse_factors(strategy: str, inputs: int, outputs: int) -> list[int]:
    """The legal reuse factors of an inputs x outputs product.

    Latency and unrolled: any divisor of inputs * outputs. Resource: those divisors with which the blocks of
    `inputs * outputs / reuse` multipliers end where a row of weights ends (reuse < inputs must divide inputs; a larger
    one must be a multiple of inputs). Distributed arithmetic has no multipliers to reuse.
    """
    total = inputs * outputs
    divisors = [d for d in range(1, int(total**0.5) + 1) if total % d == 0]
    divisors = sorted({*divisors, *(total // d for d in divisors)})
    if strategy == "distributed_arithmetic":
        return [1]
    if strategy == "resource":
        return [d for d in divisors if (d % inputs == 0 if d >= inputs else inputs % d == 0)]
    return divisors
