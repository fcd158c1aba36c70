"""QKeras' quantizers that round to a grid, by its definitions in inference. Fields are its arguments, in its order."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from kbuild.dataclass import dataclass, replace
from kbuild.fixed import FixedType, FloatArray, Overflow, Quantization
from kbuild.frontend.keras.quantizers import auto_scale
from kbuild.frontend.keras.quantizers.auto_scale import AUTO, Scaled
from kbuild.frontend.keras.quantizers.base import Alpha, Quantizer, Refused, channel_scale, scale_of
from kbuild.frontend.keras.quantizers.function import Function, Part, above, cast, clip_above, line, steps

MOST_STEPS = 10  # bits of a quantizer whose values are given one by one
_NEAREST = (Quantization.RND_CONV, Overflow.SAT)


def _grid(bits: int, integer: int, signed: bool, symmetric: bool) -> FixedType:
    overflow = Overflow.SAT_SYM if symmetric and signed else Overflow.SAT
    return FixedType(bits, integer + signed, signed, Quantization.RND_CONV, overflow)


def _levels(thresholds: list[float], values: list[float]) -> Function:
    return Function(((steps(thresholds, values),),))


def _few(bits: int) -> int:
    if bits > MOST_STEPS:
        raise Refused(f"{bits} bits of a real function; use up to {MOST_STEPS}")
    return bits


def _logit(p: float) -> float:
    return math.log(p) - math.log1p(-p)


@dataclass(frozen=True)
class QuantizedBits(Quantizer):
    """Round to nearest, ties to even, on a grid of 2**(integer - bits + sign), saturating; then times alpha."""

    bits: int = 8
    integer: int = 0
    symmetric: int = 0
    keep_negative: int = True
    alpha: Alpha = None
    use_stochastic_rounding: int = False
    scale_axis: int | None = None

    name: ClassVar[str] = "quantized_bits"

    def function(self) -> Function:
        unsigned = self.bits - int(self.keep_negative)
        scale = channel_scale(self.alpha)
        if unsigned == 0:
            low, high = (-1.0, 1.0) if self.keep_negative else (0.0, 1.0)
            return Function(((steps([0.0], [low, high]),),), scale)
        return Function(((cast(_grid(self.bits, self.integer, bool(self.keep_negative), bool(self.symmetric))),),),
                        scale)  # fmt: skip

    def scaled(self, w: FloatArray) -> Scaled:
        if self.alpha not in AUTO:
            return self.function().unscaled(w), scale_of(self.alpha)
        if self.bits < 2:
            raise Refused(f"alpha is {self.alpha!r} with {self.bits} bit; use binary")
        unsigned = self.bits - int(self.keep_negative)
        return auto_scale.bits_scaled(w, self.bits, self.integer, unsigned, self.alpha, self.scale_axis)

    def trained(self) -> Quantizer:
        return replace(self, alpha="auto_po2", symmetric=True) if self.alpha is None else self


@dataclass(frozen=True)
class QuantizedLinear(Quantizer):
    """As quantized_bits, but alpha scales the grid: values are divided by it first."""

    bits: int = 8
    integer: int = 0
    symmetric: int = 1
    keep_negative: int = True
    alpha: Alpha = None
    use_stochastic_rounding: int = False
    scale_axis: int | None = None

    name: ClassVar[str] = "quantized_linear"

    @property
    def _sign(self) -> bool:
        return self.bits == 1 and bool(self.keep_negative)

    def function(self) -> Function:
        scale = scale_of(self.alpha)
        lsb = 2.0 ** (self.integer - self.bits + bool(self.keep_negative))
        if self._sign:
            return Function(((steps([0.0], [-lsb / 2, lsb / 2]),),), channel_scale(self.alpha))
        exponent = math.log2(float(scale)) if scale.size == 1 and float(scale) > 0 else 0.5
        if not exponent.is_integer():
            raise Refused(f"alpha is {self.alpha}, by which values would be divided; use a power of two")
        of = _grid(self.bits, self.integer + int(exponent), bool(self.keep_negative), bool(self.symmetric))
        return Function(((cast(of),),))

    def scaled(self, w: FloatArray) -> Scaled:
        low, high = -0.5, 0.5
        if not self._sign:
            top = 2.0 ** (self.bits - bool(self.keep_negative))
            low, high = bool(self.keep_negative) * (-top + bool(self.symmetric)), top - 1
        if self.alpha in AUTO:
            if low == high:
                raise Refused(f"alpha is {self.alpha!r} with {self.bits} bits; use more")
            return auto_scale.linear_scaled(
                w, low, high, self._sign, bool(self.keep_negative), self.alpha, self.scale_axis
            )
        lsb = np.float32(2.0 ** (self.integer - self.bits + bool(self.keep_negative)))
        scale = np.asarray(lsb * np.float32(1.0 if self.alpha is None else self.alpha))
        shift = np.float32(0.5 if self._sign else 0.0)
        q = np.round(np.clip(w.astype(np.float32) / scale, np.float32(low), np.float32(high)) - shift) + shift
        return q.astype(np.float64), scale.astype(np.float64)

    def trained(self) -> Quantizer:
        return replace(self, alpha="auto_po2", symmetric=True) if self.alpha is None else self


@dataclass(frozen=True)
class QuantizedRelu(Quantizer):
    """The positive part on an unsigned grid; with a slope a negative part as well, of at most slope * 2**integer."""

    bits: int = 8
    integer: int = 0
    use_sigmoid: int = 0
    negative_slope: float = 0.0
    use_stochastic_rounding: int = False
    relu_upper_bound: float | None = None
    is_quantized_clip: int = True

    name: ClassVar[str] = "quantized_relu"

    def function(self) -> Function:
        bits = self.bits - (self.negative_slope != 0)
        if bits < 1:
            raise Refused(f"{self.bits} bits leave none for the positive part")
        of = FixedType(bits, self.integer, False, *_NEAREST)
        if self.use_sigmoid:
            return self._sigmoid(bits)
        positive: tuple[Part, ...] = (clip_above(None), cast(of))
        if self.relu_upper_bound is not None and self.relu_upper_bound > 0 and not self.is_quantized_clip:
            positive = (*positive, clip_above(float(np.float32(self.relu_upper_bound))))
        if self.negative_slope == 0:
            return Function((positive,))
        slope = self._slope()
        # All of the negative part is above -slope * 2**integer: the range of a signed type without its positive half.
        fraction = bits - self.integer
        lowest = slope * 2.0**bits  # in LSBs
        width = max(round(math.log2(lowest)), 0) + 1
        negative: tuple[Part, ...] = (clip_above(0.0, slope), cast(FixedType(width, width - fraction, True, *_NEAREST)))
        if lowest < 1:
            negative = (*negative, line(lowest, 0.0))
        return Function((positive, negative))

    def unquantized(self) -> tuple[Part, ...]:
        bits = self.bits - (self.negative_slope != 0)
        top = self.relu_upper_bound
        if self.is_quantized_clip:
            top = 2.0**self.integer - 2.0 ** (self.integer - bits)
        return (clip_above(None if top is None else float(np.float32(top)), self.negative_slope or None),)

    def _slope(self) -> float:
        exponent = math.log2(self.negative_slope) if self.negative_slope > 0 else 0.5
        if not exponent.is_integer():
            raise Refused(f"negative_slope is {self.negative_slope}, not a power of two")
        return float(self.negative_slope)

    def _sigmoid(self, bits: int) -> Function:
        """`2 * round(hard_sigmoid(x)) - 1`, its positive part."""
        if self.negative_slope != 0:
            raise Refused("use_sigmoid with a negative_slope; use one of the two")
        unit = 2.0**self.integer
        rounded = FixedType(bits + 1, 1, False, *_NEAREST)
        return Function(((line(0.5 / unit, 0.5), clip_above(1.0), cast(rounded), line(2 * unit, -unit),
                          clip_above(unit - unit / 2**bits)),))  # fmt: skip


@dataclass(frozen=True)
class QuantizedTanh(Quantizer):
    """The line between -1 and 1, or the real tanh, on a signed grid."""

    bits: int = 8
    use_stochastic_rounding: int = False
    symmetric: int = False
    use_real_tanh: int = False

    name: ClassVar[str] = "quantized_tanh"

    def function(self) -> Function:
        if not self.use_real_tanh:
            return Function(((cast(_grid(self.bits, 0, True, bool(self.symmetric))),),))
        m = 2 ** (_few(self.bits) - 1)
        levels = range(-m + bool(self.symmetric), m)
        return _levels([math.atanh((k + 0.5) / m) for k in levels[:-1]], [k / m for k in levels])


@dataclass(frozen=True)
class QuantizedSigmoid(Quantizer):
    """The line from -1 to 1 that is a half at 0, or the real sigmoid, on an unsigned grid."""

    bits: int = 8
    symmetric: int = False
    use_real_sigmoid: int = False
    use_stochastic_rounding: int = False

    name: ClassVar[str] = "quantized_sigmoid"

    def function(self) -> Function:
        m = 2**self.bits
        if self.use_real_sigmoid:
            levels = range(int(bool(self.symmetric)), 2 ** _few(self.bits))
            return _levels([_logit((k + 0.5) / m) for k in levels[:-1]], [k / m for k in levels])
        rounded: tuple[Part, ...] = (line(0.5, 0.5), cast(FixedType(self.bits, 0, False, *_NEAREST)))
        if self.symmetric:
            rounded = (*rounded, line(1.0, -1 / m), clip_above(None), line(1.0, 1 / m))
        return Function((rounded,))


@dataclass(frozen=True)
class QuantizedUlaw(Quantizer):
    """Steps of a logarithm."""

    bits: int = 8
    integer: int = 0
    symmetric: int = 0
    u: float = 255.0

    name: ClassVar[str] = "quantized_ulaw"

    def function(self) -> Function:
        if self.u <= 0:
            raise Refused(f"u is {self.u}, not above 0")
        m, unit = 2 ** (_few(self.bits) - 1), 2.0**self.integer
        thresholds, values = [], []
        for j in range(m + 1):
            line_value = 2 * j / m - 1
            law = math.copysign(math.log1p(self.u * abs(line_value)) / math.log1p(self.u), line_value)
            limited = min(max(law, -1 + bool(self.symmetric) / m), 1 - 1 / m)
            values.append(float(np.float32(unit * limited)))
            if j < m:
                tie = unit * (2 * (j + 0.5) / m - 1)
                thresholds.append(tie if j % 2 else above(tie))  # ties to even
        return _levels(thresholds, values)
