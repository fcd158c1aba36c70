"""Layers that move elements."""

from __future__ import annotations

import math
from collections.abc import Callable

from conformance.layers.convolution import image, layout, sizes
from conformance.script import Script, Value


def flatten(s: Script) -> Value:
    x = s.source(s.shape(1, 4))
    y = s.layer("Flatten", x, data_format=s.maybe("channels_first", 0.3))
    return y if s.chance(0.5) else s.layer("Dense", y, units=2)


def reshape(s: Script) -> Value:
    x = s.source(s.shape())
    left, target = math.prod(x.shape), []
    while len(target) < s.size(0, 3):
        target.append(s.one(*(n for n in range(1, left + 1) if left % n == 0)))
        left //= target[-1]
    target.append(left)
    s.rng.shuffle(target)
    if s.chance(0.4):
        target[s.size(0, len(target) - 1)] = -1
    return s.layer("Reshape", x, target_shape=tuple(target))


def permute(s: Script) -> Value:
    x = s.source(s.shape(1, 4))
    axes = list(range(1, x.rank + 1))
    s.rng.shuffle(axes)
    return s.layer("Permute", x, dims=tuple(axes))


def pairs(s: Script, rank: int, most: int) -> object:
    """One count, one for each axis, or two for each axis."""
    both = [(s.size(0, most), s.size(0, most)) for _ in range(rank)]
    if rank == 1:
        return s.one(both[0][0], both[0])
    return s.one(both[0][0], tuple(low for low, _ in both), tuple(both))


def zero_padding(rank: int) -> Callable[[Script], Value]:
    def build(s: Script) -> Value:
        first = {"data_format": layout(s) if rank > 1 or s.major == 3 else None}
        x = image(s, rank, s.size(1, 3), first["data_format"])
        given = first if first["data_format"] else {}
        return s.layer(f"ZeroPadding{rank}D", x, padding=s.maybe(pairs(s, rank, 3), 0.8), **given)

    return build


def cropping(rank: int) -> Callable[[Script], Value]:
    def build(s: Script) -> Value:
        given = {"data_format": layout(s)} if rank > 1 else {}
        most = 2 if rank < 3 else 1
        x = image(s, rank, s.size(1, 3), given.get("data_format"), least=2 * most + 1)
        return s.layer(f"Cropping{rank}D", x, cropping=s.maybe(pairs(s, rank, most), 0.8), **given)

    return build


def up_sampling(rank: int) -> Callable[[Script], Value]:
    def build(s: Script) -> Value:
        if rank == 1:
            return s.layer("UpSampling1D", image(s, 1, s.size(1, 3), None), size=s.maybe(s.size(1, 3)))
        data_format = layout(s)
        x = image(s, rank, s.size(1, 3), data_format)
        if rank == 3:
            return s.layer("UpSampling3D", x, size=s.maybe(sizes(s, 3, 3), 0.8), data_format=data_format)
        size = s.one(s.size(1, 3), (s.size(1, 3), s.size(1, 4)))
        mode = s.maybe(s.one("nearest", "bilinear", "bilinear"), 0.7)
        return s.layer("UpSampling2D", x, size=s.maybe(size, 0.8), data_format=data_format, interpolation=mode)

    return build


def repeat_vector(s: Script) -> Value:
    return s.layer("RepeatVector", s.source(s.shape(1, 1)), n=s.size(1, 4))


CASES = {
    "Flatten": flatten,
    "Reshape": reshape,
    "Permute": permute,
    **{f"ZeroPadding{n}D": zero_padding(n) for n in (1, 2, 3)},
    **{f"Cropping{n}D": cropping(n) for n in (1, 2, 3)},
    **{f"UpSampling{n}D": up_sampling(n) for n in (1, 2, 3)},
    "RepeatVector": repeat_vector,
}
