"""Adder graphs: equal to their matrix for any matrix, whoever finds them."""

from __future__ import annotations

import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kbuild.emit.adders import constant_multiply, signed_digits
from kbuild.emit.adders.adder_graph import AdderGraph, Output, Step
from kbuild.fixed import IntArray


@st.composite
def matrices(draw: st.DrawFn, bits: int = 12) -> IntArray:
    """Small matrices with zeros, equal columns and powers of two among them."""
    shape = draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    width = draw(st.integers(1, bits))
    common = st.sampled_from([0, 0, 1, -1, 2, -4, 3, (1 << width) - 1, -(1 << width)])
    return draw(hnp.arrays(np.int64, shape, elements=st.integers(-(1 << width), 1 << width) | common))


@given(matrices())
@settings(max_examples=60, deadline=None)
def test_any_matrix(matrix: IntArray) -> None:
    graph = constant_multiply.solve(matrix, [(-8, 7)] * len(matrix))
    assert np.array_equal(graph.matrix(), matrix)


@given(matrices(bits=60))
@settings(max_examples=60, deadline=None)
def test_any_matrix_by_signed_digits(matrix: IntArray) -> None:
    graph = signed_digits.solve(matrix)
    assert np.array_equal(graph.matrix(), matrix)
    assert len(graph.steps) <= max(signed_digits.count(matrix) - np.count_nonzero(matrix.any(axis=0)), 0)


def test_weights_of_any_width() -> None:
    matrix = np.array([[3 * 2**90 - 1, -(2**70)], [0, 5**40]], dtype=object)
    assert np.array_equal(constant_multiply.solve(matrix, [(0, 1)] * 2).matrix(), matrix)


def test_blocks_of_a_large_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constant_multiply, "BLOCK_DIGITS", 300)
    matrix = np.random.default_rng(1).integers(-(1 << 15), 1 << 15, (13, 20))
    assert signed_digits.count(matrix) > 900
    graph = constant_multiply.solve(matrix, [(-128, 127)] * 13)
    assert np.array_equal(graph.matrix(), matrix)
    assert len(graph.steps) < 0.6 * signed_digits.count(matrix)


def test_without_da4ml(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = np.random.default_rng(2).integers(-32, 32, (16, 16))
    ranges = [(-128, 127)] * 16
    best = len(constant_multiply.solve(matrix, ranges).steps)
    monkeypatch.setitem(sys.modules, "da4ml.cmvm", None)
    constant_multiply.solved.cache_clear()
    found = constant_multiply.solve(matrix, ranges)
    constant_multiply.solved.cache_clear()
    assert found == signed_digits.solve(matrix) or len(found.steps) == len(signed_digits.solve(matrix).steps)
    assert best <= len(found.steps) <= 1.25 * best


def test_the_same_graph_every_time() -> None:
    matrix = np.random.default_rng(3).integers(-128, 128, (24, 24))
    first = constant_multiply.solve(matrix, [(-128, 127)] * 24)
    constant_multiply.solved.cache_clear()
    assert constant_multiply.solve(matrix, [(-128, 127)] * 24) == first


def test_a_wrong_graph_is_refused() -> None:
    wrong = AdderGraph(2, (Step(0, 1),), (Output(2, 1),))
    assert wrong.checked(np.array([[2], [2]])) is wrong
    with pytest.raises(AssertionError, match="multiplies by another"):
        wrong.checked(np.array([[2], [3]]))
    with pytest.raises(AssertionError, match="divides inexactly"):
        AdderGraph(1, (), (Output(0, -1),)).matrix()


def test_signed_digits_are_canonical() -> None:
    for value in range(-300, 300):
        digits = signed_digits.digits_of(value)
        assert sum((-1 if negative else 1) << at for at, negative in digits) == value
        assert all(b - a > 1 for (a, _), (b, _) in pairwise(digits))
        assert signed_digits.count(np.array([value])) == len(digits)


def test_inputs_that_never_change() -> None:
    """A range of one value: the solver may not drop what adds up to a constant, here zero."""
    rng = np.random.default_rng(0)
    for _ in range(30):
        matrix = rng.integers(-50, 50, (4, 3))
        ranges = [(int(v), int(v)) if rng.random() < 0.7 else (-8, 7) for v in rng.choice([-31, 0, 31], 4)]
        graph = constant_multiply.solve(matrix, ranges)  # compared with the matrix inside
        still = [k for k, (low, high) in enumerate(ranges) if low == high == 0]
        assert (np.delete(graph.matrix(), still, axis=0) == np.delete(matrix, still, axis=0)).all()
