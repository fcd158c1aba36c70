"""Products of float64 matrices by BLAS, cut so that it starts no threads: the emulator has threads of its own.

A matrix is cut into parts that NumPy hands to BLAS one after the other in a single call, without the interpreter.
OpenBLAS multiplies small matrices at least as fast as large ones.
"""

from __future__ import annotations

import numpy as np

from kbuild.fixed import FloatArray
from kbuild.parallel import parts

PRODUCTS = 1 << 18  # of so many at once OpenBLAS makes no parts for threads
_ROWS, _COLUMNS = 8, 8  # of so few at a time it is as fast as of many


def matmul(x: FloatArray, w: FloatArray, out: FloatArray | None = None) -> FloatArray:
    """x @ w for x [..., M, K] and w [..., K, N], into `out` where it is given. Beyond 4096 terms all at once."""
    rows, terms = x.shape[-2:]
    outputs = w.shape[-1]
    if out is None:
        out = np.empty((*np.broadcast_shapes(x.shape[:-2], w.shape[:-2]), rows, outputs))
    columns = min(outputs, PRODUCTS // (_ROWS * max(terms, 1)))
    if columns < min(outputs, _COLUMNS):
        return np.matmul(x, w, out=out)
    for n in parts(outputs, columns):
        _by_rows(x, w[..., n], out[..., n])
    return out


def _by_rows(x: FloatArray, w: FloatArray, out: FloatArray) -> None:
    rows, terms, outputs = x.shape[-2], x.shape[-1], w.shape[-1]
    most = max(PRODUCTS // max(terms * outputs, 1), 1)
    step = max(-(-rows // max(-(-rows // most), 1)), 1)  # parts of the same size, as far as that goes
    cut = rows - rows % step
    if cut:
        some = x[..., :cut, :].reshape(*x.shape[:-2], cut // step, step, terms)
        into = out[..., :cut, :].reshape(*out.shape[:-2], cut // step, step, outputs)  # a view: it splits an axis
        np.matmul(some, w[..., np.newaxis, :, :], out=into)
    if cut < rows:
        np.matmul(x[..., cut:, :], w, out=out[..., cut:, :])
