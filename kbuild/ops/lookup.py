"""Tables: how an input finds its entry. Shared by the ops that have tables."""

from __future__ import annotations

import numpy as np

from kbuild.fixed import INT64_BITS, FloatArray, IntArray, bits_of, compact, wide


def index_of(q: IntArray, offset: int, shift: int, size: int) -> IntArray:
    """Entry of the input integer q: `(q - offset) >> shift`, saturated into 0..size-1."""
    if max(bits_of(q), offset.bit_length()) > INT64_BITS or shift > INT64_BITS:
        q = wide(q)
    return compact(np.minimum(np.maximum((q - offset) >> shift, 0), size - 1)).astype(np.int64)


def centers(offset: int, shift: int, size: int, fraction: int) -> FloatArray:
    """The input value in the middle of the 2**shift inputs of each entry; the input itself where shift is 0."""
    first = offset + (np.arange(size, dtype=np.float64) * 2.0**shift)
    return np.ldexp(first + (2.0**shift - 1) / 2, -fraction)
