"""Tables: how an input finds its entry. Shared by the ops that have tables."""

from __future__ import annotations

import numpy as np

from kbuild.fixed import INT64_BITS, FloatArray, IntArray, bits_of, wide


def look_up(table: IntArray, q: IntArray, offset: int, shift: int, width: int | None = None) -> IntArray:
    """`table[(q - offset) >> shift]`, the index saturated at both ends of the table. q has `width` bits, if given."""
    if q.dtype == object or width is None or width > INT64_BITS:
        width = bits_of(q)
    if max(width, offset.bit_length()) > INT64_BITS or shift > INT64_BITS:
        q = wide(q)
    index = np.asarray(q - offset)
    if shift:
        index >>= shift
    if index.dtype == object:
        index = np.clip(index, 0, table.size - 1).astype(np.int64)
    return table.take(index, mode="clip")


def centers(offset: int, shift: int, size: int, fraction: int) -> FloatArray:
    """The input value in the middle of the 2**shift inputs of each entry; the input itself where shift is 0."""
    first = offset + (np.arange(size, dtype=np.float64) * 2.0**shift)
    return np.ldexp(first + (2.0**shift - 1) / 2, -fraction)
