"""A case that Keras computes badly in float32 is decided by its float64, more strictly."""

from __future__ import annotations

import textwrap
from collections.abc import Callable

import numpy as np
import pytest

from conformance.catalog import CaseId
from conformance.check import Outcome, Wrong, compare_with_keras
from conformance.reference import Reference
from kbuild.ir import verify
from kbuild.ir.text import parse
from kbuild.ops import op_class

X = np.array([[1.0, -2.0, 0.5]])
TEXT = """
    graph "g" {
      %x = input() {shape = (3)} : float[3] @ "x" "InputLayer"
      return %x
    }
"""


def compared(single: np.ndarray, in_double: Callable[[], list[np.ndarray]] | None) -> bool:
    """Whether the float64 was asked, of a graph whose output is X."""
    graph, outcome = verify(parse(textwrap.dedent(TEXT), {}, op_class)), Outcome(CaseId("Identity", "keras3", 1))
    compare_with_keras(outcome, graph, {"x": X}, Reference("", {}, [X], [single], in_double=in_double))
    return outcome.in_double


def no_float64() -> list[np.ndarray]:
    raise TypeError("the layer has no float64")


def test_float32_is_enough() -> None:
    assert not compared(X * (1 + 5e-5), no_float64)


def test_float64_decides() -> None:
    assert compared(X + 0.01, lambda: [X * (1 + 1e-9)])


@pytest.mark.parametrize("in_double", [None, no_float64, lambda: [X + 0.01], lambda: [X * (1 + 5e-5)]])
def test_wrong(in_double: Callable[[], list[np.ndarray]] | None) -> None:
    with pytest.raises(Wrong, match="off Keras"):
        compared(X + 0.01, in_double)
