"""Spellings of fixed-point types, and casts against a slow oracle on exact fractions."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kbuild.fixed import (
    FixedType,
    IntArray,
    Overflow,
    Quantization,
    cast,
    cast_counting,
    contains,
    from_float,
    product_type,
    to_float,
    type_for,
    union_type,
)

MODES = list(itertools.product(Quantization, Overflow))


def types(widest: int) -> st.SearchStrategy[FixedType]:
    return st.builds(
        FixedType,
        st.integers(1, widest),
        st.integers(-20, widest + 20),
        st.booleans(),
        st.sampled_from(Quantization),
        st.sampled_from(Overflow),
    )


def rounded(value: Fraction, t: FixedType) -> int:
    """The multiple of the LSB that the manual's words choose, as an integer."""
    y = value / t.lsb
    below = math.floor(y)
    above = math.ceil(y)
    zero, away = (below, above) if y >= 0 else (above, below)
    if t.quantization is Quantization.TRN:
        return below
    if t.quantization is Quantization.TRN_ZERO:
        return zero
    if y - below != Fraction(1, 2):
        return below if y - below < Fraction(1, 2) else above
    ties = {
        Quantization.RND: above,
        Quantization.RND_MIN_INF: below,
        Quantization.RND_ZERO: zero,
        Quantization.RND_INF: away,
        Quantization.RND_CONV: below if below % 2 == 0 else above,
    }
    return ties[t.quantization]


def oracle(value: Fraction, t: FixedType) -> int:
    q = rounded(value, t)
    if t.overflow is Overflow.WRAP:
        q %= 1 << t.width
        return q - (1 << t.width) if t.signed and q >> (t.width - 1) else q
    high = (1 << (t.width - t.signed)) - 1
    low = -high - 1 if t.signed else 0
    if t.overflow is Overflow.SAT_ZERO:
        return q if low <= q <= high else 0
    if t.overflow is Overflow.SAT_SYM and t.signed and t.width > 1:  # the vendors keep -1 in a single signed bit
        low = -high
    return max(low, min(high, q))


def store(values: list[int]) -> IntArray:
    return np.array(values, dtype=np.int64 if all(abs(v) < 2**62 for v in values) else object)


# ---- spellings -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fixed<16,6>", FixedType(16, 6)),
        (" ufixed < 8 , 0 > ", FixedType(8, 0, False)),
        ("int<8>", FixedType(8, 8)),
        ("uint<1>", FixedType(1, 1, False)),
        ("fixed<16,6,RND>", FixedType(16, 6, True, Quantization.RND)),
        ("fixed<8,-3,RND_CONV,SAT>", FixedType(8, -3, True, Quantization.RND_CONV, Overflow.SAT)),
        ("ap_fixed<16,6>", FixedType(16, 6)),
        ("ap_fixed<16, 6, AP_RND_MIN_INF>", FixedType(16, 6, True, Quantization.RND_MIN_INF)),
        ("ap_fixed<8, 3, AP_TRN, AP_SAT_SYM>", FixedType(8, 3, True, Quantization.TRN, Overflow.SAT_SYM)),
        ("ap_fixed<16,6,AP_TRN,AP_WRAP,0>", FixedType(16, 6)),
        ("ap_ufixed<8,12,AP_TRN_ZERO,AP_SAT_ZERO>", FixedType(8, 12, False, Quantization.TRN_ZERO, Overflow.SAT_ZERO)),
        ("ap_int<1024>", FixedType(1024, 1024)),
        ("ap_uint<3>", FixedType(3, 3, False)),
        ("ac_fixed<16,6>", FixedType(16, 6)),
        ("ac_fixed<16,6,true>", FixedType(16, 6)),
        ("ac_fixed<16,6,false,AC_RND_INF,AC_SAT>", FixedType(16, 6, False, Quantization.RND_INF, Overflow.SAT)),
        ("ac_fixed<16, 6, true, RND_ZERO>", FixedType(16, 6, True, Quantization.RND_ZERO)),
        ("ac_int<4>", FixedType(4, 4)),
        ("ac_int<4, false>", FixedType(4, 4, False)),
    ],
)
def test_spellings(text: str, expected: FixedType) -> None:
    assert FixedType.parse(text) == expected


