"""HGQ2's quantizers: types for every element, with a scale before and a line after them."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from kbuild.dataclass import dataclass, replace
from kbuild.fixed import FloatArray
from kbuild.frontend.keras.config import Config
from kbuild.frontend.keras.handler import LayerCall
from kbuild.frontend.keras.quantizers.function import line
from kbuild.frontend.keras.quantizers.types import quantize_by_arrays
from kbuild.frontend.keras.safety import quoted
from kbuild.ir import Node
from kbuild.ops.quantize import Quantize

# Variables of a quantizer in the order of the file: those that are trained come first.
_ORDERS = {("kif", True): "fki", ("kif", False): "ifk", ("kbi", True): "bki", ("kbi", False): "bik"}
_UNLIMITED = 40  # integer bits that no weight has
# What these two configurations leave out of the file, because it is always so.
_FIXED: dict[str, dict[str, object]] = {
    "HardTanhConfig": {"overflow_mode": "SAT"},
    "HardSigmoidConfig": {"overflow_mode": "SAT", "affine": [0.25, 0.5]},
}


@dataclass(frozen=True)
class Quantizer:
    """`op(x / scaler) * scaler * factor + shift`, in float32 for weights; of values, scaler is a power of two."""

    op: Quantize
    scaler: float = 1.0
    factor: float = 1.0
    shift: float = 0.0

    def of(self, values: FloatArray) -> FloatArray:
        """What it makes of weights."""
        scaled = (values.astype(np.float32) / np.float32(self.scaler)).astype(np.float64)
        made = self.op.eval_float([scaled[np.newaxis]])[0].astype(np.float32) * np.float32(self.scaler)
        if (self.factor, self.shift) != (1.0, 0.0):
            made = made * np.float32(self.factor) + np.float32(self.shift)
        return np.asarray(made, dtype=np.float64)

    def add(self, call: LayerCall, source: Node) -> Node:
        """Nodes of the call's layer that quantize a value."""
        rank, node = len(source.shape), source
        if self.scaler != 1.0:
            if not math.log2(abs(self.scaler)).is_integer():
                raise call.error(f"a quantizer's scaler is {self.scaler}, by which values would be divided; "
                                 "use a power of two")  # fmt: skip
            node = call.add(line(1 / self.scaler, 0.0)(rank), node)
        node = call.add(self.op, node)
        factor, shift = self.scaler * float(np.float32(self.factor)), float(np.float32(self.shift))
        return node if (factor, shift) == (1.0, 0.0) else call.add(line(factor, shift)(rank), node)


def read(call: LayerCall, conf: Config, path: str, value_rank: int) -> Quantizer | None:
    """The quantizer of a configuration and of the variables under a path; None for one that does nothing.

    value_rank: axes of what it quantizes; variables may have one more, that of the batch. Raises UnsupportedModel.
    """
    conf = Config(conf.layer, conf.class_name, {**_FIXED.get(conf.class_name, {}), **conf.values}, conf.keras)
    kind = conf.text("q_type", "kbi")
    if kind == "dummy":
        return None
    rounding, overflow = conf.text("round_mode", "RND").removeprefix("S_"), conf.text("overflow_mode", "WRAP")
    order = _ORDERS.get((kind, overflow == "WRAP"))
    if order is None:
        raise call.error(f"{path} is a quantizer of the type {quoted(kind)}; there are kif and kbi")
    found = {letter: _widths(call, f"{path}/{place}", value_rank) for place, letter in enumerate(order)}
    k, i = found["k"], np.round(found["i"])
    f = np.round(found["f"]) if kind == "kif" else np.round(found["b"]) - i
    signed, integers, fraction = (np.asarray(v, dtype=np.int64) for v in np.broadcast_arrays(k, i, f))
    whole = signed + np.maximum(integers, -fraction) + fraction
    bits = np.where(signed + integers + fraction > 0, whole, 0)  # less than none is none, also with a sign
    # A weight in training is rounded and never wrapped, and so it stays, without bits, too.
    free = kind == "kif" or rounding == "RND"
    if overflow == "WRAP" and free and conf.flag("is_weight", False) and conf.flag("trainable", True):
        signed = np.ones_like(signed)
        whole = bits = signed + _UNLIMITED + fraction
    integers = whole - fraction - signed
    op = quantize_by_arrays(call, signed, bits, integers + signed, (rounding, overflow))
    scaler = conf.optional_number("scaler")
    if scaler == 0:
        raise call.error(f"the scaler of {path} is 0")
    return Quantizer(op, 1.0 if scaler is None else scaler, *_affine(conf))


