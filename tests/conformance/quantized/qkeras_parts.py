"""What the layers of QKeras share: quantizers as layers, random weights, and where float32 rounds."""

from __future__ import annotations

import numpy as np

from conformance.quantized.qkeras_quantizers import common, is_power, power_decides
from conformance.quantized.script import SINGLE, Grid, QuantizedScript, Redraw
from conformance.script import Value


def quantizer(s: QuantizedScript, x: Value, text: str | None = None) -> Value:
    """A quantizer as a layer; exact where float32 holds both its input and its output."""
    text = text or common(s)
    if s.off[x.name]:
        return settled(s, x)
    name, y = s.called_layer("QActivation", x, {"activation": text})
    found = s.run_layer(name, x)
    if power_decides(text):
        s.kept &= ~is_power(s.samples[x.name]).reshape(len(found), -1).any(axis=1)
    both = Grid.of(np.concatenate([found.ravel(), s.samples[x.name].ravel()]))
    if "po2" in text and not Grid(14, Grid.of(s.samples[x.name]).most).fits:
        raise Redraw("the least power of two is lost")
    exact = both.fits and "ulaw" not in text  # whose values are logarithms
    return s.known(y, found, 0.0 if exact else 8 * SINGLE * max(both.most, 1.0))


def settled(s: QuantizedScript, x: Value) -> Value:
    """The value, after a quantizer whose steps are wide where float32 rounds in it."""
    off = s.off[x.name]
    if not off:
        return x
    bits, integer = s.size(3, 7), s.size(0, 3)
    relu = s.chance(0.3)
    text = f"quantized_relu({bits},{integer})" if relu else f"quantized_bits({bits},{integer},{s.size(0, 1)},alpha=1)"
    s.near(s.samples[x.name], 2.0 ** (integer - bits + (not relu)), 0.5, off)
    name, y = s.called_layer("QActivation", x, {"activation": text})
    found = s.run_layer(name, x)
    if not Grid.of(found).fits:
        raise Redraw("float32 rounds in the quantizer")
    return s.known(y, found)


def narrowed(s: QuantizedScript, x: Value) -> Value:
    """A value of few bits, as what is multiplied."""
    x = settled(s, x)
    if Grid.of(s.samples[x.name]).bits <= 10:
        return x
    return quantizer(
        s, x, s.one("quantized_bits(6,2,0,alpha=1)", "quantized_relu(6,2)", "quantized_bits(4,1,1,alpha=1)")
    )


def randomize(s: QuantizedScript, name: str, powers: bool = True) -> None:
    """Weights of both signs on a grid that float32 can compute with; variances are positive."""
    layer = s.scope[name]
    values = []
    for weight in layer.weights:
        drawn = np.round(s.draw.normal(0, s.one(0.4, 0.8), weight.shape) * 512) / 512
        drawn = drawn if powers else np.where(is_power(drawn), drawn + 5 / 512, drawn)
        if "variance" in weight.name or "gamma" in weight.name:
            drawn = s.draw.uniform(0.3, 3.0, weight.shape)
        values.append(np.asarray(-1, np.int64) if "iteration" in weight.name else drawn.astype(np.float32))
    layer.set_weights(values)


LEVEL = 2.0**12  # levels of all quantizers are multiples of its reciprocal


def quantized_weight(layer: object, weight: str) -> tuple[Grid, bool]:
    """The grid of a weight as its quantizer makes it, and whether float32 rounds nothing there."""
    key = f"{weight if weight == 'kernel' else weight.removesuffix('_kernel')}_quantizer_internal"
    raw, of = getattr(layer, weight), getattr(layer, key, None)
    if hasattr(layer, "get_folded_weights"):
        folded, offset = layer.get_folded_weights()
        raw = offset if weight == "bias" else folded
        values = np.asarray(of(raw))
        return Grid.of(values), True  # a quantizer of floats, of a grid by its widths
    if raw is None:
        return Grid(-100, 0.0), True
    values = np.asarray(raw if of is None else of(raw))
    fits = Grid.of(np.concatenate([values.ravel(), np.asarray(raw).ravel()])).fits
    return Grid.of(values), fits and _is_product(values, getattr(of, "scale", None))


def _is_product(values: np.ndarray, scale: object) -> bool:
    """Whether the values are what a quantizer's levels times its scale are, which float32 may have rounded."""
    if scale is None:
        return True
    factor = np.asarray(scale, np.float64)
    levels = np.rint(np.divide(values, factor, out=np.zeros(values.shape), where=factor != 0) * LEVEL) / LEVEL
    return bool(np.array_equal(levels * factor, values))


def exact_weight(layer: object, weight: str) -> Grid:
    """The grid of a weight. Raises Redraw where float32 rounds in its quantizer."""
    grid, fine = quantized_weight(layer, weight)
    if not fine:
        raise Redraw("float32 rounds in a quantizer of weights")
    return grid
