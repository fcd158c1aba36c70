"""The compiled kernels, loaded: evaluations of sums of products for any thread."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from kbuild.fixed import IntArray
from kbuild.ir.op import OverflowCount, Shape
from kbuild.ops.compiled import Sums
from kbuild.ops.native.plan import CHANNELS, COLUMNS, ROWS, Plan, channels_plan, columns_plan, rows_plan
from kbuild.ops.native.windows import laid_out, matrix
from kbuild.ops.windows import Window

Accumulation = Callable[[IntArray, OverflowCount], IntArray]
_FINE, _OUT_OF_RANGE, _NO_MEMORY = range(3)


class Kernels:
    """A compiled library. What a method returns equals the NumPy evaluation of the same sums; None: it cannot be so."""

    def __init__(self, library: Path) -> None:
        """Load it. Raises OSError for a file that is no such library, AttributeError for another one."""
        opened = ctypes.CDLL(str(library))
        self._run = {name: getattr(opened, name) for name in (ROWS, CHANNELS, COLUMNS)}
        for name, function in self._run.items():
            sizes = [ctypes.c_int64] * (2 if name == COLUMNS else 1)
            function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, *sizes, ctypes.c_void_p, ctypes.c_void_p]
            function.restype = ctypes.c_int64

    def dense(self, of: Sums) -> Accumulation | None:
        """For integers [M, K]: [M, N]."""
        return self._by_rows(rows_plan(of, matrix(len(of.weight.data))))

    def convolution(self, of: Sums, window: Window, shape: Shape) -> Accumulation | None:
        """For integers [B, *shape], channels last: [B, elements of the result]."""
        if of.groups == shape[-1] > 1:
            repeat = of.weight.shape[-1] // of.groups
            return self._by_rows(channels_plan(of, laid_out(window, shape, repeat)))
        return self._by_rows(rows_plan(of, laid_out(window, shape)))

    def columns(self, of: Sums) -> Accumulation | None:
        """For integers [..., K, M], a sample in each column: [..., N, M]."""
        plan = columns_plan(of, matrix(len(of.weight.data)))
        if plan is None:
            return None

        def evaluate(q: IntArray, overflow: OverflowCount) -> IntArray:
            q = _contiguous(q, plan, q.shape[-2])
            y = np.empty((*q.shape[:-2], plan.outputs, q.shape[-1]), np.int64)
            batches = q.size // max(q.shape[-2] * q.shape[-1], 1)
            overflow.add(*self._call(plan, q, (q.shape[-1], batches), y))
            return y

        return evaluate

    def _by_rows(self, plan: Plan | None) -> Accumulation | None:
        if plan is None:
            return None

        def evaluate(q: IntArray, overflow: OverflowCount) -> IntArray:
            q = _contiguous(q, plan, math.prod(q.shape[1:]))
            y = np.empty((len(q), plan.outputs), np.int64)
            overflow.add(*self._call(plan, q, (len(q),), y))
            return y

        return evaluate

    def _call(self, plan: Plan, q: IntArray, sizes: Sequence[int], y: IntArray) -> tuple[int, int]:
        """The numbers of overflows inside and of results; ctypes lets go of the interpreter's lock."""
        overflows = (ctypes.c_int64 * 2)()
        run = self._run[plan.kernel]
        answer = run(ctypes.byref(plan.structure), q.ctypes.data, *sizes, y.ctypes.data, ctypes.byref(overflows))
        if answer == _NO_MEMORY:
            raise MemoryError
        if answer == _OUT_OF_RANGE:
            raise ValueError("inputs are outside their type")
        return overflows[0], overflows[1]


def _contiguous(q: IntArray, plan: Plan, elements: int) -> IntArray:
    if elements != plan.inputs:
        raise ValueError(f"a sample has {elements} elements, not {plan.inputs}")
    return np.ascontiguousarray(q, np.int64)
