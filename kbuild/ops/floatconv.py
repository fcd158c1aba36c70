"""Sums of a convolution in float64, where `floatsums.py` says that they are exact.

Windows are laid out in memory for BLAS, a block of samples at a time. A depthwise convolution is one product for each
element of a window, and no matrices.
"""

from __future__ import annotations

import numpy as np

from kbuild.dataclass import dataclass
from kbuild.fixed import FloatArray, IntArray
from kbuild.ir.op import OverflowCount
from kbuild.ops import blas
from kbuild.ops.floatsums import FloatSums
from kbuild.ops.windows import Window, blocks, spread, windows

BLOCK = 1 << 19  # elements of the windows that are laid out in memory at once: they stay in the cache


@dataclass(frozen=True)
class FloatConv:
    """A convolution as `ops/conv.py` describes it; sums: weight [K, N], offset [N]."""

    sums: FloatSums
    window: Window

    def evaluate(self, x: IntArray, shape: tuple[int, ...], overflow: OverflowCount) -> IntArray:
        """Integers of the result, [B, *shape], for x [B, *spatial, C]."""
        result = np.empty((len(x), *shape), np.int64)
        extent = (self.window.kernel[0] - 1) * self.window.dilation[0] + 1
        for samples, row_blocks in blocks((len(x), *shape[:-1], len(self.sums.weight) * self.window.groups), BLOCK):
            padded = self._padded(x[samples], np.float64)
            apart = self.sums.remainders
            low_bits = None if apart is None else self._padded(x[samples].astype(apart.weight.dtype))
            for rows in row_blocks:
                part = result[samples, rows]  # contiguous: several samples have all their rows
                start, count = rows.start * self.window.strides[0], part.shape[1]
                sums = part.view(np.float64)
                used = slice(start, start + (count - 1) * self.window.strides[0] + extent)
                self._sum(padded[:, used], sums)
                flat = sums.reshape(len(part), -1, shape[-1])
                if low_bits is not None:
                    flat -= self._lost(low_bits[:, used]).reshape(flat.shape)
                q = self.sums.finish(flat, overflow)
                if not np.may_share_memory(q, part):
                    part[...] = q.reshape(part.shape)
        return result

    def _padded(self, x: IntArray, dtype: type[np.generic] | None = None) -> IntArray | FloatArray:
        return spread(x, self.window.padding, self.window.input_dilation, 0, dtype)

    def _sum(self, x: IntArray | FloatArray, sums: FloatArray) -> None:
        """The sums [B, *positions, N] of the padded input."""
        if self.window.groups > 1 and self.window.groups == x.shape[-1] == sums.shape[-1]:
            self._depthwise(x, sums)
        elif self.window.groups > 1:
            self._grouped(x, sums)
        else:
            blas.matmul(self._laid_out(x), self.sums.weight, sums.reshape(len(x), -1, sums.shape[-1]))

    def _laid_out(self, x: IntArray | FloatArray) -> FloatArray:
        """Windows [B, positions, K]."""
        view = windows(x, self.window.kernel, self.window.strides, self.window.dilation)
        return view.astype(np.float64, order="C").reshape(len(x), -1, len(self.sums.weight))

    def _grouped(self, x: IntArray | FloatArray, sums: FloatArray) -> None:
        view = windows(x, self.window.kernel, self.window.strides, self.window.dilation)
        split = view.reshape(*view.shape[:-1], self.window.groups, -1)
        terms = len(self.sums.weight)
        columns = np.moveaxis(split, -2, 0).astype(np.float64, order="C").reshape(self.window.groups, -1, terms)
        weight = np.moveaxis(self.sums.weight.reshape(terms, self.window.groups, -1), 1, 0)
        found = blas.matmul(columns, np.ascontiguousarray(weight))
        sums.reshape(-1, self.window.groups, found.shape[-1])[...] = np.moveaxis(found, 0, 1)

    def _lost(self, x: IntArray) -> FloatArray:
        """What the products lose, [B * positions, N], for the low bits of the padded input."""
        assert self.sums.remainders is not None
        view = windows(x, self.window.kernel, self.window.strides, self.window.dilation)
        split = view.reshape(*view.shape[:-1], self.window.groups, -1)
        rank = len(self.window.kernel)
        inner = (rank * 2 + 1, *range(rank + 1, rank * 2 + 1), rank * 2 + 2)  # group, kernel, channel of the group
        rows = split.transpose(*inner, *range(rank + 1)).reshape(self.window.groups, len(self.sums.weight), -1)
        lost = self.sums.remainders.sums(rows, self.sums.lost_scale)
        return lost.reshape(-1, lost.shape[-1]).T

    def _depthwise(self, x: IntArray | FloatArray, sums: FloatArray) -> None:
        rank = len(self.window.kernel)
        view = windows(x, self.window.kernel, self.window.strides, self.window.dilation)
        product = np.empty(sums.shape)
        sums[...] = 0
        for k, place in enumerate(np.ndindex(*self.window.kernel)):
            at = (slice(None),) * (rank + 1) + place
            row = np.tile(self.sums.weight[k], sums.shape[-2]).reshape(sums.shape[-2:])  # one long loop, not short ones
            np.multiply(view[at], row, out=product)
            np.add(sums, product, out=sums)
