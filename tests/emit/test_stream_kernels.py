"""The kernels of io_stream against the emulator, as integers with ==, and the order in which they use their streams."""

from __future__ import annotations

import importlib.util
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from random_graphs import ANY, MAKERS, NARROW, SEQUENCE, SPATIAL, Builder, integers
from stream_harness import BACKENDS, Case, Kernels, order

from kbuild.emit.hls.stream.convolution import LEAST, conv
from kbuild.emit.hls.stream.dense import dense
from kbuild.emit.hls.stream.moves import concatenate, pad, repeat
from kbuild.emit.hls.stream.pooling import pool
from kbuild.emit.hls.stream.process import Packing, StreamKernel, natural
from kbuild.emit.hls.stream.recurrences import recurrent
from kbuild.emit.hls.stream.reductions import reduce
from kbuild.fixed import FixedType, wide
from kbuild.ir import Node, Shape
from kbuild.ops.conv import Conv
from kbuild.ops.input import Input
from kbuild.ops.pool import Pool

SAMPLES = 2
KERNELS: dict[str, Callable[..., StreamKernel | None]] = {
    "conv": conv, "pool": pool, "reduce": reduce, "pad": pad, "repeat": repeat, "concatenate": concatenate,
    "dense": dense, "simple_rnn": recurrent, "lstm": recurrent, "gru": recurrent,
}  # fmt: skip
KINDS = (*KERNELS, "conv", "dense", "conv", "pool", "reduce", "conv", "repeat", "conv", "reduce")


def shapes(b: Builder) -> list[Shape]:
    """Of inputs: vectors, sequences, images and volumes, some of which can be concatenated."""
    found: list[Shape] = [(12,), (int(b.rng.integers(1, 30)),), *[(n,) for n in range(1, 5)] * 2]
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
    (MAKERS | SPATIAL | SEQUENCE)[kind](b)
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
        if "fifo_depth" in case.kernel.call.config.integers:
            assert case.kernel.call.config.integers["fifo_depth"] == max(kernels.inner_peak, LEAST), told


SEEDS = [(3, NARROW, KINDS), (1003, ANY, KINDS), (1, NARROW, ("conv",)), (5, NARROW, ("pool", "repeat", "conv"))]
CASES = 32


@pytest.mark.parametrize(("seed", "widths", "kinds"), SEEDS)
def test_random_kernels(seed: int, widths: tuple[int, int], kinds: Sequence[str], tmp_path: Path) -> None:
    check(list(random_cases(seed, CASES, widths, kinds)), tmp_path)


def stored_cases(patch: pytest.MonkeyPatch, seed: int, count: int, widths: tuple[int, int] = NARROW) -> list[Case]:
    """Convolutions and poolings whose windows lie in memory, as those do that are too large for registers."""
    found: list[Case] = []
    rng, drawn = np.random.default_rng(seed), list(random_cases(seed, count, widths, ("conv", "conv", "pool")))
    patch.setattr("kbuild.ops.conv.REGISTERS", 0)
    patch.setattr("kbuild.ops.pool.REGISTERS", 0)
    for case in drawn:
        node = case.node
        if isinstance(node.op, Conv):
            op = replace(node.op, parallelization_factor=1, encoded=False)
            (matrix,) = op.matrices([x.shape for x in case.inputs], "io_stream")
            reuse = rng.choice(matrix.legal("resource"))
            node = replace(node, op=op.reusing("resource", int(reuse)))
        made = KERNELS[node.op.kind](node, node.op, case.inputs, packings(Builder(rng, widths), node, case.inputs))
        assert made is not None and "stored" in made.call.kernel
        found.append(Case(node, case.inputs, made))
    return found


STORED = [(2, NARROW), (1001, ANY)]


