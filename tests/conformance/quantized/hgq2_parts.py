"""What HGQ2's layers share: configurations of quantizers, random weights and widths, and how wide float32 has to be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from conformance.quantized.script import SINGLE, Grid, QuantizedScript, Redraw, sum_grid
from conformance.script import OMIT, Code, Value, arguments

Settings = dict[str, object]
KINDS = ("kif", "kbi")
ROUNDINGS = ("TRN", "RND", "RND_CONV", "S_RND", "S_RND_CONV")
OVERFLOWS = ("WRAP", "SAT", "SAT_SYM")
FUNCTIONS = ("tanh", "sigmoid", "softplus", "elu", "silu")


def config(s: QuantizedScript, place: str, **given: object) -> Code:
    """A quantizer of any kind: settings that are given, and others drawn."""
    axes = s.one({}, {}, {"homogeneous_axis": None, "heterogeneous_axis": ()})
    settings = {
        "round_mode": s.one(*ROUNDINGS), "overflow_mode": s.one(*OVERFLOWS),
        "trainable": s.maybe(False, 0.15) if place == "weight" else OMIT, **axes, **given,
    }  # fmt: skip
    kind = settings.pop("q_type", s.one(*KINDS))
    return Code(f"QuantizerConfig({arguments(settings, repr(kind), repr(place))})")


def quantizers(s: QuantizedScript, *places: str) -> Settings:
    """`iq`, `kq` and `bq` configurations, and now and then an output quantizer."""
    rules = {"iq": "datalane", "kq": "weight", "bq": "bias"}
    found: Settings = {f"{key}_conf": config(s, rules[key]) for key in places}
    if s.chance(0.4):
        found |= {"enable_oq": True, "oq_conf": config(s, "datalane")}
    return found


def made(s: QuantizedScript, class_name: str, x: Value | Sequence[Value], settings: Settings) -> tuple[Any, Value]:
    """A layer with random weights and widths."""
    name, y = s.called_layer(class_name, x, settings)
    return randomized(s, name), y


def randomized(s: QuantizedScript, name: str) -> Any:
    """The layer of a name, with random weights and widths."""
    layer = s.scope[name]
    jitter = s.one(0.0, 0.45)
    for variable in layer.variables:
        found = _drawn(s, variable.path.rpartition("/")[2], tuple(variable.shape), jitter)
        if found is not None:
            variable.assign(found)
    return layer


def _drawn(s: QuantizedScript, name: str, shape: tuple[int, ...], jitter: float) -> np.ndarray | None:
    draw = s.draw
    if name in ("i", "f", "b"):
        low, high = {"i": (-1, 4), "f": (-1, 5), "b": (0, 6)}[name]
        return np.asarray(draw.integers(low, high, shape) + draw.uniform(-jitter, jitter, shape), np.float32)
    if name == "k":
        return draw.integers(0, 2, shape).astype(np.uint8) if s.chance(0.5) else None
    if "variance" in name:
        return draw.uniform(0.3, 2.0, shape).astype(np.float32)
    if any(word in name for word in ("kernel", "bias", "gamma", "scale", "beta", "mean")):
        return draw.normal(0, 0.8, shape).astype(np.float32)
    return None


def exact(s: QuantizedScript, layer: Any, y: Value, x: Value | Sequence[Value], widths: Grid) -> Value:
    """The value of a layer in which float32 holds numbers of these widths."""
    if not widths.fits:
        raise Redraw("a result is wider than float32")
    if s.errors(x):
        raise Redraw("its input is not exact")
    return s.known(y, np.asarray(layer(s.of(x), training=False)))


def fitting(grid: Grid) -> Grid:
    """The widths, where float32 holds them. Raises Redraw."""
    if not grid.fits:
        raise Redraw("a value inside of the layer is wider than float32")
    return grid


def read(layer: Any, x: np.ndarray) -> np.ndarray:
    """The input of a layer as its quantizer makes it."""
    return np.asarray(layer.iq(x)) if layer.enable_iq else x


def array(tensor: Any) -> np.ndarray:
    """A tensor as an array."""
    return np.asarray(tensor)


def types(quantizer: Any, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sign, integer bits and fraction bits of every element of values of a shape, with the batch."""
    inner = quantizer.quantizer
    k, i, f = (np.broadcast_to(array(inner.bw_mapper.bw_to_x(w, shape)), shape) for w in inner.kif)
    return k, i, f


def widths(quantizer: Any, size: int) -> Grid:
    """What a quantizer of vectors of a size can make of anything."""
    k, i, f = types(quantizer, (1, size))
    some = k + i + f > 0
    most = 2.0 ** np.maximum(i, -f)
    found = Grid(int(f[some].max()), float(most[some].max())) if some.any() else Grid(0, 0.0)
    if quantizer.affine is not None:
        scale, shift = (Grid.of(np.float32(value)) for value in quantizer.affine)
        found = sum_grid(found, scale, shift, 1)
    return found


def quantizer(s: QuantizedScript, x: Value, **given: object) -> Value:
    """A quantizer as a layer."""
    layer, y = made(s, "Quantizer", x, {"config": config(s, "datalane", **given)})
    return exact(s, layer, y, x, Grid(0, 1.0))


def step(s: QuantizedScript, quantizer: Any, values: np.ndarray, skip: np.ndarray) -> None:
    """A quantizer reads real values: leave out samples that are near to where it changes."""
    k, i, f = types(quantizer, values.shape)
    size = np.where(skip | (k + i + f <= 0), 2.0**20, 2.0**-f)
    tie = 0.0 if quantizer.quantizer.round_mode == "TRN" else 0.5
    s.near(np.where(skip, 2.0**18, values), size, tie, 8 * SINGLE * max(float(np.abs(values).max()), 1.0))


def weights_of(s: QuantizedScript, layer: Any, inner: np.ndarray) -> Grid:
    """The widths of what a QSoftmax makes of its quantized input; its tables leave out samples."""
    if layer.stable:
        inner = inner.max(axis=layer.axes, keepdims=True) - inner
    read_by = array(layer.exp_table.iq(inner)) if layer.stable else inner
    step(s, layer.exp_table.oq, array(layer.exp_table.activation(read_by)), read_by == 0)
    powers = array(layer.exp_table(inner, training=False))
    total = powers.sum(axis=layer.axes, keepdims=True)
    counted = array(layer.inv_table.iq(total))
    step(s, layer.inv_table.oq, array(layer.inv_table.activation(counted)), np.zeros(counted.shape, bool))
    inverse = array(layer.inv_table(total, training=False))
    return sum_grid(Grid.of(powers), Grid.of(inverse), None, 1)
