"""Layers of a live model that no handler reads, traced into logic by da4ml, where one of its plugins knows the layer.

da4ml's plugins are Python entry points of the group `dais_tracer.plugins`, named after the package whose models they
trace: HGQ2 brings that of `keras`. A plugin of a layer's own package is given the layer itself. The plugin computes
with symbols whose types are known once the layer quantizes its inputs; what it does to them becomes one operation.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from kbuild.errors import UnsupportedModel
from kbuild.frontend.keras.safety import quoted
from kbuild.frontend.keras.spec import LayerSpec
from kbuild.ir import Shape
from kbuild.ops.logic import Code, Logic

MOST_INPUTS = 3


def traced(layer: Any, spec: LayerSpec) -> Logic | None:
    """The logic of a layer; None where no plugin knows it. Raises UnsupportedModel where one does and cannot do it."""
    try:
        from da4ml.converter import get_available_plugins
    except ImportError:
        return None
    package, plugins = type(layer).__module__.split(".")[0], get_available_plugins()
    framework = package if package in plugins else "keras"
    if framework not in plugins or spec.keras != 3 or not _is_traceable(layer, spec):
        return None
    model = layer if framework == package != "keras" else _model_of(layer)
    shapes = [tuple(int(n) for n in tensor.shape[1:]) for tensor in _tensors(layer.input)]
    outputs = _tensors(layer.output)
    try:
        return _logic(model, framework, shapes, tuple(int(n) for n in outputs[0].shape[1:]))
    except KeyError:  # the plugin has a table of the classes that it knows
        return None
    except Exception as error:
        why = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise UnsupportedModel(
            f"the layer {quoted(spec.name)} ({spec.class_name}) has no handler, and da4ml cannot trace it "
            f"({quoted(why)[1:-1]}); register a handler for it, or quantize its inputs by its own quantizers"
        ) from error


def described(logic: Logic, spec: LayerSpec) -> str:
    """What was done, for the user."""
    counts = Counter(step.code for step in logic.steps)
    parts = [(counts[Code.ADD], "additions"), (counts[Code.MULTIPLY], "products"), (counts[Code.LOOKUP], "look-ups")]
    made = ", ".join(f"{count} {what}" for count, what in parts if count) or "wires"
    return f"the layer {quoted(spec.name)} ({spec.class_name}) has no handler; da4ml traced it into logic: {made}"


def _is_traceable(layer: Any, spec: LayerSpec) -> bool:
    """Whether it is called once, on a few tensors and nothing else."""
    if len(spec.calls) != 1:
        return False
    try:
        inputs, outputs = _tensors(layer.input), _tensors(layer.output)
    except (AttributeError, RuntimeError, ValueError):  # several calls, or none
        return False
    return len(spec.calls[0].inputs) == len(inputs) <= MOST_INPUTS and len(outputs) == 1


def _tensors(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _model_of(layer: Any) -> Any:
    """A model of the layer alone, of the Keras that it is from."""
    return sys.modules["keras"].Model(layer.input, layer.output)


def _logic(model: Any, framework: str, shapes: Sequence[Shape], shape: Shape) -> Logic:
    """Traced twice: the first time tells how the layer quantizes its inputs, which then have types."""
    from da4ml.converter import trace_model
    from da4ml.trace import FixedVariableArray, HWConfig, comb_trace

    from kbuild.frontend.keras.traced_input import Recorded
    from kbuild.frontend.keras.traced_logic import logic_of

    hardware = HWConfig(1, -1, -1)
    symbols = [[Recorded(hardware) for _ in range(math.prod(given))] for given in shapes]
    arrays = [FixedVariableArray(np.array(own, dtype=object).reshape(given), hwconf=hardware)
              for own, given in zip(symbols, shapes, strict=True)]  # fmt: skip
    trace_model(model, hardware, inputs=tuple(arrays), framework=framework)
    entries = [[symbol.requests.entry() for symbol in own] for own in symbols]
    typed = []
    for own, given in zip(entries, shapes, strict=True):
        signed, integer, fraction = (
            np.array([entry[column] for entry in own], np.int64).reshape(given) for column in range(3)
        )
        typed.append(FixedVariableArray.from_kif(signed, integer, fraction, hardware))
    inputs, outputs = trace_model(model, hardware, inputs=tuple(typed), framework=framework)
    return logic_of(comb_trace(inputs, outputs), [entry for own in entries for entry in own], shape)
