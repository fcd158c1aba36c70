"""Constant tensors of a graph: weights, biases, tables."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from kbuild.dataclass import dataclass
from kbuild.fixed import FixedType, FloatArray, bits_of, compact, from_float, to_float
from kbuild.parallel import PART, mapped, parts

_BLOCK = 1 << 15  # values at a time, which stay in the processor's cache
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Tensor:
    """A constant: float64 values while `type` is None, integers of that type otherwise. Equal when its bytes are."""

    data: NDArray[Any]
    type: FixedType | None = None

    def __post_init__(self) -> None:
        data = np.asarray(self.data)
        data = np.asarray(data, dtype=np.float64) if self.type is None else compact(data)
        data = np.asarray(data, order="C").view()  # a view: the flag below is ours alone
        data.flags.writeable = False
        object.__setattr__(self, "data", data)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the values."""
        return tuple(int(n) for n in self.data.shape)

    @property
    def narrow(self) -> NDArray[Any]:
        """The values in the smallest array that holds them exactly: what is hashed and stored of a large model.

        Integers beyond int64 are decimal digits in it.
        """
        return self._kept("_narrow", self._narrowed)

    def _kept(self, name: str, make: Callable[[], T]) -> T:
        """As `cached_property`, which before Python 3.12 lets only one thread work."""
        if name not in vars(self):
            vars(self)[name] = make()
        return vars(self)[name]

    def _narrowed(self) -> NDArray[Any]:
        if self.data.dtype == object:
            return self.data.astype(str)
        if self.type is not None:
            kinds = (np.int8, np.int16, np.int32, np.int64)
            return self.data.astype(next(kind for kind in kinds if self.bits < np.iinfo(kind).bits))
        single = np.empty(self.data.shape, np.float32)
        values, target = self.data.reshape(-1), single.reshape(-1)

        def same(part: slice) -> bool:
            for start in range(part.start, part.stop, _BLOCK):
                block = slice(start, min(start + _BLOCK, part.stop))
                with np.errstate(over="ignore"):
                    target[block] = values[block]
                if not np.array_equal(target[block], values[block]):
                    return False
            return True

        return single if all(mapped(same, parts(values.size, PART))) else self.data

    def stored(self) -> tuple[bytes, memoryview]:
        """Header and values of a `.npy` file of `narrow`."""
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(self.narrow))
        return header.getvalue(), self.narrow.reshape(-1).view(np.uint8).data

    @property
    def file_digest(self) -> str:
        """SHA-256 of that file."""
        return self._kept("_file_digest", self._hashed)

    def _hashed(self) -> str:
        header, values = self.stored()
        found = hashlib.sha256(header)
        found.update(values)
        return found.hexdigest()

    @cached_property
    def digest(self) -> str:
        """A name for the content: type, shape and values."""
        return hashlib.sha256(f"{self.type} {self.file_digest}".encode()).hexdigest()[:32]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tensor) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def fixed(self) -> FixedType:
        """The type of a tensor that must have one by now."""
        if self.type is None:
            raise ValueError("a constant still has no fixed-point type")
        return self.type

    def floats(self) -> FloatArray:
        """The values as float64."""
        return np.asarray(self.data, dtype=np.float64) if self.type is None else to_float(self.data, self.type)

    def quantized(self, to: FixedType) -> Tensor:
        """The float values as integers of the type `to`."""
        if self.type is not None:
            raise ValueError("the constant already has a fixed-point type")
        return Tensor(from_float(self.data, to), to)

    @cached_property
    def bits(self) -> int:
        """Number of magnitude bits of the largest integer."""
        return bits_of(self.data)

    def bounds(self) -> tuple[int, int]:
        """Smallest and largest integer that really occur."""
        if self.data.size == 0:
            return 0, 0
        return int(self.data.min()), int(self.data.max())


