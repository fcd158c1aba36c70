"""Values between layers: arrays of signals with the fixed-point type they are integers of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kbuild.dataclass import dataclass
from kbuild.emit.verilog.cells import Signal
from kbuild.fixed import FixedType

Signals = NDArray[Any]  # an object array of Signal


@dataclass(frozen=True)
class Value:
    """What a layer reads: an array of signals of the value's shape, integers of the type."""

    signals: Signals
    type: FixedType

    @property
    def flat(self) -> list[Signal]:
        """The signals in row-major order."""
        return list(self.signals.ravel())


def array(signals: Sequence[Signal], shape: tuple[int, ...]) -> Signals:
    """An array of that shape."""
    made = np.empty(len(signals), dtype=object)
    made[:] = list(signals)
    return made.reshape(shape)


def each(function: Callable[..., Signal], *operands: Signals) -> Signals:
    """The function of every element, over arrays (of signals or numbers) that broadcast."""
    operands = tuple(np.broadcast_arrays(*operands))
    flat = [function(*elements) for elements in zip(*(o.ravel().tolist() for o in operands), strict=True)]
    return array(flat, operands[0].shape)
