"""The kernels of io_stream against the emulator, as integers with ==, and the order in which they use their streams."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from random_graphs import ANY, MAKERS, NARROW, SPATIAL, Builder, integers
from stream_harness import Case, Kernels

from kbuild.emit.hls.stream.convolution import conv
from kbuild.emit.hls.stream.dense import dense
from kbuild.emit.hls.stream.moves import concatenate, pad, repeat
from kbuild.emit.hls.stream.pooling import pool
from kbuild.emit.hls.stream.process import Packing, StreamKernel, natural
from kbuild.emit.hls.stream.reductions import reduce
from kbuild.fixed import wide
from kbuild.ir import Node, Shape
from kbuild.ops.input import Input

SAMPLES = 2
KERNELS: dict[str, Callable[..., StreamKernel | None]] = {
    "conv": conv, "pool": pool, "reduce": reduce, "pad": pad, "repeat": repeat, "concatenate": concatenate,
    "dense": dense,
}  # fmt: skip
KINDS = (*KERNELS, "conv", "pool", "conv")


def shapes(b: Builder) -> list[Shape]:
    """Of inputs: vectors, sequences, images and volumes, some of which can be concatenated."""
    found: list[Shape] = [(12,), (int(b.rng.integers(1, 30)),)]
    for rank, largest in ((2, 12), (2, 6), (3, 8), (3, 5), (4, 4)):
        shape = tuple(int(n) for n in b.rng.integers(1, largest, size=rank))
        found += [shape, (int(b.rng.integers(1, 5)), *shape[1:])]
    return found


def packings(b: Builder, node: Node, inputs: Sequence[Node]) -> list[Packing]:
    """Pixels; a dense layer takes anything."""
    if node.op.kind != "dense" or len(inputs[0].shape) != 1:
        return [natural(x.shape) for x in inputs]
    size = inputs[0].shape[0]
    width = int(b.rng.choice([d for d in range(1, size + 1) if size % d == 0]))
    return [Packing(size // width, width)]


def random_cases(seed: int, count: int, widths: tuple[int, int] = NARROW,
                 kinds: Sequence[str] = KINDS) -> Iterator[Case]:
    """Nodes that have streaming kernels, each of inputs of its own."""
    b = Builder(np.random.default_rng(seed), widths)
    for kind in itertools.islice(itertools.cycle(kinds), count):
        case = None
        while case is None:
            case = _random_case(b, kind)
        yield case


def _random_case(b: Builder, kind: str) -> Case | None:
    b.nodes = []
    given = [b.add(Input(shape)) for shape in shapes(b)]
    (SPATIAL | MAKERS)[kind](b)
    node = b.nodes[-1]
    if node.op.kind != kind:
        return None
    inputs = tuple(next(x for x in given if x.name == name) for name in node.inputs)
    kernel = KERNELS[kind](node, node.op, inputs, packings(b, node, inputs))
    return kernel and Case(node, inputs, kernel)


def check(cases: Sequence[Case], folder: Path, seed: int = 1, vendor: Path | None = None) -> None:
    kernels = Kernels(cases, folder, vendor)
    rng = np.random.default_rng(seed)
    for index, case in enumerate(cases):
        values = [integers(rng, (SAMPLES, *x.shape), x.fixed()) for x in case.inputs]
        wanted = case.expected(values)
        found, logs = kernels.run(index, values)
        told = f"{case.node} of {[(x.shape, str(x.type)) for x in case.inputs]} by {case.kernel.call.kernel}"
        assert logs == [case.order()] * SAMPLES, told
        assert found.shape == wanted.shape and bool((wide(found) == wide(wanted)).all()), told


@pytest.mark.parametrize(("seed", "widths"), [(1, NARROW), (2, NARROW), (3, ANY)])
def test_random_kernels(seed: int, widths: tuple[int, int], tmp_path: Path) -> None:
    check(list(random_cases(seed, 40, widths)), tmp_path)
