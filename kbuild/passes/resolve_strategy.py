"""Write the strategy and the reuse factor of each layer into its op, and refuse reuse factors that no kernel has."""

from __future__ import annotations

from dataclasses import replace

from kbuild.config.places import Problem, raise_problems
from kbuild.ir import Graph, Node
from kbuild.ops.contraction import Contraction
from kbuild.passes.context import Context

SHOWN = 8  # legal values listed on each side of an illegal one


def run(graph: Graph, context: Context) -> Graph:
    """The graph with strategies and reuse factors. Raises RecipeError for all illegal ones at once."""
    problems: list[Problem] = []
    nodes = [_resolved(node, context, problems) for node in graph]
    raise_problems(problems)
    return graph.with_nodes(nodes)


def _resolved(node: Node, context: Context, problems: list[Problem]) -> Node:
    settings = context.settings_of(node)
    if not isinstance(node.op, Contraction) or settings is None:
        return node
    strategy, reuse = settings.strategy.value.lower(), settings.reuse_factor.value
    legal = legal_reuse_factors(strategy, node.op.terms, node.op.outputs)
    if reuse not in legal:
        near = sorted(sorted(legal, key=lambda r: abs(r - reuse))[:SHOWN])
        message = (
            f"a reuse factor of {reuse} does not fit the layer {node.layer.name} "
            f"({node.op.terms} x {node.op.outputs}, strategy {settings.strategy.value}); "
            f"legal ones near it are {', '.join(map(str, near))}"
        )
        problems.append(Problem(settings.reuse_factor.place, settings.reuse_factor.key, message))
    return replace(node, op=replace(node.op, strategy=strategy, reuse_factor=reuse))


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
