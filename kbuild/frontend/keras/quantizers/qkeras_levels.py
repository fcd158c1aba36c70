"""QKeras' quantizers with few values: signs, ternary values, powers of two; by its definitions in inference."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from kbuild.dataclass import dataclass, replace
from kbuild.fixed import FloatArray
from kbuild.frontend.keras.quantizers import auto_scale
from kbuild.frontend.keras.quantizers.auto_scale import AUTO, Scaled
from kbuild.frontend.keras.quantizers.base import Alpha, Quantizer, Refused, channel_scale, scale_of
from kbuild.frontend.keras.quantizers.function import Function, above, steps

_EPSILON = float(np.float32(1e-7))  # of Keras, below which the power of two is the least
_LARGEST_EXPONENT = 127  # of float32
_MOST_BITS = 24  # of exponents; constants have few of them
_MOST_BITS_OF_VALUES = 8  # where each power is a step of its own


@dataclass(frozen=True)
class Binary(Quantizer):
    """The sign, that of 0 positive, times alpha; or 0 and 1."""

    use_01: int = False
    alpha: Alpha = None
    use_stochastic_rounding: int = False
    scale_axis: int | None = None

    name: ClassVar[str] = "binary"

    def function(self) -> Function:
        return Function(((steps([0.0], [0.0 if self.use_01 else -1.0, 1.0]),),), channel_scale(self.alpha))

    def scaled(self, w: FloatArray) -> Scaled:
        if self.alpha not in AUTO:
            return self.function().unscaled(w), scale_of(self.alpha)
        if self.scale_axis is not None:
            raise Refused(f"scale_axis is {self.scale_axis}; leave it out")
        return auto_scale.signs_scaled(w, replace(self, alpha=None).function().unscaled(w), self.alpha)

    def trained(self) -> Quantizer:
        return replace(self, alpha="auto_po2") if self.alpha is None else self


@dataclass(frozen=True)
class StochasticBinary(Quantizer):
    """In inference `binary`."""

    alpha: Alpha = None
    temperature: float = 6.0
    use_real_sigmoid: int = True

    name: ClassVar[str] = "stochastic_binary"

    def function(self) -> Function:
        return Binary(alpha=self.alpha).function()

    def scaled(self, w: FloatArray) -> Scaled:
        return Binary(alpha=self.alpha).scaled(w)

    def trained(self) -> Quantizer:
        return replace(self, alpha="auto_po2") if self.alpha is None else self


@dataclass(frozen=True)
class Ternary(Quantizer):
    """The sign outside of a dead zone, times alpha."""

    alpha: Alpha = None
    threshold: float | None = None
    use_stochastic_rounding: int = False
    number_of_unrolls: int = 5

    name: ClassVar[str] = "ternary"

    def function(self) -> Function:
        edge = float(np.float32(0.33 if self.threshold is None else self.threshold))
        thresholds = [above(-edge), edge] if edge > 0 else [0.0, above(0.0)]
        return Function(((steps(thresholds, [-1.0, 0.0, 1.0]),),), channel_scale(self.alpha))

    def scaled(self, w: FloatArray) -> Scaled:
        if self.alpha not in AUTO:
            return self.function().unscaled(w), scale_of(self.alpha)
        return auto_scale.ternary_scaled(w, self.alpha, self.number_of_unrolls)

    def trained(self) -> Quantizer:
        return replace(self, alpha="auto_po2") if self.alpha is None else self


@dataclass(frozen=True)
class StochasticTernary(Quantizer):
    """In inference `ternary`."""

    alpha: Alpha = None
    threshold: float | None = None
    temperature: float = 8.0
    use_real_sigmoid: int = True
    number_of_unrolls: int = 5

    name: ClassVar[str] = "stochastic_ternary"

    @property
    def _ternary(self) -> Ternary:
        return Ternary(self.alpha, self.threshold, number_of_unrolls=self.number_of_unrolls)

    def function(self) -> Function:
        return self._ternary.function()

    def scaled(self, w: FloatArray) -> Scaled:
        return self._ternary.scaled(w)

    def trained(self) -> Quantizer:
        return replace(self, alpha="auto_po2") if self.alpha is None else self


@dataclass(frozen=True)
class Bernoulli(Quantizer):
    """Random in inference too."""

    alpha: Alpha = None
    temperature: float = 6.0
    use_real_sigmoid: int = True

    name: ClassVar[str] = "bernoulli"

    def function(self) -> Function:
        raise Refused("bernoulli draws random values in inference too; use binary(use_01=True), its most likely value")


@dataclass(frozen=True)
class Powers:
    """A rule that rounds a positive number to a power of two."""

    least: int
    most: int
    max_value: float | None
    quadratic: bool
    floor: bool

    @classmethod
    def of(cls, bits: int, max_value: float | None, quadratic: bool, log2_rounding: str) -> Powers:
        """Exponents of so many bits; one of them is a sign unless no value is above one."""
        effective = bits - (max_value is None or max_value > 1)
        if not 0 <= effective <= _MOST_BITS:
            raise Refused(f"its exponents have {effective} bits; use up to {_MOST_BITS}")
        most = 2**effective - 1
        return cls(-(2**effective), 2 * (most // 2) if quadratic else most, max_value, quadratic,
                   log2_rounding == "floor")  # fmt: skip

    @property
    def step(self) -> int:
        """The exponents are multiples of this."""
        return 2 if self.quadratic else 1

    def exponents(self, x: FloatArray) -> FloatArray:
        """Of positive numbers, by float32's logarithm as QKeras has it; the least one below epsilon."""
        single = np.maximum(x.astype(np.float32), np.float32(_EPSILON))
        if self.max_value is not None:
            single = np.minimum(single, np.float32(self.max_value))
        logarithm = auto_scale.log2(np.sqrt(single) if self.quadratic else single)
        rounded = np.floor(logarithm) if self.floor else np.round(logarithm)
        found = self.step * np.clip(rounded, self.least, self.most)
        return np.asarray(np.where(x < _EPSILON, self.least, found), dtype=np.float64)

    def levels(self) -> tuple[list[float], list[float]]:
        """Thresholds of positive numbers, and the value below the first and from each on."""
        if -self.least > 1 << _MOST_BITS_OF_VALUES:
            bits = (-self.least).bit_length() - 1
            raise Refused(f"its exponents have {bits} bits; use up to {_MOST_BITS_OF_VALUES}")
        top = min(self.step * self.most, _LARGEST_EXPONENT)
        low = float(self.exponents(np.array(_EPSILON)))
        high = float(self.exponents(np.array(2.0**top if self.max_value is None else self.max_value)))
        thresholds, values = [_EPSILON], [2.0**self.least, 2.0**low]
        exponent = int(low)
        while exponent + self.step <= min(high, top):
            half = self.step if self.floor else self.step / 2
            thresholds.append(max(2.0 ** (exponent + half), _EPSILON))
            exponent += self.step
            values.append(2.0**exponent)
        return thresholds, values


