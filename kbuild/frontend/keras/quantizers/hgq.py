"""HGQ's quantizers: fraction bits for each element, a variable of their layer. In inference they only round.

The integer bits of HGQ are those of the values that `trace_minmax` saw, and belong to proxy models: the layers
themselves neither wrap nor saturate, and do not save them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kbuild.dataclass import dataclass
from kbuild.fixed import FixedType, FloatArray, IntArray
from kbuild.frontend.keras.config import Config
from kbuild.frontend.keras.handler import LayerCall
from kbuild.ir import Node, Tensor
from kbuild.ops.round import Round

_ROUNDINGS = {"standard_round": 0, "stochastic_round": 1, "fast_uniform_noise_injection": 2, "floor": 3}
_FLOOR = 3  # every other number, also one that is none of HGQ's, is rounding to nearest in inference
_MOST_BITS = 100
_HALF = np.float32(0.5)


@dataclass(frozen=True)
class Rounding:
    """`floor(x * 2**fraction + 1/2)`, or without the half; weights in float32, as in HGQ."""

    fraction: IntArray
    nearest: bool

    def of(self, values: FloatArray, fraction: IntArray | None = None) -> FloatArray:
        """What it makes of weights, perhaps with other fraction bits, as a bias has."""
        shift = (self.fraction if fraction is None else fraction).astype(np.int32)
        scaled = np.ldexp(values.astype(np.float32), shift)
        rounded = np.floor(scaled + _HALF if self.nearest else scaled)
        return np.ldexp(rounded.astype(np.float64), -shift)

    def add(self, call: LayerCall, source: Node) -> Node:
        """A node of the call's layer that rounds a value."""
        return call.add(Round(Tensor(self.fraction, FixedType(8, 8)), self.nearest), source)


def read(call: LayerCall, key: str, variable: str) -> Rounding:
    """The quantizer of a configuration (`kq_conf`, `paq_conf`) and the variable of its widths."""
    given = call.config.raw(key)
    if not isinstance(given, Mapping):
        raise call.error(f"{key} is not the configuration of a quantizer")
    conf = Config(call.config.layer, call.config.class_name, given, call.config.keras)
    return Rounding(_fractions(call, conf, variable), _strategy(conf) != _FLOOR)


def is_automatic(call: LayerCall, key: str) -> bool:
    """Whether the layer itself chooses the rounding of a quantizer."""
    given = call.config.raw(key)
    return isinstance(given, Mapping) and given.get("rnd_strategy") == "auto"


def _strategy(conf: Config) -> int:
    value = conf.raw("rnd_strategy")
    return _ROUNDINGS.get(value, -1) if isinstance(value, str) else conf.integer("rnd_strategy", _FLOOR)


def _fractions(call: LayerCall, conf: Config, name: str) -> IntArray:
    """Whole numbers of fraction bits, within `bw_clip`, to which HGQ clips them whenever it is called."""
    if name not in call.weights:
        raise call.error(f"the variable {name} of its quantizer is missing")
    values = call.weights[name].astype(np.float32)
    if conf.has("bw_clip"):
        low, high = conf.integers("bw_clip")
        values = np.clip(values, low, high)
    if not (np.abs(values) <= _MOST_BITS).all():
        raise call.error(f"the variable {name} holds values that are no numbers of bits")
    return np.round(values).astype(np.int64)
