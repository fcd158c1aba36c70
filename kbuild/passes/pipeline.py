"""The order of the passes. The graph is verified after each. Graphs inside operations go through the same passes."""

from __future__ import annotations

from collections.abc import Callable

from kbuild.ir import Graph, verify
from kbuild.passes import (
    check_capability,
    check_limits,
    dead_code,
    drop_identity,
    fold_batchnorm,
    fold_constants,
    fold_thresholds,
    masked_softmax,
    repeat_steps,
    resolve_precision,
    resolve_strategy,
)
from kbuild.passes.context import Context

Pass = Callable[[Graph, Context], Graph]

PIPELINE: tuple[Pass, ...] = (
    repeat_steps.run,
    masked_softmax.run,
    drop_identity.run,
    fold_constants.run,
    resolve_strategy.run,
    fold_thresholds.run,
    fold_batchnorm.run,
    dead_code.run,
    resolve_precision.run,
    check_capability.run,
    check_limits.run,
)

# They need to know what a graph is inside of, and go there themselves.
_WHOLE: tuple[Pass, ...] = (resolve_strategy.run, resolve_precision.run, check_limits.run)


def optimize(graph: Graph, context: Context, after: Callable[[str, Graph], None] | None = None) -> Graph:
    """The fixed-point graph that is printed, from the float graph of the front end.

    `after` is told the name of each pass and the graph that it made.
    """
    verify(graph)
    for step in PIPELINE:
        graph = verify(everywhere(step, graph, context))
        if after is not None:
            after(step.__module__.rsplit(".", 1)[-1], graph)
    return graph


def everywhere(step: Pass, graph: Graph, context: Context) -> Graph:
    """After the pass over the graphs inside and over the graph itself."""
    if step not in _WHOLE:
        graph = graph.changed_inside(lambda inner: everywhere(step, inner, context))
    return step(graph, context)