@dataclass(frozen=True)
class QuantizedPo2(Quantizer):
    """The sign, that of 0 positive, times the nearest power of two."""

    bits: int = 8
    max_value: float | None = None
    use_stochastic_rounding: int = False
    quadratic_approximation: int = False
    log2_rounding: str = "rnd"

    name: ClassVar[str] = "quantized_po2"

    def _powers(self) -> Powers:
        return Powers.of(self.bits - 1, self.max_value, bool(self.quadratic_approximation), self.log2_rounding)

    def function(self) -> Function:
        thresholds, values = self._powers().levels()
        below = [above(-t) for t in reversed(thresholds)]
        return Function(((steps([*below, 0.0, *thresholds], [*(-v for v in reversed(values)), *values]),),))

    def scaled(self, w: FloatArray) -> Scaled:
        return np.where(w < 0, -1.0, 1.0) * np.exp2(self._powers().exponents(np.abs(w))), np.ones(())


@dataclass(frozen=True)
class QuantizedReluPo2(Quantizer):
    """The power of two that is nearest to the positive part; the least one for 0."""

    bits: int = 8
    max_value: float | None = None
    negative_slope: float = 0.0
    use_stochastic_rounding: int = False
    quadratic_approximation: int = False
    log2_rounding: str = "rnd"

    name: ClassVar[str] = "quantized_relu_po2"

    def _powers(self) -> Powers:
        return Powers.of(self.bits, self.max_value, bool(self.quadratic_approximation), self.log2_rounding)

    def function(self) -> Function:
        thresholds, values = self._powers().levels()
        if self.negative_slope == 0:
            return Function(((steps(thresholds, values),),))
        below = [above(-t / self.negative_slope) for t in reversed(thresholds)]
        return Function(((steps([*below, 0.0, *thresholds], [*(-v for v in reversed(values)), *values]),),))

    def scaled(self, w: FloatArray) -> Scaled:
        powers, slope = self._powers(), self.negative_slope
        positive = np.exp2(powers.exponents(np.maximum(w, 0.0)))
        if slope == 0:
            return positive, np.ones(())
        return np.where(w >= 0, positive, -np.exp2(powers.exponents(np.maximum(-w, 0.0) * slope))), np.ones(())
