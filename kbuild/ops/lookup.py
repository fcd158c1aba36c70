"""Tables: how an input finds its entry. Shared by the ops that have tables."""

from __future__ import annotations

import numpy as np

from kbuild.fixed import INT64_BITS, FloatArray, IntArray, bits_of, wide


def index_of(q: IntArray, offset: int, shift: int, size: int, width: int | None = None) -> IntArray:
    """Entry of the input integer q: `(q - offset) >> shift`, saturated into 0..size-1. q has `width` bits, if given."""
    index = _index(q, offset, shift, width)
    return np.clip(index, 0, size - 1, out=index).astype(np.int64, copy=False)


def look_up(table: IntArray, q: IntArray, offset: int, shift: int, width: int | None = None) -> IntArray:
    """The entries at `index_of`, which is saturated while they are read."""
    index = _index(q, offset, shift, width)
    if index.dtype == object:
        index = np.clip(index, 0, table.size - 1).astype(np.int64)
    return table.take(index, mode="clip")


def _index(q: IntArray, offset: int, shift: int, width: int | None) -> IntArray:
    if q.dtype == object or width is None or width > INT64_BITS:
        width = bits_of(q)
    if max(width, offset.bit_length()) > INT64_BITS or shift > INT64_BITS:
        q = wide(q)
    index = np.asarray(q - offset)
    if shift:
        index >>= shift
    return index


def centers(offset: int, shift: int, size: int, fraction: int) -> FloatArray:
    """The input value in the middle of the 2**shift inputs of each entry; the input itself where shift is 0."""
    first = float(offset) + np.arange(size, dtype=np.float64) * 2.0**shift
    return np.ldexp(first + (2.0**shift - 1) / 2, -fraction)
