"""The unary functions that become tables, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from kbuild.fixed import FloatArray

_SELU_SCALE = 1.0507009873554804934193349852946

def _erf(x: FloatArray) -> FloatArray:
    flat = [math.erf(v) for v in np.ravel(x).tolist()]
    return np.array(flat, dtype=np.float64).reshape(np.shape(x))


def _sigmoid(x: FloatArray) -> FloatArray:
    small = np.exp(-np.abs(x))  # never overflows
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small))


def _softplus(x: FloatArray) -> FloatArray:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _elu(x: FloatArray, alpha: float = 1.0) -> FloatArray:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _selu(x: FloatArray) -> FloatArray:
    return _SELU_SCALE * _elu(x, 1.6732632423543772848170429916717)


def _gelu(x: FloatArray) -> FloatArray:
    return x * 0.5 * (1 + _erf(x / math.sqrt(2)))


def _gelu_tanh(x: FloatArray) -> FloatArray:
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def _log_sigmoid(x: FloatArray) -> FloatArray:
    return -_softplus(-x)


def _clipped_line(
    x: FloatArray, slope: float = 1.0, offset: float = 0.0, low: float = -1.0, high: float = 1.0
) -> FloatArray:
    return np.clip(slope * x + offset, low, high)


def _hard_silu(x: FloatArray) -> FloatArray:
    return x * _clipped_line(x, 1 / 6, 0.5, 0.0, 1.0)


def _leaky_relu(x: FloatArray, slope: float = 0.2) -> FloatArray:
    return np.where(x > 0, x, slope * x)


def _sparse_plus(x: FloatArray) -> FloatArray:
    return np.where(x <= -1, 0.0, np.where(x < 1, 0.25 * (x + 1) ** 2, x))


def _at_least_one(x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Significand in 1 .. 2 and power of two of numbers from 1 on; of 1 for what is less."""
    significand, exponent = np.frexp(np.maximum(x, 1.0))
    return 2 * significand, np.ldexp(0.5, exponent)


FUNCTIONS: dict[str, Callable[..., FloatArray]] = {
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "elu": _elu,  # parameter: alpha
    "selu": _selu,
    "softplus": _softplus,
    "softsign": lambda x: x / (1 + np.abs(x)),
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "silu": lambda x: x * _sigmoid(x),
    "mish": lambda x: x * np.tanh(_softplus(x)),
    "clipped_line": _clipped_line,  # parameters: slope, offset, low, high; the hard sigmoid and its like
    "leaky_relu": _leaky_relu,  # parameter: slope
    "celu": lambda x, alpha=1.0: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) / alpha)),
    "hard_silu": _hard_silu,
    "log_sigmoid": _log_sigmoid,
    "soft_shrink": lambda x, threshold=0.5: np.sign(x) * np.maximum(np.abs(x) - threshold, 0),
    "sparse_plus": _sparse_plus,
    "squareplus": lambda x, b=4.0: (x + np.sqrt(x * x + b)) / 2,
    "tanh_shrink": lambda x: x - np.tanh(x),
    "expm1": lambda x: np.expm1(np.minimum(x, 700.0)),
    "sqrt": lambda x: np.sqrt(np.maximum(x, 0)),
    "scaled_exp": lambda x, factor=1.0: np.exp(np.minimum(factor * x, 700.0)),
    "inverse": lambda x, epsilon=1e-7: 1 / (x + epsilon),
    "exp": lambda x: np.exp(np.minimum(x, 700.0)),
    "gaussian": lambda x: np.exp(-np.square(x)),
    # The product of both is 1 / x for x from 1 on.
    "reciprocal_significand": lambda x: 1 / _at_least_one(x)[0],
    "reciprocal_exponent": lambda x: 1 / _at_least_one(x)[1],
}

# Functions that come to lie on a line through zero as their input rises: its slope.
LINES: dict[str, float] = {
    "elu": 1.0,
    "selu": _SELU_SCALE,
    "celu": 1.0,
    "softplus": 1.0,
    "gelu": 1.0,
    "gelu_tanh": 1.0,
    "silu": 1.0,
    "hard_silu": 1.0,
    "mish": 1.0,
    "sparse_plus": 1.0,
    "leaky_relu": 1.0,
}
