"""Sliding windows over the spatial axes of channels-last arrays, shared by convolution and pooling."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kbuild.dataclass import dataclass

Array = NDArray[Any]
Pairs = tuple[tuple[int, int], ...]  # (low, high) per axis

REGISTERS = 4096  # elements of a streamed window that are registers; a larger one lies in memory
BLOCK = 1 << 18  # elements of the windows that are laid out in memory at once: they stay in the cache


@dataclass(frozen=True)
class Window:
    """Which inputs each sum of a convolution has: the fields of `ops/conv.py` that decide it."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    padding: Pairs
    dilation: tuple[int, ...]
    input_dilation: tuple[int, ...]
    groups: int


def positions(length: int, size: int, stride: int, padding: tuple[int, int], dilation: int = 1) -> int:
    """How many windows of `size` elements, `dilation` apart, an axis of `length` elements with its padding has."""
    return (length + sum(padding) - (size - 1) * dilation - 1) // stride + 1


def spread(
    x: Array, padding: Pairs, factors: Sequence[int], fill: int | float = 0, dtype: type[np.generic] | None = None
) -> Array:
    """x [B, *spatial, C] with `factors - 1` fills between its elements along each spatial axis and `padding` around.

    Where that changes x, the result may have another `dtype`.
    """
    lengths = [(n - 1) * f + 1 for n, f in zip(x.shape[1:-1], factors, strict=True)]
    if all(f == 1 for f in factors) and not any(map(any, padding)):
        return x
    padded = [low + n + high for n, (low, high) in zip(lengths, padding, strict=True)]
    result = np.full((len(x), *padded, x.shape[-1]), fill, dtype=dtype or x.dtype)
    inner = (slice(low, low + n, f) for n, f, (low, _) in zip(lengths, factors, padding, strict=True))
    place = (slice(None), *inner)
    result[place] = x
    return result


def windows(x: Array, size: Sequence[int], strides: Sequence[int], dilation: Sequence[int]) -> Array:
    """A view [B, *positions, *size, C] of x [B, *spatial, C]."""
    rank = len(size)
    extents = tuple((n - 1) * d + 1 for n, d in zip(size, dilation, strict=True))
    view = np.lib.stride_tricks.sliding_window_view(x, extents, tuple(range(1, rank + 1)))
    steps = (slice(None, None, s) for s in strides)
    inside = (slice(None, None, d) for d in dilation)
    chosen = (slice(None), *steps, slice(None), *inside)
    return np.moveaxis(view[chosen], rank + 1, -1)


def blocks(shape: Sequence[int], elements: int) -> Iterator[tuple[slice, Iterator[slice]]]:
    """Cut the first two axes of `shape` into parts of about `elements` elements.

    Yields slices of the first axis, and for each of them the slices of the second.
    """
    row = max(int(np.prod(shape[2:])), 1)
    rows = max(min(elements // row, shape[1]), 1)
    samples = max(elements // (row * rows), 1) if rows == shape[1] else 1
    for start in range(0, shape[0], samples):
        yield slice(start, start + samples), (slice(r, r + rows) for r in range(0, shape[1], rows))


def per_axis(name: str, values: Sequence[object], rank: int) -> None:
    """Raise ValueError unless there is one value for each axis."""
    if len(values) != rank:
        raise ValueError(f"{name} has {len(values)} values for {rank} axes")


def at_least(name: str, values: Sequence[int], least: int) -> None:
    """Raise ValueError where a value is smaller than `least`."""
    if any(v < least for v in values):
        raise ValueError(f"{name} is {', '.join(map(str, values))}; each is at least {least}")
