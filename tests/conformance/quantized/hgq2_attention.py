"""HGQ2's attention, computed part by part: float32 has to hold every one of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.quantized.hgq2_parts import Settings, array, config, fitting, randomized, read, weights_of
from conformance.quantized.script import Grid, QuantizedScript, Redraw, sum_grid
from conformance.script import OMIT, Value

_VALUES = ("qkvo_iq", "qkvo_oq", "softmax_exp_iq", "softmax_inv_iq", "softmax_oq")
_TABLES = ("softmax_exp_oq", "softmax_inv_oq")


def attention(class_name: str) -> Callable[[QuantizedScript, Value], Value]:
    """A layer with heads, on itself or on up to three values; over all axes of places or some."""

    def build(s: QuantizedScript, x: Value) -> Value:
        values = _operands(s, x)
        settings = _settings(s, class_name, values)
        scores = s.chance(0.3)
        call = ", ".join(map(str, values)) + (", return_attention_scores=True" if scores else "")
        name, found = s.called_layers(class_name, call, settings)
        layer = randomized(s, name)
        if s.errors(values):
            raise Redraw("its input is not exact")
        given = [s.samples[value.name] for value in values]
        _check(s, layer, *given, *given[-1:] * (3 - len(given)))
        made = layer(*given, training=False, return_attention_scores=scores)
        for value, samples in zip(found, made if scores else [made], strict=True):
            s.known(value, array(samples))
        return found[0]

    return build


def _operands(s: QuantizedScript, x: Value) -> list[Value]:
    """Query, value and key."""
    if s.chance(0.4):
        return [x, x]
    value = s.grid_input((s.size(1, 3), *x.shape[1:-1], s.size(1, 3)))
    key = s.grid_input((*value.shape[:-1], s.size(1, 3)))
    return s.one([x, x, x], [x, value], [x, value], [x, value, key])


def _settings(s: QuantizedScript, class_name: str, values: list[Value]) -> Settings:
    rank, alike = values[0].rank, len({value.shape for value in values[1:]}) == 1
    axes = s.one(OMIT, OMIT, (1,), *([(2,), (1, 2)] if rank > 2 else []))
    if axes == (2,) and values[1].shape[0] != values[0].shape[0]:
        axes = (1,)
    settings: Settings = {
        "num_heads": s.size(1, 2), "key_dim": s.size(1, 4), "value_dim": s.maybe(s.size(1, 3)),
        "use_bias": s.maybe(False, 0.3), "output_shape": s.maybe(s.one(1, 2, 3)), "attention_axes": axes,
        "stable_softmax": s.maybe(False, 0.15), "dropout": s.maybe(0.1, 0.2),
        **{f"{part}_conf": config(s, "datalane") for part in _VALUES},
        **{f"{part}_conf": config(s, "table") for part in _TABLES},
        "qkvo_kq_conf": config(s, "weight"), "qkvo_bq_conf": config(s, "bias"),
    }  # fmt: skip
    if class_name == "QLinformerAttention":
        attended = rank - 1 if axes is OMIT else len(axes)
        settings["lin_kv_proj_dim"] = tuple(s.size(1, 3) for _ in range(attended))
        return settings | {"share_kv_proj": s.chance(0.4) and alike}
    itself = alike and values[0].shape == values[1].shape
    return settings | {"fuse": s.one("none", *(["kv"] if alike else []), *(["qkv"] if itself else []))}


def _check(s: QuantizedScript, layer: Any, query: np.ndarray, value: np.ndarray, key: np.ndarray) -> None:
    """Leave out samples, or raise Redraw, where float32 would round."""
    if hasattr(layer, "_lin_k_proj"):
        key, value = _projected(layer._lin_k_proj, key), _projected(layer._lin_v_proj, value)
    q, k, v = (_projected(getattr(layer, f"_{name}_dense"), x)
               for name, x in (("query", query), ("key", key), ("value", value)))  # fmt: skip
    fitting(sum_grid(Grid.of(q), Grid.of(k), None, q.shape[-1]))
    scores = np.einsum(layer._dot_product_equation, k, q)
    fitting(weights_of(s, layer._softmax, scores))
    weights = array(layer._softmax(scores, training=False))
    fitting(sum_grid(Grid.of(weights), Grid.of(v), None, int(np.prod([scores.shape[a] for a in layer._softmax.axes]))))
    _projected(layer._output_dense, np.einsum(layer._combine_equation, weights, v))


def _projected(layer: Any, x: np.ndarray) -> np.ndarray:
    """What a QEinsumDense makes of an array."""
    kernel, bias = array(layer.qkernel), None if layer.bias is None else Grid.of(array(layer.qbias))
    fitting(sum_grid(Grid.of(read(layer, x)), Grid.of(kernel), bias, kernel.size))
    return array(layer(x, training=False))
