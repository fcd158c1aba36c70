"""`round`: a quantizer that has fraction bits and no limit, as HGQ's are in training and in inference.

It stands in graphs whose types are not resolved: `within` makes it a `quantize` of the integer bits that the proven
range of its input needs, so that nothing ever leaves its types.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from kbuild.dataclass import dataclass
from kbuild.fixed import (
    FixedType,
    FloatArray,
    IntArray,
    Overflow,
    Quantization,
    compact,
    quantize,
    shift_left,
    type_for,
    union_type,
    wide,
)
from kbuild.ir.op import Interval, Op, OverflowCount, Shape
from kbuild.ir.tensor import Tensor
from kbuild.ops.casting import broadcasts, cast_into
from kbuild.ops.quantize import Quantize

MOST_BITS = 128  # of an element; what would need more has lost bits in any float, and saturates
_NEAR = 1e-9  # a bound this near to a multiple, in LSBs, is the multiple: float64 has only just missed it


@dataclass(frozen=True)
class Round(Op):
    """Each element as a multiple of its own LSB `2**-fraction`.

    fraction: integers, of a shape that broadcasts to the input's; nearest: rounds to nearest, ties up, else down.
    """

    fraction: Tensor
    nearest: bool = True

    kind: ClassVar[str] = "round"

    def verify(self, shapes: Sequence[Shape]) -> None:
        super().verify(shapes)
        if not broadcasts(self.fraction.shape, shapes[0]):
            raise ValueError(f"bit widths of the shape {self.fraction.shape} do not broadcast to {shapes[0]}")

    @property
    def mode(self) -> Quantization:
        """How it rounds."""
        return Quantization.RND if self.nearest else Quantization.TRN

    @property
    def uniform(self) -> int | None:
        """The fraction bits of every element, where they are the same for all."""
        first = int(self.fraction.data.ravel()[0])
        return first if (self.fraction.data == first).all() else None

    @property
    def finest(self) -> int:
        """Fraction bits such that what is rounded to them first, as `input_mode` says, is then rounded the same.

        One more than the finest element has where elements differ and round to nearest.
        """
        return int(self.fraction.data.max()) + (self.nearest and self.uniform is None)

    @property
    def input_mode(self) -> Quantization:
        """How to round to `finest` fraction bits."""
        return Quantization.TRN if self.uniform is None else self.mode

    def infer_shape(self, shapes: Sequence[Shape]) -> Shape:
        return shapes[0]

    def infer_type(self, types: Sequence[FixedType]) -> FixedType:
        of = types[0]
        ends = np.array([of.min, of.max], dtype=object)
        found = []
        for fraction in np.unique(self.fraction.data).tolist():
            low, high = quantize(ends, of.fraction - fraction, self.mode).tolist()
            found.append(type_for(low, high, fraction))
        return union_type(*found)

    def places(self, shape: Shape) -> Iterator[tuple[int, NDArray[Any]]]:
        """Each number of fraction bits with the elements, of a value of this shape in row-major order, that have it."""
        fractions = np.broadcast_to(self.fraction.data, shape).ravel()
        for fraction in np.unique(fractions).tolist():
            yield fraction, np.flatnonzero(fractions == fraction)

    def eval(
        self, inputs: Sequence[IntArray], types: Sequence[FixedType], result: FixedType, overflow: OverflowCount
    ) -> IntArray:
        exact = self.infer_type(types)
        x = inputs[0].reshape(len(inputs[0]), -1)
        y = np.zeros(x.shape, np.int64)
        for fraction, places in self.places(inputs[0].shape[1:]):
            whole = quantize(x[:, places], types[0].fraction - fraction, self.mode)
            part = shift_left(whole, exact.fraction - fraction)
            y = wide(y) if part.dtype == object and y.dtype != object else y
            y[:, places] = part
        return cast_into(compact(y.reshape(inputs[0].shape)), exact.fraction, result, overflow)

    def eval_float(self, inputs: Sequence[FloatArray]) -> FloatArray:
        shift = self.fraction.data.astype(np.int32)
        return np.ldexp(self._whole(inputs[0]), -shift)

    def _whole(self, x: FloatArray) -> FloatArray:
        """Values in LSBs, rounded; half is added to what is left of them, which a sum with large ones would lose."""
        scaled = np.ldexp(np.asarray(x, dtype=np.float64), self.fraction.data.astype(np.int32))
        floor = np.floor(scaled)
        return np.asarray(floor + (scaled - floor >= 0.5) if self.nearest else floor)

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        """Rounding keeps order."""
        return Interval(*(self.eval_float([end]) for end in (inputs[0].low, inputs[0].high)))

    def within(self, bounds: Interval) -> Quantize:
        """The types that hold every element in these bounds: one for all that share fraction bits in `fraction`."""
        low, high = (self._whole(self._snapped(end)) for end in (bounds.low, bounds.high))
        shape = (1,) * (low.ndim - len(self.fraction.shape)) + self.fraction.shape
        shared = tuple(axis for axis, n in enumerate(shape) if n == 1)
        low, high = low.min(axis=shared, keepdims=True), high.max(axis=shared, keepdims=True)
        fraction = np.broadcast_to(self.fraction.data, low.shape)
        rows = np.stack([fraction, low < 0, np.maximum(_bits(-low - 1), _bits(high))], axis=-1).astype(np.int64)
        found, which = np.unique(rows.reshape(-1, 3), axis=0, return_inverse=True)
        # elements with different fraction bits may still have one type: none
        types: dict[FixedType | None, int] = {}
        numbers = np.array([types.setdefault(self._type(*row), len(types)) for row in found.tolist()], np.int64)
        if len(types) == 1:
            return Quantize(tuple(types))
        width = max((len(types) - 1).bit_length(), 1)
        of = FixedType(width, width, signed=False)
        return Quantize(tuple(types), Tensor(numbers[which.ravel()].reshape(low.shape), of))

    def _type(self, fraction: int, signed: int, bits: int) -> FixedType | None:
        width = bits + signed
        if width == 0:
            return None
        overflow = Overflow.WRAP if width <= MOST_BITS else Overflow.SAT
        width = min(width, MOST_BITS)
        return FixedType(width, width - fraction, bool(signed), self.mode, overflow)

    def _snapped(self, ends: FloatArray) -> FloatArray:
        """Bounds as multiples of half of the LSB, where they are that but for what float64 has lost."""
        shift = self.fraction.data.astype(np.int32) + 1
        scaled = np.ldexp(np.asarray(ends, dtype=np.float64), shift)
        nearest = np.round(scaled)
        near = np.abs(scaled - nearest) <= _NEAR * np.maximum(np.abs(scaled), 1.0)
        return np.ldexp(np.where(near, nearest, scaled), -shift)


def _bits(whole: FloatArray) -> IntArray:
    """Bits of whole numbers; none of those that are not positive."""
    return np.where(whole > 0, np.frexp(whole)[1], 0).astype(np.int64)
