"""What products lose when each of them is rounded to the LSB of an accumulator before they are added.

`floor(p) = p - (p mod 1)`, so the sum of rounded products is that of the exact ones, which a matrix product gives, less
the sum of what each loses. Only the low bits of the operands count in that: it needs but few bits a product, and the
processor's widest vectors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kbuild.dataclass import dataclass
from kbuild.fixed import FloatArray, IntArray, Quantization, compact
from kbuild.parallel import parts

_LANES = (np.uint16, np.uint32, np.uint64)
_TERM_BITS = 4  # at least 2**4 remainders are summed before the sum is widened
_AT_ONCE = 1 << 18  # remainders


@dataclass(frozen=True)
class Remainders:
    """Of products with the weights [..., N, K], unsigned: `(x * w + added) mod 2**shift`."""

    weight: NDArray[Any]
    shift: int
    added: int

    def sums(self, x: IntArray, scale: float) -> FloatArray:
        """The sums [..., N, M] of what all products lose, times `scale`, for integers x [..., K, M]."""
        lane = self.weight.dtype
        rows = np.ascontiguousarray(compact(x).astype(lane))[..., np.newaxis, :]
        shape = (*np.broadcast_shapes(self.weight.shape[:-2], x.shape[:-2]), self.weight.shape[-2], x.shape[-1])
        found = np.zeros(shape)
        together = max(_AT_ONCE * max(x.shape[-1], 1) // max(found.size, 1), 1)
        for block in parts(x.shape[-1], together):
            self._add(found[..., block], rows[..., block], scale)
        return found

    def _add(self, found: FloatArray, rows: NDArray[Any], scale: float) -> None:
        lane = self.weight.dtype
        mask, added = lane.type((1 << self.shift) - 1), lane.type(self.added)
        most = 1 << (lane.itemsize * 8 - self.shift)  # so many remainders do not fill a number
        part, one = np.empty(found.shape, lane), np.empty(found.shape, lane)
        for terms in parts(self.weight.shape[-1], most):
            for k in range(terms.start, terms.stop):
                into = part if k == terms.start else one
                np.multiply(self.weight[..., k, np.newaxis], rows[..., k, :, :], out=into)
                if self.added:
                    np.add(into, added, out=into)
                np.bitwise_and(into, mask, out=into)
                if into is one:
                    np.add(part, one, out=part)
            found += np.multiply(part, np.float64(scale), dtype=np.float64)


def remainders(weight: IntArray, shift: int, mode: Quantization) -> Remainders | None:
    """For weights [..., K, N] and products that drop `shift` bits; None for modes that are no floor of a sum."""
    added = {Quantization.TRN: 0, Quantization.RND_MIN_INF: (1 << shift - 1) - 1, Quantization.RND: 1 << shift - 1}
    lane = next((t for t in _LANES if np.iinfo(t).bits >= shift + _TERM_BITS), None)
    if lane is None or mode not in added:
        return None
    return Remainders(np.ascontiguousarray(np.swapaxes(weight, -1, -2).astype(lane)), shift, added[mode])
