"""Where the inputs of each sum are in the packed inputs of a sample: padded, and with zeros between them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from kbuild.dataclass import dataclass
from kbuild.fixed import IntArray
from kbuild.ops.windows import Window, positions

NOTHING = -1  # the term that fills up a tap


@dataclass(frozen=True)
class Windows:
    """Elements of one sample, before and after packing.

    runs [R, 3]: elements that stay neighbours: from, to, how many. base [P]: where each window begins. taps [J]: where
    the first term of a tap is in a window, the others follow it; terms [J, 1 or 2]: the rows of the weights. Windows
    of different groups are `group_step` apart; each element is there `repeat` times.
    """

    inputs: int
    packed: int
    runs: IntArray
    base: IntArray
    taps: IntArray
    terms: IntArray
    group_step: int = 0
    repeat: int = 1


def laid_out(window: Window, shape: Sequence[int], repeat: int = 0) -> Windows:
    """For values of a shape [*spatial, C], in taps of pairs; with `repeat` each channel has so many outputs."""
    *spatial, channels = shape
    wide = channels * max(repeat, 1)
    padded = [low + (n - 1) * f + 1 + high for n, f, (low, high) in _axes(window, spatial)]
    steps = [math.prod(padded[axis + 1 :]) * wide for axis in range(len(padded))]
    counts = [
        positions((n - 1) * f + 1, size, stride, pad, apart)
        for (n, f, pad), size, stride, apart in zip(
            _axes(window, spatial), window.kernel, window.strides, window.dilation, strict=True
        )
    ]
    base = _grid([np.arange(n) * stride for n, stride in zip(counts, window.strides, strict=True)], steps)
    places = _grid([np.arange(n) * apart for n, apart in zip(window.kernel, window.dilation, strict=True)], steps)
    if repeat:
        taps, terms = places, np.arange(len(places))[:, np.newaxis]
    else:
        taps, terms = _pairs(window, places, channels)
    return Windows(
        math.prod(shape), math.prod(padded) * wide, _runs(window, spatial, channels, steps),
        base, taps, terms, 0 if repeat else channels // window.groups, max(repeat, 1),
    )  # fmt: skip


def _axes(window: Window, spatial: Sequence[int]) -> list[tuple[int, int, tuple[int, int]]]:
    return list(zip(spatial, window.input_dilation, window.padding, strict=True))


def _pairs(window: Window, places: IntArray, channels: int) -> tuple[IntArray, IntArray]:
    """Terms that are neighbours in the sum and in the packed inputs go in pairs."""
    length = channels // window.groups
    if window.groups == 1 and window.dilation[-1] == 1:
        length *= window.kernel[-1]
        places = places[:: window.kernel[-1]]
    first, terms = pairs(length)
    taps = (places[:, np.newaxis] + first).ravel()
    rows = np.where(terms == NOTHING, NOTHING, terms + np.arange(len(places))[:, np.newaxis, np.newaxis] * length)
    return taps, rows.reshape(-1, 2)


def _runs(window: Window, spatial: Sequence[int], channels: int, steps: Sequence[int]) -> IntArray:
    axes = _axes(window, spatial)
    into = _grid([low + np.arange(n) * f for n, f, (low, _) in axes], steps)
    out_of = np.arange(len(into)) * channels
    axis = len(axes)  # elements of all axes from here on are neighbours
    while axis and axes[axis - 1][1] == 1:
        axis -= 1
        if axes[axis][2] != (0, 0):
            break
    together = math.prod(spatial[axis:])
    runs = np.stack([out_of, into, np.full_like(into, channels * together)], axis=1)
    return runs[::together]


def pairs(length: int) -> tuple[IntArray, IntArray]:
    """Where the pairs of so many terms begin, and which they are [pairs, 2]."""
    terms = np.arange(length + length % 2)
    return terms[::2].copy(), np.where(terms < length, terms, NOTHING).reshape(-1, 2)


def matrix(terms: int) -> Windows:
    """All elements of a sample are one window."""
    first, rows = pairs(terms)
    return Windows(terms, terms, np.array([[0, 0, terms]]), np.zeros(1, np.int64), first, rows)


def _grid(places: Sequence[IntArray], steps: Sequence[int]) -> IntArray:
    """The sums of `place * step`, one place of each axis, in row-major order."""
    total = np.zeros(1, np.int64)
    for some, step in zip(places, steps, strict=True):
        total = (total[:, np.newaxis] + some * step).ravel()
    return total
