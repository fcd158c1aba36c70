"""Constants of quantized models as integers, without a loss."""

from __future__ import annotations

import numpy as np

from kbuild.fixed import FixedType, FloatArray, IntArray, compact, type_for
from kbuild.ir import Tensor

_MANTISSA = 53  # bits of a float64


def exact_tensor(values: FloatArray) -> Tensor:
    """The values in the smallest type that holds each exactly: there is one for any finite floats."""
    values = np.asarray(values, dtype=np.float64)
    mantissa, exponent = np.frexp(values)
    whole = np.ldexp(mantissa, _MANTISSA).astype(np.int64)  # values = whole * 2**(exponent - 53)
    used = whole != 0
    if not used.any():
        return Tensor(np.zeros(values.shape, np.int64), FixedType(1, 1, signed=False))
    zeros = np.log2((whole & -whole)[used].astype(np.float64)).astype(np.int64)
    lsb = int((exponent[used].astype(np.int64) - _MANTISSA + zeros).min())
    q = _scaled(whole, exponent.astype(np.int64) - _MANTISSA - lsb)
    return Tensor(q, type_for(min(0, int(q.min())), max(0, int(q.max())), -lsb))


def _scaled(whole: IntArray, shift: IntArray) -> IntArray:
    """`whole * 2**shift`, which is whole again."""
    if int(shift.max(initial=0)) < 8:
        return np.where(shift < 0, whole >> np.maximum(-shift, 0), whole << np.maximum(shift, 0))
    made = [w << s if s >= 0 else w >> -s for w, s in zip(whole.ravel().tolist(), shift.ravel().tolist(), strict=True)]
    return compact(np.array(made, dtype=object).reshape(whole.shape))
