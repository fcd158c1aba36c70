"""The emulator with compiled kernels against the emulator without: whole graphs, every value, every overflow."""

from __future__ import annotations

import numpy as np
import pytest
from compiled_kernels import compiled, needs_compiler
from random_graphs import NARROW, random_graph, random_inputs

from kbuild import emulate
from kbuild.ops.compiled import Compiled

pytestmark = needs_compiler
KINDS = {
    "plain": {},
    "spatial": {"spatial": True},
    "sequence": {"sequence": True},
}


def alike(seed: int, kind: str) -> int:
    """Compare both; returns how many operations the kernels have computed."""
    kernels = compiled("native")
    graph = random_graph(seed, 25, widths=(1, 16) if seed % 2 else NARROW, **KINDS[kind])
    inputs, names = random_inputs(graph, seed, 33), [node.name for node in graph]
    wanted, found = (emulate.run(graph, inputs, names, with_kernels) for with_kernels in (None, kernels))
    for name in names:
        assert np.array_equal(wanted.values[name], found.values[name]), graph[name]
    assert found.overflows == wanted.overflows
    taken = 0
    for node in graph:
        if isinstance(node.op, Compiled):
            read = [graph[name] for name in node.inputs]
            types, shapes = [r.fixed() for r in read], [r.shape for r in read]
            taken += node.op.compiled(shapes, types, node.fixed(), kernels) is not None
    return taken


@pytest.mark.parametrize("kind", KINDS)
def test_random_graphs(kind: str) -> None:
    assert sum(alike(seed, kind) for seed in range(6)) > 3


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_more_random_graphs(kind: str) -> None:
    assert sum(alike(seed, kind) for seed in range(6, 150)) > 50
