"""QKeras' recurrent layers: the widths of their states are followed step by step, so that float32 holds every sum."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from conformance.quantized.qkeras_parts import exact_weight, narrowed, randomize
from conformance.quantized.qkeras_quantizers import Settings, bias, spelled
from conformance.quantized.script import Grid, QuantizedScript, Redraw, added, sum_grid
from conformance.script import Code, Value, arguments

CELLS = ("QSimpleRNN", "QLSTM", "QGRU")
_MERGES = ("concat", "sum", "mul", "ave")
_ANY = np.arange(-64, 64, 2.0**-8, dtype=np.float32)  # what a quantizer makes of these is all it can make
Quantizer = Callable[[Any], Any]


def recurrent(class_name: str) -> Callable[[QuantizedScript, Value], Value]:
    """A layer over a few steps, perhaps with first states."""

    def build(s: QuantizedScript, x: Value) -> Value:
        x, settings = narrowed(s, x), _settings(s, class_name)
        count = 2 if class_name == "QLSTM" else 1
        first = [s.grid_input((settings["units"],), 2) for _ in range(count)] if s.chance(0.25) else []
        call = f"{x}, initial_state={[Code(str(state)) for state in first]}" if first else str(x)
        name, found = s.called_layers(class_name, call, settings | {"return_state": s.chance(0.3)})
        randomize(s, name)
        return _known(s, name, x, first, found, _fitting(s, s.scope[name].cell, x, first))

    return build


def bidirectional(s: QuantizedScript, x: Value) -> Value:
    """Both directions of a layer, or two layers."""
    class_name = s.one(*CELLS)
    x, settings = narrowed(s, x), _settings(s, class_name)
    words: Settings = {"layer": _layer(class_name, settings), "merge_mode": s.one(*_MERGES)}
    if s.chance(0.25):
        shared = {"units": settings["units"], "return_sequences": settings["return_sequences"],
                  "go_backwards": not settings["go_backwards"]}  # fmt: skip
        words["backward_layer"] = _layer(class_name, _settings(s, class_name) | shared)
    name, found = s.called_layers("QBidirectional", str(x), words)
    randomize(s, name)
    layer = s.scope[name]
    both = [_fitting(s, one.cell, x, []) for one in (layer.forward_layer, layer.backward_layer)]
    merged = sum_grid(*both, None, 1) if words["merge_mode"] == "mul" else added(*both)
    return _known(s, name, x, [], found, Grid(merged.fraction + 1, merged.most))


def _layer(class_name: str, settings: Settings) -> Code:
    return Code(f"{class_name}({arguments(settings)})")


def _known(s: QuantizedScript, name: str, x: Value, first: Sequence[Value], found: Sequence[Value],
           result: Grid) -> Value:  # fmt: skip
    _holds(result)
    words = {"initial_state": [s.keras.backend.constant(s.samples[state.name]) for state in first]} if first else {}
    made = s.scope[name](s.samples[x.name], training=False, **words)
    for value, samples in zip(found, made if isinstance(made, list | tuple) else [made], strict=True):
        s.known(value, np.asarray(samples))
    return found[0]


# ---- settings


def _weights(s: QuantizedScript) -> str:
    """A quantizer of weights whose scale is a power of two."""
    alpha = s.one(1.0, 1.0, 0.5, 2.0, "auto_po2")
    return s.one(
        spelled("quantized_bits", {"bits": s.size(2, 6), "integer": s.size(0, 2), "symmetric": 1, "alpha": alpha}),
        spelled("quantized_bits", {"bits": s.size(1, 6), "integer": s.size(0, 2), "alpha": s.one(1.0, 0.5)}),
        spelled(s.one("binary", "ternary"), {"alpha": alpha}),
        spelled(s.one("stochastic_binary", "stochastic_ternary"), {"alpha": s.one(1.0, 0.5)}),
        s.one("quantized_po2(3,1)", "quantized_po2(4,2)", "quantized_relu_po2(3,2)"),
    )


def _values(s: QuantizedScript) -> str:
    """A quantizer of values: of an activation, or of the states."""
    bits = s.size(2, 6)
    return s.one(
        f"quantized_tanh({bits},symmetric={s.size(0, 1)})", f"quantized_tanh({bits},use_real_tanh=1)",
        f"quantized_bits({bits},{s.size(0, 1)},{s.size(0, 1)},alpha={s.one(1, 1, 0.5)})",
        f"quantized_relu({bits},{s.size(0, 2)})", f"quantized_relu({bits},1,negative_slope=0.25)",
        "binary(alpha=1)", "ternary(alpha=1.0,threshold=0.5)", "stochastic_ternary(alpha=0.5)",
    )  # fmt: skip


def _settings(s: QuantizedScript, class_name: str) -> Settings:
    bits = s.size(2, 6)
    settings: Settings = {
        "units": s.size(1, 3), "return_sequences": s.chance(0.5), "go_backwards": s.chance(0.3),
        "kernel_quantizer": _weights(s), "recurrent_quantizer": _weights(s), "use_bias": s.chance(0.7),
        "activation": s.one("relu", _values(s), _values(s), _values(s), _values(s)),
    }  # fmt: skip
    if settings["use_bias"]:
        settings["bias_quantizer"] = bias(s)
    if s.chance(0.7):
        settings["state_quantizer"] = _values(s)
    if class_name != "QSimpleRNN":
        gates = (f"quantized_sigmoid({bits},symmetric={s.size(0, 1)})", f"quantized_sigmoid({bits},use_real_sigmoid=1)",
                 f"quantized_relu({bits},1)", f"quantized_bits({bits},0,1,alpha=1)")  # fmt: skip
        settings["recurrent_activation"] = s.one(*gates)
    if class_name == "QLSTM":
        settings["implementation"] = s.one(1, 2)
    if class_name == "QGRU":
        settings |= {"reset_after": s.chance(0.5), "implementation": s.one(1, 2)}
    return settings


# ---- widths


def _holds(grid: Grid) -> Grid:
    if not grid.fits:
        raise Redraw("a value inside of the layer is wider than float32")
    return grid


def _applied(function: Quantizer | None, x: Grid) -> Grid:
    """What a quantizer makes of values of these widths; it adds the difference of both to what it reads."""
    if function is None or getattr(function, "__name__", "") in ("linear", "relu"):
        return _holds(x)
    made = Grid.of(np.asarray(function(_ANY)))
    _holds(Grid(max(x.fraction, made.fraction), x.most + made.most))
    return made


def _fitting(s: QuantizedScript, cell: Any, x: Value, first: Sequence[Value]) -> Grid:
    """The widths of all that a cell returns. Raises Redraw where float32 could round."""
    kernel, recurrent = exact_weight(cell, "kernel"), exact_weight(cell, "recurrent_kernel")
    offset = exact_weight(cell, "bias") if cell.use_bias else None
    inputs = sum_grid(Grid.of(s.samples[x.name]), kernel, offset, x.shape[-1])
    zero = Grid(-100, 0.0)
    states = [Grid.of(s.samples[state.name]) for state in first] or [zero, zero]
    returned = list(states)
    for _ in range(x.shape[0]):
        before = [_applied(cell.state_quantizer_internal, state) for state in states]
        product = sum_grid(before[0], recurrent, offset if getattr(cell, "reset_after", False) else None, cell.units)
        total = _holds(added(inputs, product))
        states = _step(cell, total, inputs, before, product, recurrent)
        returned += states
    return Grid(max(grid.fraction for grid in returned), max(grid.most for grid in returned))


def _step(cell: Any, total: Grid, inputs: Grid, before: Sequence[Grid], product: Grid, recurrent: Grid) -> list[Grid]:
    """The widths of the next states."""
    if not hasattr(cell, "recurrent_activation"):
        return [_applied(cell.activation, total)]
    gate = _applied(cell.recurrent_activation, total)
    if not hasattr(cell, "reset_after"):
        new = _applied(cell.activation, total)
        carry = _holds(added(sum_grid(gate, before[1], None, 1), sum_grid(gate, new, None, 1)))
        return [_holds(sum_grid(gate, _applied(cell.activation, carry), None, 1)), carry]
    if cell.reset_after:
        kept = sum_grid(gate, product, None, 1)
    else:
        kept = sum_grid(_holds(sum_grid(gate, before[0], None, 1)), recurrent, None, cell.units)
    new = _applied(cell.activation, added(inputs, kept))
    rest = added(gate, Grid(0, 1.0))
    return [_holds(added(sum_grid(gate, before[0], None, 1), sum_grid(rest, new, None, 1)))]
