"""Tables: exact where every input has its entry, within the derived bound where not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kbuild.fixed import FixedType, Overflow, Quantization, from_float, to_float
from kbuild.ir import OverflowCount
from kbuild.ops.functions import FUNCTIONS
from kbuild.ops.lut import Lut
from kbuild.ops.softmax import Softmax
from kbuild.passes.tables import exponents_of, lut_table, softmax_tables

INPUTS = st.builds(
    lambda width, integer, signed: FixedType(width, integer, signed, Quantization.RND, Overflow.SAT),
    st.integers(2, 16),
    st.integers(-2, 8),
    st.booleans(),
)
IMPLEMENTATIONS = st.sampled_from(["stable", "latency", "legacy"])


def values_of(x: FixedType, seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """Random integers of the type: some uniform, some close to zero."""
    rng = np.random.default_rng(seed)
    scale = rng.choice([0.1, 1.0, 4.0, 100.0], size=(shape[0],) + (1,) * (len(shape) - 1))
    return np.where(
        rng.random(shape[0])[(...,) + (None,) * (len(shape) - 1)] < 0.5,
        rng.integers(x.min, x.max + 1, shape),
        from_float(rng.normal(size=shape) * scale, x),
    )


@settings(max_examples=150, deadline=None)
@given(INPUTS, st.integers(1, 40), st.sampled_from([None, 256, 1024, 5000]), IMPLEMENTATIONS)
def test_automatic_softmax_is_within_two_steps(
    x: FixedType, length: int, size: int | None, implementation: str
) -> None:
    span = tuple(float(v) for v in x.range)
    op = Softmax(implementation)
    exponents = exponents_of(op, x, (span[0], span[1]), length, size)
    try:
        made, result = softmax_tables(op, exponents, None, None, None)
    except ValueError as error:
        assert implementation != "stable" and "use the implementation stable" in str(error)
        return
    q = values_of(x, length, (400, length))
    y = to_float(made.eval([q], [x], result, OverflowCount()), result)
    error = np.abs(y - made.eval_float([to_float(q, x)])).max()
    bits = result.fraction
    assert error <= exponents.error_bound(bits), (made.exp_table, made.inv_table, result)
    assert bits == 1 or error <= 2 * float(result.lsb)
    if size is not None:
        assert made.exp_table is not None and made.exp_table.data.size <= size


def test_argmax_is_one_hot_at_the_first_maximum() -> None:
    x = FixedType(4, 4)
    op = Softmax("argmax")
    made, result = softmax_tables(op, exponents_of(op, x, (-8, 7), 3, None), None, None, None)
    y = made.eval([np.array([[1, 3, 3], [-8, -8, -8], [0, 0, 1]])], [x], result, OverflowCount())
    assert y.tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1]]


def test_latency_over_a_wide_range_is_refused() -> None:
    x = FixedType(16, 6)
    op = Softmax("latency")
    with pytest.raises(ValueError, match=r"latency softmax over inputs from -32 to 32 needs exponentials of \d+ bits"):
        softmax_tables(op, exponents_of(op, x, (-32, 32), 5, None), None, None, None)


@settings(max_examples=200, deadline=None)
@given(INPUTS, st.sampled_from(sorted(FUNCTIONS)), st.sampled_from([None, 64, 4096]))
def test_function_tables(x: FixedType, function: str, size: int | None) -> None:
    span = tuple(float(v) for v in x.range)
    if function == "exp" and span[1] > 20:
        span = (span[0], 20.0)
    op = lut_table(Lut(function), x, (span[0], span[1]), size, None)
    table = op.made()
    assert table.data.size <= (size or 1024)
    q = np.arange(x.min, min(x.max, int(span[1] * 2.0**x.fraction)) + 1)[:, None]
    y = to_float(op.eval([q], [x], table.fixed(), OverflowCount()), table.fixed())
    true = op.eval_float([to_float(q, x)])
    steps = np.abs(np.diff(true[:, 0])).max(initial=0.0) * 2**op.shift  # no cell varies by more than this
    assert np.abs(y - true).max() <= steps + float(table.fixed().lsb)
    if op.shift == 0:
        assert np.abs(y - true).max() <= float(table.fixed().lsb) * 1.001


@pytest.mark.parametrize("function", ["clipped_line", "sigmoid", "tanh", "sparse_plus"])
def test_coarse_entries_still_make_a_table(function: str) -> None:
    """With entries as coarse as the function, the parts that are as good as each of its ends overlap."""
    params = (1.0, 0.0, -1.0, 1.0) if function == "clipped_line" else ()
    x = FixedType(15, 0, True, Quantization.RND)
    for integer in range(-1, 5):
        of = FixedType(16, 16 - integer, True, Quantization.RND_INF, Overflow.SAT)
        op = lut_table(Lut(function, params), x, (-0.5, 0.5), None, of)
        values = np.arange(x.min, x.max + 1, 97)
        y = to_float(op.eval([values], [x], of, OverflowCount()), of)
        assert np.abs(y - op.eval_float([to_float(values, x)])).max() <= 1.5 * float(of.lsb)
