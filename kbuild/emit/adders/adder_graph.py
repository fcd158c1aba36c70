"""Products of a constant matrix with a vector as graphs of shifts, additions and subtractions."""

from __future__ import annotations

import numpy as np

from kbuild.dataclass import dataclass
from kbuild.fixed import IntArray, wide


@dataclass(frozen=True)
class Step:
    """A new value: `(a << a_shift) ± (b << b_shift)` of values by index; the inputs are values 0 to K - 1."""

    a: int
    b: int
    a_shift: int = 0
    b_shift: int = 0
    subtract: bool = False


@dataclass(frozen=True)
class Output:
    """`± value << shift`; value is None for zero. A negative shift divides, always exactly."""

    value: int | None
    shift: int = 0
    negative: bool = False


@dataclass(frozen=True)
class AdderGraph:
    """`inputs` values, then one a step; one output a column of the matrix."""

    inputs: int
    steps: tuple[Step, ...]
    outputs: tuple[Output, ...]

    def rows(self) -> list[IntArray]:
        """What each input is multiplied by in each value, in exact integers."""
        rows: list[IntArray] = list(np.eye(self.inputs, dtype=np.int64).astype(object))
        for step in self.steps:
            a, b = rows[step.a] * (1 << step.a_shift), rows[step.b] * (1 << step.b_shift)
            rows.append(a - b if step.subtract else a + b)
        return rows

    def matrix(self) -> IntArray:
        """The matrix [inputs, outputs] that the graph multiplies by."""
        rows = self.rows()
        columns = [_column(rows, output) for output in self.outputs]
        return np.stack(columns, axis=1) if columns else np.zeros((self.inputs, 0), dtype=object)

    def checked(self, matrix: IntArray) -> AdderGraph:
        """The graph itself, if it multiplies by `matrix`. Raises AssertionError otherwise."""
        if not np.array_equal(self.matrix(), wide(matrix)):
            raise AssertionError(f"the adder graph found for a matrix {matrix.shape} multiplies by another one")
        return self


def _column(rows: list[IntArray], output: Output) -> IntArray:
    if output.value is None:
        return np.zeros(len(rows[0]), dtype=object)
    row = rows[output.value] * (-1 if output.negative else 1)
    if output.shift >= 0:
        return row * (1 << output.shift)
    if any(v % (1 << -output.shift) for v in row):
        raise AssertionError("the adder graph divides inexactly")
    return row // (1 << -output.shift)
