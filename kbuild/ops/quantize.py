"""`quantize`: the quantizer of a trained model: every element has a type of its own."""

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
    cast,
    compact,
    from_float,
    shift_left,
    to_float,
    union_type,
    wide,
)
from kbuild.ir.op import Interval, Op, OverflowCount, Shape
from kbuild.ir.tensor import Tensor
from kbuild.ops.casting import broadcasts, cast_into

MOST_TYPES = 4096


@dataclass(frozen=True)
class Quantize(Op):
    """Each element cast to its own type, with the rounding and overflow of that type.

    types: those that occur; None is the type of an element that is always zero. which: indices into `types`, of a
    shape that broadcasts to the input's; None where there is one type for all. The result holds every type exactly.
    That values leave the range of their types is what the model was trained with: it is no overflow.
    """

    types: tuple[FixedType | None, ...]
    which: Tensor | None = None

    kind: ClassVar[str] = "quantize"

    def verify(self, shapes: Sequence[Shape]) -> None:
        super().verify(shapes)
        if not 1 <= len(self.types) <= MOST_TYPES:
            raise ValueError(f"a quantizer has 1 to {MOST_TYPES} types, not {len(self.types)}")
        if self.which is None:
            if len(self.types) > 1:
                raise ValueError(f"which element has which of {len(self.types)} types is not said")
            return
        if not broadcasts(self.which.shape, shapes[0]):
            raise ValueError(f"types of the shape {self.which.shape} do not broadcast to {shapes[0]}")
        low, high = self.which.bounds()
        if low < 0 or high >= len(self.types):
            raise ValueError(f"an element has type number {high if low >= 0 else low} of {len(self.types)}")

    @property
    def uniform(self) -> FixedType | None:
        """The type of every element, where it is the same for all."""
        return self.types[0] if len(self.types) == 1 else None

    def infer_shape(self, shapes: Sequence[Shape]) -> Shape:
        return shapes[0]

    def infer_type(self, types: Sequence[FixedType]) -> FixedType:
        found = [of for of in self.types if of is not None]
        return union_type(*found) if found else FixedType(1, 1, signed=False)

    def places(self, shape: Shape) -> Iterator[tuple[FixedType | None, NDArray[Any] | slice]]:
        """Each type with the elements, of a value of this shape in row-major order, that have it."""
        if self.which is None:
            yield self.types[0], slice(None)
            return
        which = np.broadcast_to(self.which.data, shape).ravel()
        for number, of in enumerate(self.types):
            found = np.flatnonzero(which == number)
            if found.size:
                yield of, found

    def eval(
        self, inputs: Sequence[IntArray], types: Sequence[FixedType], result: FixedType, overflow: OverflowCount
    ) -> IntArray:
        exact = self.infer_type(types)
        x = inputs[0].reshape(len(inputs[0]), -1)
        y = np.zeros(x.shape, np.int64)
        for of, places in self.places(inputs[0].shape[1:]):
            if of is None:
                continue
            part = shift_left(cast(x[:, places], types[0].fraction, of), exact.fraction - of.fraction)
            y = wide(y) if part.dtype == object and y.dtype != object else y
            y[:, places] = part
        return cast_into(compact(y.reshape(inputs[0].shape)), exact.fraction, result, overflow)

    def eval_float(self, inputs: Sequence[FloatArray]) -> FloatArray:
        x = inputs[0].reshape(len(inputs[0]), -1)
        y = np.zeros(x.shape)
        for of, places in self.places(inputs[0].shape[1:]):
            if of is not None:
                y[:, places] = to_float(from_float(x[:, places], of), of)
        return y.reshape(inputs[0].shape)

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        """Rounding keeps order; what may leave the range of a type is anywhere in it."""
        low, high = (np.array(end, dtype=np.float64).ravel() for end in (inputs[0].low, inputs[0].high))
        for of, places in self.places(inputs[0].low.shape):
            if of is None:
                low[places], high[places] = 0.0, 0.0
                continue
            least, most = (float(end) for end in of.range)
            lsb = float(of.lsb)
            within = (low[places] >= least) & (high[places] <= most)
            below, above = low[places] - lsb, high[places] + lsb
            saturates = of.overflow.value in ("SAT", "SAT_SYM")
            keep = np.full(within.shape, True) if saturates else within
            low[places] = np.where(keep, np.clip(below, least, most), least)
            high[places] = np.where(keep, np.clip(above, least, most), most)
        return Interval(low.reshape(inputs[0].low.shape), high.reshape(inputs[0].high.shape))
