"""Constant tensors of a graph: weights, biases, tables."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kbuild.fixed import FixedType, FloatArray, compact, from_float, to_float


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

    @cached_property
    def digest(self) -> str:
        """A name for the content: type, shape and values."""
        found = hashlib.sha256(f"{self.type}{list(self.shape)}".encode())
        wide = self.data.dtype == object
        found.update(repr(self.data.ravel().tolist()).encode() if wide else self.data.reshape(-1).view(np.uint8).data)
        return found.hexdigest()[:32]

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

    def bounds(self) -> tuple[int, int]:
        """Smallest and largest integer that really occur."""
        if self.data.size == 0:
            return 0, 0
        return int(self.data.min()), int(self.data.max())