@given(types(1024))
def test_every_spelling_of_a_type_parses_back(t: FixedType) -> None:
    assert FixedType.parse(str(t)) == t
    assert FixedType.parse(t.spell("ap")) == t
    assert FixedType.parse(t.spell("ac")) == t
    assert FixedType.parse(t.spell("ap").replace(",", " , ").replace("AP_", "")) == t


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is not a fixed-point type; write for example fixed<16,6>"),
        ("float", "is not a fixed-point type"),
        ("fixed", "is not a fixed-point type"),
        ("fixed<16,6", "is not a fixed-point type"),
        ("fixed<16,6>>", "is not a fixed-point type"),
        ("fixed<fixed<1,1>,6>", "is not a fixed-point type"),
        ("xfixed<16,6>", "is not a fixed-point type"),
        ("fixed<16,6>; system()", "is not a fixed-point type"),
        ("fixed<16>", "fixed needs a width and integer bits"),
        ("int<>", "'' is not an integer"),
        ("fixed<16.5,6>", "'16.5' is not an integer"),
        ("fixed<W,6>", "'W' is not an integer"),
        ("fixed<0,0>", "a width of 0 bits is outside 1..1024"),
        ("ap_int<1025>", "a width of 1025 bits is outside 1..1024"),
        ("fixed<16,99999>", "99999 integer bits are outside"),
        ("fixed<16,9999999999>", "'9999999999' is not an integer"),
        ("fixed<16,6,ROUND>", "'ROUND' is not a quantization mode; one of TRN, "),
        ("fixed<16,6,RND,CLIP>", "'CLIP' is not an overflow mode; one of WRAP, "),
        ("ap_fixed<16,6,AP_TRN,AP_WRAP_SM>", "'AP_WRAP_SM' is not an overflow mode"),
        ("ap_fixed<16,6,AP_TRN,AP_WRAP,2>", "a number of saturated bits in WRAP mode is not supported"),
        ("ac_fixed<16,6,true,AC_TRN,AC_WRAP,0>", "a number of saturated bits"),
        ("ac_fixed<16,6,AC_RND>", "'AC_RND' is not a signedness; write true or false"),
        ("ac_ufixed<16,6>", "ac_ types say signedness as an argument, e.g. ac_fixed<...,false>"),
        ("int<8,RND>", "int takes no 'RND'"),
        ("ac_int<8,true,AC_RND>", "int takes no 'AC_RND'"),
    ],
)
def test_garbage_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as caught:
        FixedType.parse(text)
    assert f"'{text}'" in str(caught.value) and reason in str(caught.value)


@given(st.text(max_size=40))
def test_parse_returns_or_raises_value_error(text: str) -> None:
    try:
        t = FixedType.parse(text)
    except ValueError:
        return
    assert FixedType.parse(str(t)) == t


# ---- casts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES, ids=lambda m: f"{m[0].value}-{m[1].value}")
def test_all_small_casts(mode: tuple[Quantization, Overflow]) -> None:
    values = list(range(-40, 41))
    for width, signed, drop in itertools.product(range(1, 5), (False, True), range(-3, 8)):
        to = FixedType(width, width + drop, signed, *mode)
        expected = [oracle(Fraction(v), to) for v in values]
        assert cast(store(values), 0, to).tolist() == expected
        assert cast(np.array(values, dtype=object), 0, to).tolist() == expected


def some_integers(low: int, high: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(low, high), min_size=1, max_size=5)


