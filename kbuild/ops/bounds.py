"""Interval arithmetic on float64 bounds, for operations that repeat a step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kbuild.fixed import FloatArray
from kbuild.ir.op import Interval, Op

LARGEST = 1e30  # bounds of a recurrence that grows without limit stop here: far beyond any type


def constant(low: float, high: float, shape: tuple[int, ...]) -> Interval:
    """The same bounds everywhere."""
    return Interval(np.full(shape, low), np.full(shape, high))


def limited(x: Interval) -> Interval:
    """The bounds, kept finite."""
    return Interval(np.clip(x.low, -LARGEST, LARGEST), np.clip(x.high, -LARGEST, LARGEST))


def hull(a: Interval, b: Interval) -> Interval:
    """The least bounds that hold both."""
    return Interval(np.minimum(a.low, b.low), np.maximum(a.high, b.high))


def plus(a: Interval, b: Interval) -> Interval:
    """Of a sum."""
    return Interval(a.low + b.low, a.high + b.high)


def times(a: Interval, b: Interval) -> Interval:
    """Of a product."""
    corners = np.stack([x * y for x in (a.low, a.high) for y in (b.low, b.high)])
    return limited(Interval(corners.min(axis=0), corners.max(axis=0)))


def matmul(x: Interval, weight: FloatArray, bias: FloatArray | float = 0.0) -> Interval:
    """Of `x @ weight + bias`."""
    positive, negative = np.maximum(weight, 0), np.minimum(weight, 0)
    low = x.low @ positive + x.high @ negative
    return limited(Interval(low + bias, x.high @ positive + x.low @ negative + bias))


def of(op: Op, x: Interval) -> Interval:
    """Of a unary operation."""
    return limited(op.interval([x]))


def split(x: Interval, parts: int) -> list[Interval]:
    """Of equal parts of the last axis."""
    lows, highs = np.split(x.low, parts, axis=-1), np.split(x.high, parts, axis=-1)
    return [Interval(low, high) for low, high in zip(lows, highs, strict=True)]


def settle(step: Callable[[Interval], Interval], start: Interval, steps: int) -> Interval:
    """Of every state that `steps` steps from `start` go through, the start included."""
    reached = start
    for _ in range(steps):
        wider = hull(reached, step(reached))
        if np.array_equal(wider.low, reached.low) and np.array_equal(wider.high, reached.high):
            break
        reached = wider
    return reached
