"""What values the layers of a model take, beside what their types hold: the numbers behind the figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kbuild.api.inputs import samples_of
from kbuild.dataclass import dataclass
from kbuild.emulate import float_values
from kbuild.fixed import FixedType, FloatArray
from kbuild.frontend.keras.live import layer_outputs, read_live
from kbuild.ir import Graph, Tensor

if TYPE_CHECKING:
    from kbuild.api.model import HlsModel


@dataclass(frozen=True)
class Range:
    """The magnitudes, other than zero, of a set of values; `type` is the type that they get, None in a float model."""

    name: str
    magnitudes: FloatArray
    type: FixedType | None = None

    @property
    def powers(self) -> tuple[float, float] | None:
        """The least and the largest magnitude that the type can show, as powers of two."""
        if self.type is None:
            return None
        return float(-self.type.fraction), float(self.type.integer - self.type.signed)


def range_of(name: str, values: Any, of: FixedType | None = None) -> Range:
    """The range of an array of real numbers."""
    flat = np.abs(np.asarray(values, dtype=np.float64)).ravel()
    return Range(name, flat[flat > 0], of)


def weight_ranges(graph: Graph) -> list[Range]:
    """Of the constants of a graph, `layer/name`."""
    return [
        range_of(f"{node.layer.name}/{name}", value.floats(), value.type)
        for node in graph.everywhere()
        for name, value in vars(node.op).items()
        if isinstance(value, Tensor)
    ]


def activation_ranges(graph: Graph, x: Any) -> list[Range]:
    """Of the values that the layers of a graph, float or fixed, take in float64 for inputs `x`."""
    values = {node: value for node, value in float_values(graph, samples_of(graph, x).values)}
    last = {node.layer.name: node for node in graph}
    return [range_of(name, values[node.name], node.type) for name, node in last.items()]


def layer_values(model: Any, x: Any) -> dict[str, FloatArray]:
    """What each layer of a live Keras model makes of `x`, by its name.

    A fused activation is a layer of its own, `<layer>_<activation>`, as in the converted model: its values are what
    Keras' layer makes; those before it are the float graph's.
    """
    graph = read_live(model).graph("model")
    samples = samples_of(graph, x)
    kept = layer_outputs(model, [samples.values[node.name] for node in graph.inputs])
    last = {node.layer.name: node.name for node in graph if node.inputs}
    before = {name: value for name, value in float_values(graph, samples.values) if name in last.values()}
    found: dict[str, FloatArray] = {}
    for name, node in last.items():
        fused = [other for other in last if other.startswith(f"{name}_") and graph[last[other]].inputs == (node,)]
        own = fused[0] if fused and graph[last[fused[0]]].layer.class_name == "Activation" and name in kept else name
        if own != name:
            found[name], found[own] = before[node], kept[name]
        elif name not in found:
            found[name] = kept.get(name, before[node])
    return found


def differences(model: Any, hls_model: HlsModel, x: Any) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Keras' and the hardware's values of every layer that both have, flattened to (samples, elements)."""
    theirs = layer_values(model, x)
    _, ours = hls_model.trace(x)
    found = {}
    for name, values in ours.items():
        if name in theirs and theirs[name].size == values.size:
            found[name] = theirs[name].reshape(len(values), -1), values.reshape(len(values), -1)
    return found