@given(types(1024), st.integers(-60, 1100), some_integers(-(2**1024), 2**1024), st.data())
def test_casts_of_any_width(to: FixedType, fraction: int, values: list[int], data: st.DataObject) -> None:
    near = data.draw(some_integers(to.min * 8, to.max * 8))
    far = [v >> 3 for v in near]
    for q, f in ((values, fraction), (near, to.fraction + 3), (near, to.fraction + 2), (far, to.fraction - 1)):
        expected = [oracle(v * Fraction(2) ** -f, to) for v in q]
        assert [int(v) for v in cast(store(q), f, to)] == expected


@given(types(62), st.lists(st.integers(-(2**62) + 1, 2**62 - 1), min_size=1), st.integers(-70, 70))
def test_int64_and_python_integers_agree(to: FixedType, values: list[int], fraction: int) -> None:
    expected, overflows = cast_counting(np.array(values, dtype=object), fraction, to)
    got, count = cast_counting(np.array(values, dtype=np.int64), fraction, to)
    assert got.tolist() == expected.tolist()
    inside = [rounded(v * Fraction(2) ** -fraction, to) for v in values]
    assert count == overflows == sum(a != b for a, b in zip(inside, expected.tolist(), strict=True))


@given(types(80), st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1), st.data())
@example(FixedType(8, 8, True, Quantization.RND_MIN_INF), [-0.5 + 2.0**-54], None)
@example(FixedType(8, 8, True, Quantization.RND_INF), [-0.5 + 2.0**-54, 0.5 - 2.0**-54], None)
def test_floats(to: FixedType, values: list[float], data: st.DataObject | None) -> None:
    if data is not None and to.width <= 48:
        steps = data.draw(st.lists(st.integers(to.min * 8 - 9, to.max * 8 + 9)))
        values = values + [math.ldexp(step, -to.fraction - 2) for step in steps]
    expected = [oracle(Fraction(v), to) for v in values]
    assert [int(q) for q in from_float(values, to)] == expected
    assert from_float(np.array(values).reshape(1, -1), to).shape == (1, len(values))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_nan_and_infinity_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="NaN or infinity"):
        from_float([1.0, value], FixedType(16, 6))


@given(types(900), st.data())
def test_to_float_is_the_nearest_double(t: FixedType, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.integers(t.min, t.max), min_size=1, max_size=5))
    assert to_float(store(values), t).tolist() == [float(v * t.lsb) for v in values]


@given(types(53), st.data())
def test_a_value_of_the_type_is_unchanged(t: FixedType, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.integers(t.floor, t.max), min_size=1))
    assert cast(store(values), t.fraction, t).tolist() == values
    assert from_float(to_float(store(values), t), t).tolist() == values


# ---- types of results ------------------------------------------------------------------------------------------


@given(st.integers(-(2**70), 2**70), st.integers(0, 2**70), st.integers(-20, 20))
def test_type_for_is_the_smallest(low: int, extent: int, fraction: int) -> None:
    t = type_for(low, low + extent, fraction)
    assert t.fraction == fraction and t.signed == (low < 0)
    assert t.min <= low and low + extent <= t.max
    if t.width > 1:
        smaller = FixedType(t.width - 1, t.integer - 1, t.signed)
        assert smaller.min > low or smaller.max < low + extent


@given(types(6), types(6))
def test_products_and_unions_hold_every_value(a: FixedType, b: FixedType) -> None:
    product, union = product_type(a, b), union_type(a, b)
    assert product.fraction == a.fraction + b.fraction
    for x in (a.min, a.max, 0):
        for y in (b.min, b.max, 0):
            assert product.min <= x * y <= product.max
    assert contains(union, a.plain()) and contains(union, b.plain())


@given(types(5), types(5))
def test_contains_means_that_casting_changes_nothing(outer: FixedType, inner: FixedType) -> None:
    values = [q * inner.lsb for q in range(inner.min, inner.max + 1)]
    unchanged = all(oracle(v, outer) * outer.lsb == v for v in values)
    assert not contains(outer, inner) or unchanged
    if outer.quantization is Quantization.TRN and outer.fraction >= inner.fraction:
        assert contains(outer, inner) == unchanged
