"""HGQ's proxy models: layers of Keras whose weights are on their grids, with a quantizer after each, and tables."""

from __future__ import annotations

import numpy as np

from kbuild.fixed import FixedType, FloatArray, IntArray, Overflow, Quantization
from kbuild.frontend.keras.handler import Handler, LayerCall
from kbuild.frontend.keras.quantizers.exact import exact_tensor
from kbuild.frontend.keras.quantizers.types import quantize_by_arrays
from kbuild.ir import Node
from kbuild.ops.lut import GIVEN, Lut
from kbuild.ops.quantize import Quantize

_MOST_BITS = 127  # what an int8 holds
_NAMES = ("keep_negative", "bits", "integers")


def _array(call: LayerCall, name: str) -> IntArray:
    """A bit width for each element, without the batch axis."""
    values: FloatArray = call.weights[name]
    if not np.isfinite(values).all() or (np.abs(values) > _MOST_BITS).any() or (values != np.floor(values)).any():
        raise call.error(f"{name} holds values that are no numbers of bits")
    shape = values.shape
    if len(shape) > 1 and shape[0] != 1:
        raise call.error(f"{name} has the shape {shape}, which has no batch axis")
    trimmed = values.reshape(shape[1:])
    if len(trimmed.shape) > len(call.shape):
        raise call.error(f"{name} has the shape {shape}; its input has {call.shape}")
    return trimmed.astype(np.int64)


def _fixed_point_quantizer(call: LayerCall) -> Node:
    signed, bits, integers = (_array(call, name) for name in _NAMES)
    modes = call.config.text("RND", "TRN"), call.config.text("SAT", "WRAP")
    return call.add(quantize_by_arrays(call, signed, bits, integers, modes), call.input)


def _unary_lut(call: LayerCall) -> Node:
    """A table over every value of the input's type, in the order of its bits as an unsigned number."""
    widths = tuple(n or 0 for n in call.config.integers("kif_in"))
    if len(widths) != 3:
        raise call.error(f"kif_in is {widths}, not three numbers of bits")
    signed, integer, fraction = widths
    width = signed + integer + fraction
    if not 1 <= width <= 16 or signed not in (0, 1):
        raise call.error(f"kif_in is {(signed, integer, fraction)}; a table has 2 to 65536 entries")
    table = call.weight("table", (2**width,))
    of = FixedType(width, signed + integer, bool(signed), Quantization.RND_CONV, Overflow.WRAP)
    x = call.add(Quantize((of,)), call.input)
    ordered = np.roll(table, 2 ** (width - 1)) if signed else table
    return call.add(Lut(GIVEN, (float(fraction),), exact_tensor(ordered), offset=of.min), x)


HANDLERS = {
    "FixedPointQuantizer": Handler(
        _fixed_point_quantizer, "HGQ: a type for each element; every mode but WRAP_SM", lambda config: _NAMES
    ),
    "UnaryLUT": Handler(_unary_lut, "HGQ: tables of up to 65536 entries", lambda config: ("table",)),
}