@pytest.mark.parametrize(("seed", "widths"), STORED)
def test_random_windows_in_memory(
    seed: int, widths: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(stored_cases(monkeypatch, seed, CASES, widths), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_more_random_windows_in_memory(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check(stored_cases(monkeypatch, seed + 100, 60, ANY if seed % 4 == 3 else NARROW), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_more_random_convolutions(seed: int, tmp_path: Path) -> None:
    check(list(random_cases(seed, 60, ANY if seed % 4 == 3 else NARROW, ("conv",))), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "widths"), [(s, w) for s in range(1000, 1010) for w in (NARROW, ANY)])
def test_more_random_kernels(seed: int, widths: tuple[int, int], tmp_path: Path) -> None:
    check(list(random_cases(seed, 100, widths)), tmp_path)


def test_the_random_kernels_have_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a change of the generator cannot quietly stop testing something."""
    cases = [case for seed, widths, kinds in SEEDS for case in random_cases(seed, CASES, widths, kinds)]
    templates = set()
    for header in (BACKENDS / "hls" / "stream").glob("*.h"):
        found = re.findall(r"^void (stream_\w+)\(hls::stream<\w+>& \w+, hls::stream", header.read_text(), re.MULTILINE)
        templates |= set(found)
    loops = {call.kernel for case in cases for step in case.kernel.inside for call in step.calls}
    assert loops == {"simple_rnn_step", "lstm_step", "gru_step", "gru_reset_before_step"}
    stored: list[Case] = []
    for seed, widths in STORED:
        with monkeypatch.context() as patch:
            stored += stored_cases(patch, seed, CASES, widths)
    assert {case.kernel.call.kernel for case in (*cases, *stored)} == {*templates, None}
    words = [case.kernel.call.config.integers for case in stored if isinstance(case.node.op, Conv)]
    assert {(i["words"] > 1, i["word"] > 1) for i in words} == {*itertools.product((True, False), repeat=2)}
    assert {(i["groups"] > 1, i["word"] > 1) for i in words} == {*itertools.product((True, False), repeat=2)}
    assert all({i[f"spread{n}"] > 1 for i in words} == {True, False} for n in range(3))
    convs = [(case.node.op, case) for case in cases if isinstance(case.node.op, Conv)]
    for drawn in (lambda op: op.strides, lambda op: op.dilation, lambda op: op.input_dilation, lambda op: [op.groups],
                  lambda op: [n for pair in op.padding for n in pair], lambda op: op.kernel):  # fmt: skip
        assert {max(drawn(op)) > 1 for op, _ in convs} == {True, False}
    assert {len(op.kernel) for op, _ in convs} == {1, 2, 3}
    at_once = [(op.encoded, op.parallelization_factor > 1, max(op.input_dilation) > 1) for op, _ in convs]
    assert {*at_once} == {*itertools.product((True, False), repeat=3)}
    integers_of = [case.kernel.call.config.integers for op, case in convs if not op.encoded]
    assert any(i["lines"] > 1 and i["spread1"] > 1 for i in integers_of)  # rows of zeros between those in memory
    assert any(i["kept"] > 1 for i in integers_of) and any(i["kept"] > 0 and i["spread0"] > 1 for i in integers_of)
    # windows that end before the input begins
    assert all(any(i[f"first{n}"] < 0 for i in integers_of) for n in range(3))
    larger = [np.subtract(op.kernel, case.inputs[0].shape[:-1]).max() > 0 for op, case in convs]
    assert set(larger) == {True, False}  # than the input
    repeats = [case.kernel.call.config.integers for case in cases if case.kernel.call.kernel == "stream_repeat_rows"]
    assert {i["row_distance"] > 0 for i in repeats} == {True, False}  # planes in memory, and rows
    pools = [case for case in cases if isinstance(case.node.op, Pool)]
    assert any("count" in c.kernel.call.config.integers and not c.kernel.call.config.integers["count"] for c in pools)


def vendor_headers() -> Path:
    spec = importlib.util.find_spec("da4ml")
    assert spec is not None and spec.submodule_search_locations, "da4ml is a test dependency: pip install kbuild[test]"
    return Path(spec.submodule_search_locations[0]) / "codegen/hls/source/ap_types/include"


def test_with_the_vendors_headers(tmp_path: Path) -> None:
    """In C++11 as Vivado HLS has it, and with the header that defines what `ap_fixed` means."""
    check(list(random_cases(3, 3)), tmp_path, vendor=vendor_headers())


@pytest.mark.slow
def test_all_kernels_with_the_vendors_headers(tmp_path: Path) -> None:
    check(list(random_cases(3, 30)), tmp_path, vendor=vendor_headers())


def test_a_packet_is_written_as_soon_as_it_can_be() -> None:
    """Of a convolution of images with padding: after the last pixel under the window, before any other is read."""
    b = Builder(np.random.default_rng(1))
    x = b.add(Input((4, 5, 2)), type=FixedType(8, 4))
    weight = b.tensor((3, 3, 2, 1))
    one, same = (1, 1), ((1, 1), (1, 1))
    op = Conv(weight, accum=FixedType(20, 10), strides=one, padding=same, dilation=one, input_dilation=one)
    node = b.add(op, [x])
    kernel = conv(node, op, [x], [natural(x.shape)])
    assert kernel is not None
    first = "a" * 5 + "a" + "a." * 4 + "."  # the second row completes the windows of the first
    assert order(kernel.schedule) == first + 2 * ("a" + "a." * 4 + ".") + "." * 5