def _affine(conf: Config) -> tuple[float, float]:
    if not conf.has("affine"):
        return 1.0, 0.0
    value = conf.raw("affine")
    items = value.get("items") if isinstance(value, Mapping) else value
    if not isinstance(items, list | tuple) or len(items) != 2:
        raise conf.error("affine is not a scale and a shift")
    pair = Config(conf.layer, conf.class_name, {"scale": items[0], "shift": items[1]}, conf.keras)
    return pair.number("scale", 1.0), pair.number("shift", 0.0)


def _widths(call: LayerCall, name: str, value_rank: int) -> FloatArray:
    if name not in call.weights:
        raise call.error(f"the variable {name} of its quantizer is missing")
    values = call.weights[name]
    if not np.isfinite(values).all() or (np.abs(values) > 100).any():
        raise call.error(f"the variable {name} holds values that are no numbers of bits")
    if values.ndim == value_rank + 1 and values.shape[0] == 1:
        values = values.reshape(values.shape[1:])
    if values.ndim > value_rank:
        raise call.error(f"the variable {name} has the shape {values.shape}, of more axes than what it quantizes")
    return np.asarray(values, dtype=np.float64)


# Parts of a layer


def quantizer_of(call: LayerCall, key: str, path: str, value_rank: int) -> Quantizer | None:
    """The quantizer under a key of the layer's configuration; None where there is none."""
    return read(call, call.config.inner(key), path, value_rank) if call.config.has(key) else None


def enabled(call: LayerCall, key: str) -> bool:
    """Whether a flag such as `enable_iq` is set; null is not."""
    return bool(call.config.raw(key))


def quantized_input(call: LayerCall) -> LayerCall:
    """The call on its quantized input."""
    quantizer = quantizer_of(call, "iq_conf", "iq/quantizer", len(call.shape)) if enabled(call, "enable_iq") else None
    return call if quantizer is None else call.on(quantizer.add(call, call.input))


def quantized_output(call: LayerCall, node: Node) -> Node:
    """The quantized output."""
    quantizer = quantizer_of(call, "oq_conf", "oq/quantizer", len(node.shape)) if enabled(call, "enable_oq") else None
    return node if quantizer is None else quantizer.add(call, node)


def quantized_weight(call: LayerCall, values: FloatArray, key: str, path: str) -> FloatArray:
    """A weight as its quantizer makes it."""
    quantizer = quantizer_of(call, key, path, values.ndim)
    return values if quantizer is None else quantizer.of(values)


def variable(call: LayerCall, number: int) -> FloatArray:
    """A variable of the layer's own, which have no names in the file."""
    if str(number) not in call.weights:
        raise call.error(f"its variable number {number} is missing")
    return np.asarray(call.weights[str(number)], dtype=np.float64)


def inner_call(call: LayerCall, path: str, class_name: str, values: Mapping[str, object]) -> LayerCall:
    """The call of a layer that is a part of this one: its variables are those under the path, or under `_path`.

    Whether it quantizes its input and output is not in the file, but their variables are.
    """
    names = [(name, name.removeprefix("_").removeprefix(f"{path}/")) for name in call.weights]
    weights = {own: call.weights[name] for name, own in names if own != name.removeprefix("_")}
    for place in ("iq", "oq"):
        values = {f"enable_{place}": any(name.startswith(f"{place}/") for name in weights), **values}
    config = Config(call.config.layer, class_name, values, call.config.keras)
    return replace(call.configured(config), weights=weights)
