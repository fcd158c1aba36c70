"""Softmax: the order of its inputs is that of its results, and the error is within the derived bound."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kbuild import emulate
from kbuild.emit import Target
from kbuild.emit.verilog import lower
from kbuild.engines import csim, csim_stream, rtl
from kbuild.fixed import FixedType, IntArray, Overflow, Quantization, from_float, to_float
from kbuild.ir import Graph, Layer, Node, OverflowCount, verify
from kbuild.ops.input import Input
from kbuild.ops.softmax import Softmax
from kbuild.passes.softmax_tables import PRECISE, Exponents, Refined, Single, softmax_tables

TARGET = Target("Yosys", "myproject", "LFE5U-85F-6BG381C", 5.0, 0.125, "io_parallel")
INPUTS = st.builds(
    lambda width, integer, signed: FixedType(width, integer, signed, Quantization.RND, Overflow.SAT),
    st.integers(2, 20),
    st.integers(-5, 9),
    st.booleans(),
)
LENGTHS = st.one_of(st.integers(1, 12), st.sampled_from([40, 100]))
OTHERS = st.sampled_from(["latency", "legacy"])


def exponents(x: FixedType, length: int, implementation: str = "stable") -> Exponents:
    low, high = (float(end) for end in x.range)
    return Exponents(implementation, x, (low, high), length)


def values_of(x: FixedType, seed: int, shape: tuple[int, int]) -> IntArray:
    """Random integers of the type: uniform, close to zero, or a few LSBs below the largest of their row."""
    rng = np.random.default_rng(seed)
    uniform = rng.integers(x.min, x.max + 1, shape)
    small = from_float(rng.normal(size=shape) * rng.choice([0.1, 1.0, 4.0, 100.0], size=(shape[0], 1)), x)
    below = rng.integers(0, 1 << rng.integers(0, max(x.width, 1), size=(shape[0], 1)), shape, endpoint=True)
    near = np.maximum(uniform.max(axis=1, keepdims=True) - below, x.min)
    return np.choose(rng.integers(0, 3, size=(shape[0], 1)), [uniform, small, near])


def computed(op: Softmax, q: IntArray, x: FixedType, result: FixedType) -> tuple[IntArray, np.ndarray]:
    """The results, and their errors in LSBs; none has overflowed."""
    overflow = OverflowCount()
    y = op.eval([q], [x], result, overflow)
    assert overflow.values == 0
    return y, np.abs(to_float(y, result) - op.eval_float([to_float(q, x)])) / float(result.lsb)


def assert_order_is_kept(q: IntArray, y: IntArray) -> None:
    """A larger input has no smaller result, and the largest results are those of the largest inputs alone."""
    order = q.argsort(axis=1)
    assert (np.diff(np.take_along_axis(y, order, axis=1), axis=1) >= 0).all()
    assert np.array_equal(y == y.max(axis=1, keepdims=True), q == q.max(axis=1, keepdims=True))


@settings(max_examples=120, deadline=None)
@given(INPUTS, LENGTHS, st.sampled_from([16, 16, 12, 8, 24]))
def test_default_keeps_the_order_and_is_within_two_steps(x: FixedType, length: int, width: int) -> None:
    task = exponents(x, length)
    op, result = softmax_tables(Softmax(), task, None, None, None, None, width)
    bits = min(width, PRECISE)
    assert result == FixedType(bits, 0, False, Quantization.RND)
    q = values_of(x, length, (300, length))
    y, error = computed(op, q, x, result)
    assert_order_is_kept(q, y)
    bound = Refined(task, bits).error_bound * 2.0**bits
    lowered = (q < q.max(axis=1, keepdims=True)) & (y == y.max(axis=1, keepdims=True) - 1)
    assert bound <= 2
    assert (error <= bound + lowered).all()


@settings(max_examples=60, deadline=None)
@given(INPUTS, LENGTHS, st.integers(1, 18), st.sampled_from(list(Quantization)))
def test_a_given_result_is_the_cast_of_a_finer_one(
    x: FixedType, length: int, fraction: int, mode: Quantization
) -> None:
    """One LSB for the cast, whatever its mode, and half of one for the tables; and a probability of one can be one."""
    result = FixedType(fraction + 2, 2, True, mode, Overflow.SAT)
    op, of = softmax_tables(Softmax(), exponents(x, length), None, None, None, result)
    assert of == result and not op.distinct
    y, error = computed(op, values_of(x, length, (200, length)), x, result)
    assert error.max() <= 1.5
    if length == 1 and mode is not Quantization.TRN and mode is not Quantization.TRN_ZERO:
        assert (y == 1 << fraction).all()


@pytest.mark.parametrize("x", [FixedType(16, 6), FixedType(16, -4), FixedType(24, 8), FixedType(19, 8)], ids=str)
def test_two_tables_of_exponentials_never_rise(x: FixedType) -> None:
    op, _ = softmax_tables(Softmax(), exponents(x, 10), None, None, None, None)
    low, _, _, _ = op.refinement()
    size = op.exponential().data.size << op.low_bits
    assert low.data.size > 1 and max(op.exponential().data.size, low.data.size) <= 2048
    steps = np.arange(size)[:, None] << op.exp_shift
    e = op._exponentials(steps)[0][:, 0]
    unit = op.exponential().fixed().fraction
    assert (np.diff(e) <= 0).all() and e[0] == 1 << unit
    assert np.abs(e - np.ldexp(np.exp(-steps[:, 0] * float(x.lsb)), unit)).max() <= 1.5 + 2.0 ** (unit - 19)


@settings(max_examples=80, deadline=None)
@given(INPUTS, LENGTHS, st.sampled_from([256, 1024, 5000]))
def test_a_table_size_is_kept(x: FixedType, length: int, size: int) -> None:
    task = exponents(x, length)
    op, result = softmax_tables(Softmax(), task, size, None, None, None)
    assert op.exp_low is None and op.exponential().data.size <= size
    q = values_of(x, length, (300, length))
    y, error = computed(op, q, x, result)
    bits = result.fraction
    bound = Single(task, 1 << (size.bit_length() - 1)).error_bound(bits) * 2.0**bits
    assert (error <= bound + 1).all() and (bits == 1 or bound <= 2)
    if (y.max(axis=1) > 0).all():
        assert_order_is_kept(q, y)


@settings(max_examples=80, deadline=None)
@given(INPUTS.filter(lambda x: x.width <= 16), LENGTHS, st.sampled_from([None, 256, 1024]), OTHERS)
def test_other_implementations_are_within_two_steps(
    x: FixedType, length: int, size: int | None, implementation: str
) -> None:
    task = exponents(x, length, implementation)
    try:
        op, result = softmax_tables(Softmax(implementation), task, size, None, None, None)
    except ValueError as error:
        assert "use the implementation stable" in str(error)
        return
    _, error = computed(op, values_of(x, length, (200, length)), x, result)
    bits = result.fraction
    assert bits == 1 or error.max() <= 2


def test_given_tables_are_used_as_they_are() -> None:
    exp, inv = FixedType(18, 8), FixedType(18, 4)
    op, _ = softmax_tables(Softmax(), exponents(FixedType(16, 6), 5), 1024, exp, inv, FixedType(16, 6))
    exp_table, inv_table = op.tables()
    assert (exp_table.type, inv_table.type) == (exp, inv) and op.exp_low is None and not op.distinct
    assert exp_table.data.size <= 1024


def test_argmax_is_one_hot_at_the_first_maximum() -> None:
    x = FixedType(4, 4)
    op, result = softmax_tables(Softmax("argmax"), exponents(x, 3, "argmax"), None, None, None, None)
    y = op.eval([np.array([[1, 3, 3], [-8, -8, -8], [0, 0, 1]])], [x], result, OverflowCount())
    assert y.tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1]]


def test_latency_over_a_wide_range_is_refused() -> None:
    task = Exponents("latency", FixedType(16, 6), (-32, 32), 5)
    with pytest.raises(ValueError, match=r"latency softmax over inputs from -32 to 32 needs exponentials of \d+ bits"):
        softmax_tables(Softmax("latency"), task, None, None, None, None)


# ---- the engines ------------------------------------------------------------------------------------------------

SAMPLES = 192
CASES = [
    (FixedType(16, 6), (10,), None, None),
    (FixedType(16, -4), (5,), None, None),
    (FixedType(9, 5), (10,), None, FixedType(8, 0, False, Quantization.RND, Overflow.SAT)),
    (FixedType(24, 8), (3,), None, None),
    (FixedType(12, 4), (2, 3), 256, None),
    (FixedType(8, 3, False), (1,), None, None),
    (FixedType(13, 12), (7,), None, None),
]


def all_cases() -> tuple[Graph, dict[str, IntArray]]:
    """One graph of all cases, and its inputs."""
    nodes, inputs = [], {}
    for i, (x, shape, size, given_result) in enumerate(CASES):
        op, result = softmax_tables(Softmax(), exponents(x, shape[-1]), size, None, None, given_result)
        nodes.append(Node(f"x{i}", Input(shape), (), shape, Layer(f"x{i}", "InputLayer"), x))
        nodes.append(Node(f"y{i}", op, (f"x{i}",), shape, Layer(f"y{i}", "Softmax"), result))
        inputs[f"x{i}"] = values_of(x, i, (SAMPLES * math.prod(shape[:-1]), shape[-1])).reshape(SAMPLES, *shape)
    return verify(Graph("softmaxes", tuple(nodes), tuple(f"y{i}" for i in range(len(CASES))))), inputs


@pytest.mark.parametrize("engine", ["csim", "csim_stream", "rtl"])
def test_engines_are_equal(engine: str, tmp_path: Path) -> None:
    graph, inputs = all_cases()
    wanted = emulate.run(graph, inputs).values
    if engine == "csim":
        found = csim.CSim(csim.build(graph, tmp_path), graph).run(inputs, graph.outputs)
    elif engine == "csim_stream":
        library = csim.build(graph, tmp_path, io_type="io_stream")
        found = csim_stream.StreamCSim(library, graph).run(inputs, graph.outputs)
    else:
        design = lower(graph, TARGET)
        found = rtl.Rtl(rtl.build(design, tmp_path), graph, design).run(inputs, graph.outputs)
    assert all(np.array_equal(found[name], wanted[name]) for name in graph.outputs)
