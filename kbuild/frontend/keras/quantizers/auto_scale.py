"""The scales that QKeras finds itself (`alpha` auto and auto_po2), in float32 as there: they depend on the weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kbuild.fixed import FloatArray

Single = NDArray[np.float32]
Scaled = tuple[FloatArray, FloatArray]  # values on a grid, and the scale that broadcasts to them

AUTO = ("auto", "auto_po2")
EPSILON = np.float32(1e-7)  # of Keras
_ITERATIONS = 5
_LOG2 = np.float32(np.log(2.0))


def log2(x: Single) -> Single:
    """As `log(x) / log(2)` in float32."""
    return np.asarray(np.log(x.astype(np.float64)).astype(np.float32) / _LOG2)


def _power(exponent: Single) -> Single:
    return np.exp2(exponent.astype(np.float64)).astype(np.float32)


def _axes(rank: int, axis: int | None) -> tuple[int, ...]:
    """All axes but that of the scales, the last unless another is given."""
    kept = rank - 1 if axis is None else axis
    return tuple(n for n in range(rank) if n != kept)


def least_squares(x: Single, q: Single, alpha: str, axis: int | None = None) -> Single:
    """The scale with which q is nearest to x; for a vector that of each element by itself."""
    qx, qq = x * q, q * q
    if x.ndim > 1:
        axes = _axes(x.ndim, axis)
        qx, qq = qx.mean(axis=axes, keepdims=True), qq.mean(axis=axes, keepdims=True)
    scale: Single = qx / (qq + EPSILON)
    return scale if alpha == "auto" else _power(np.round(log2(scale + EPSILON)))


def bits_scaled(w: FloatArray, bits: int, integer: int, unsigned_bits: int, alpha: str, axis: int | None) -> Scaled:
    """`quantized_bits` with alpha auto or auto_po2, which is always symmetric."""
    unit, levels = np.float32(2.0**integer), (2 ** (bits - 1) - 1) * 2
    half = np.float32(levels / 2)
    x: Single = w.astype(np.float32) / unit
    axes = _axes(x.ndim, axis) if x.ndim > 1 else (0,)
    scale: Single = np.abs(x).max(axis=axes, keepdims=True) * np.float32(2) / np.float32(levels)

    def rounded(scale: Single) -> Single:
        with np.errstate(divide="ignore", invalid="ignore"):
            v = np.floor(np.abs(x) / scale + np.float32(0.5))
        return np.asarray(np.sign(x) * np.where(v < half, v, half))

    z = rounded(scale)
    if alpha == "auto_po2":
        scale = _power(np.round(log2(scale + EPSILON)))
        for _ in range(_ITERATIONS):
            z = rounded(scale)
            scale = least_squares(x, z, alpha, axis)
    m = 2.0**unsigned_bits
    return z.astype(np.float64) * (float(unit) / m), scale.astype(np.float64) * m


def linear_scaled(
    w: FloatArray, low: float, high: float, sign: bool, keep_negative: bool, alpha: str, axis: int | None
) -> Scaled:
    """`quantized_linear` with alpha auto or auto_po2: integers, or halves for a sign, and their scale."""
    x: Single = w.astype(np.float32)
    axes = _axes(x.ndim, axis) if x.ndim > 1 else ()
    span = np.float32(high - low)
    largest = np.abs(x).max(axis=axes, keepdims=True) * np.float32(2) if keep_negative else x.max(axes, keepdims=True)
    scale: Single = np.maximum(largest / span, EPSILON)
    shift = np.float32(0.5 if sign else 0.0)

    def rounded(scale: Single) -> Single:
        return np.round(np.clip(x / scale, np.float32(low), np.float32(high)) - shift) + shift

    if alpha == "auto_po2":
        scale = _power(np.round(log2(scale + EPSILON)))
        for _ in range(1 if sign else _ITERATIONS):
            before, scale = scale, least_squares(x, rounded(scale), alpha, axis)
            if np.array_equal(before, scale):
                break
    return rounded(scale).astype(np.float64), scale.astype(np.float64)


def signs_scaled(w: FloatArray, signs: FloatArray, alpha: str) -> Scaled:
    """`binary` with alpha auto or auto_po2."""
    return signs, least_squares(w.astype(np.float32), signs.astype(np.float32), alpha).astype(np.float64)


def ternary_scaled(w: FloatArray, alpha: str, iterations: int) -> Scaled:
    """`ternary` with alpha auto or auto_po2: the dead zone is half of the scale."""
    x: Single = w.astype(np.float32)
    axes: Any = tuple(range(x.ndim - 1)) if x.ndim > 1 else None
    scale: Single = np.float32(2) * np.abs(x).max(axis=axes, keepdims=True) / np.float32(3)
    if alpha == "auto_po2":
        scale = _power(np.round(log2(scale + EPSILON)))
    q = np.zeros_like(x)
    for _ in range(iterations):
        with np.errstate(divide="ignore", invalid="ignore"):
            v = scale * np.round(x / scale)  # half of the scale is rounded to even, which is none
        q = (np.abs(v) >= scale / np.float32(2)).astype(np.float32) * np.sign(x)
        scale = least_squares(x, q, alpha)
    return q.astype(np.float64), scale.astype(np.float64)
