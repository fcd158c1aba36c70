"""Layers that scale by statistics, of training or of each sample."""

from __future__ import annotations

from conformance.script import Script, Value


def affine(s: Script) -> dict[str, object]:
    return {"scale": s.maybe(s.chance(0.5)), "center": s.maybe(s.chance(0.5))}


def epsilon(s: Script) -> dict[str, object]:
    return {"epsilon": s.maybe(s.one(1e-2, 1e-3, 1e-5, 0.1))}


def batch_normalization(s: Script) -> Value:
    """After an input, or after a layer that it may be folded into."""
    x = s.source(s.shape(1, 3))
    before = s.one("input", "Dense", "Conv")
    if before == "Dense":
        x = s.layer("Dense", x, units=s.size(), use_bias=s.maybe(False))
    elif before == "Conv" and x.rank > 1:
        one = s.size(1, 2)
        x = s.layer(f"Conv{x.rank - 1}D", x, filters=s.size(1, 3), kernel_size=one, padding="same")
    y = s.layer("BatchNormalization", x, axis=s.maybe(s.axis(x.rank)), **affine(s), **epsilon(s))
    return y if s.chance(0.7) else s.layer("ReLU", y)


def some_axes(s: Script, rank: int) -> object:
    axes = s.rng.sample(range(1, rank + 1), s.size(1, rank))
    return axes[0] if len(axes) == 1 and s.chance(0.5) else axes


def layer_normalization(s: Script) -> Value:
    x = s.source(s.shape())
    return s.layer("LayerNormalization", x, axis=s.maybe(some_axes(s, x.rank)), **affine(s), **epsilon(s))


def unit_normalization(s: Script) -> Value:
    x = s.source(s.shape())
    return s.layer("UnitNormalization", x, axis=s.maybe(some_axes(s, x.rank)))


def group_normalization(s: Script) -> Value:
    x = s.source(s.shape(2, 3))
    axis = s.axis(x.rank) if s.chance(0.3) else -1
    size = x.shape[axis - 1 if axis > 0 else axis]
    groups = s.one(-1, *(n for n in range(1, size + 1) if size % n == 0))
    given = {} if axis == -1 else {"axis": axis}
    return s.layer("GroupNormalization", x, groups=groups, **given, **affine(s), **epsilon(s))


def rms_normalization(s: Script) -> Value:
    x = s.source(s.shape())
    axes = s.one(-1, *(list(range(first, x.rank + 1)) for first in range(1, x.rank + 1)))
    return s.layer("RMSNormalization", x, axis=s.maybe(axes), **epsilon(s))


CASES = {
    "BatchNormalization": batch_normalization,
    "LayerNormalization": layer_normalization,
    "UnitNormalization": unit_normalization,
    "GroupNormalization": group_normalization,
}
KERAS3_CASES = {"RMSNormalization": rms_normalization}
