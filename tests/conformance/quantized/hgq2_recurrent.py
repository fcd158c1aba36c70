"""HGQ2's recurrent layers: their states have the widths of their quantizers, whatever the number of steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.quantized.hgq2_parts import Settings, array, config, fitting, randomized, widths
from conformance.quantized.script import Grid, QuantizedScript, Redraw, added, sum_grid
from conformance.script import OMIT, Value

_FUNCTIONS = (OMIT, OMIT, "linear", "relu", "relu6")  # in which float32 rounds nothing


def recurrent(class_name: str) -> Callable[[QuantizedScript, Value], Value]:
    """A layer over a few steps, perhaps with a first state."""

    def build(s: QuantizedScript, x: Value) -> Value:
        units = s.size(1, 3)
        first = [s.grid_input((units,))] if s.chance(0.3) else []
        call = f"{x}, initial_state=[{first[0]}]" if first else str(x)
        name, found = s.called_layers(class_name, call, {"units": units, **_settings(s, class_name)})
        layer = randomized(s, name)
        if s.errors([x, *first]):
            raise Redraw("its input is not exact")
        _check(layer.cell, s.samples[x.name], *(s.samples[state.name] for state in first))
        words = {"initial_state": [s.samples[state.name] for state in first]} if first else {}
        made = layer(s.of(x), training=False, **words)
        for value, samples in zip(found, made if isinstance(made, list | tuple) else [made], strict=True):
            s.known(value, array(samples))
        return found[0]

    return build


def _settings(s: QuantizedScript, class_name: str) -> Settings:
    settings: Settings = {
        "use_bias": s.maybe(False, 0.3), "return_sequences": s.maybe(True), "return_state": s.maybe(True, 0.3),
        "go_backwards": s.maybe(True, 0.3), "activation": s.one(*_FUNCTIONS),
        **{f"{part}_conf": config(s, "datalane") for part in ("iq", "sq")},
        **{f"{part}_conf": config(s, "weight") for part in ("kq", "rkq")}, "bq_conf": config(s, "bias"),
        "paq_conf": s.maybe(config(s, "datalane")),  # that of a hard tanh unless given
    }  # fmt: skip
    if class_name == "QSimpleRNN":
        return settings | {"enable_sq": s.maybe(s.chance(0.5))}
    return settings | {
        "reset_after": s.maybe(False), "recurrent_activation": s.one(*_FUNCTIONS), "rhq_conf": config(s, "datalane"),
        "praq_conf": s.maybe(config(s, "datalane")),  # that of a hard sigmoid unless given
    }  # fmt: skip


def _check(cell: Any, x: np.ndarray, *first: np.ndarray) -> None:
    """Raise Redraw where float32 could round in a step."""
    units, features = cell.units, x.shape[-1]
    of_inputs, of_first = (widths(cell.iq, features) if cell._enable_iq else Grid.of(x)), map(Grid.of, first)
    kernel, recurrent = Grid.of(array(cell.qkernel)), Grid.of(array(cell.qrecurrent_kernel))
    bias = Grid.of(array(cell.qbias)) if cell.use_bias else None
    act = widths(cell.paq if hasattr(cell, "paq") else cell._paq, units)
    inputs = sum_grid(of_inputs, kernel, bias, features)
    if not hasattr(cell, "reset_after"):
        state = widths(cell.sq, units) if cell.enable_sq else _any_of(act, *of_first)
        fitting(added(inputs, sum_grid(state, recurrent, None, units)))
        return
    state, gate, product = widths(cell.sq, units), widths(cell.praq, 2 * units), widths(cell.rhq, units)
    inner = sum_grid(state, recurrent, bias if cell.reset_after else None, units)
    fitting(added(inputs, inner))
    if cell.reset_after:
        kept = sum_grid(gate, product, None, 1)
    else:
        fitting(sum_grid(gate, state, None, 1))
        kept = sum_grid(product, recurrent, None, units)
    fitting(added(inputs, kept))
    rest = added(gate, Grid(0, 1.0))
    fitting(added(sum_grid(gate, state, None, 1), sum_grid(rest, act, None, 1)))


def _any_of(*grids: Grid) -> Grid:
    return Grid(max(grid.fraction for grid in grids), max(grid.most for grid in grids))
