"""The layers of a converted model, and their weights, for looking at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from kbuild.api.attributes import activation, sizes
from kbuild.config import LayerSettings
from kbuild.config.suggestions import listing
from kbuild.dataclass import dataclass
from kbuild.fixed import FixedType, FloatArray
from kbuild.ir import Graph, Node, Tensor

_COMMON = ("weight", "bias")


@dataclass(frozen=True)
class VariableType:
    """The type of a variable: `precision` is its fixed-point type, `name` what hls4ml would call it."""

    name: str
    precision: FixedType

    def __str__(self) -> str:
        return str(self.precision)


@dataclass(frozen=True)
class Variable:
    """A value between layers: `shape` is without the axis of samples."""

    name: str
    shape: tuple[int, ...]
    type: VariableType

    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True, eq=False)
class WeightVariable:
    """A constant of a layer: `data` are its values as they are in the hardware, float64, each exact."""

    name: str
    data: FloatArray
    type: VariableType | None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the values; of a kernel as in Keras."""
        return tuple(int(n) for n in self.data.shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> FloatArray:
        return np.array(self.data, dtype=dtype) if copy else np.asarray(self.data, dtype=dtype)


class Weights(dict[str, WeightVariable]):
    """The weights of a layer by name: `weight`, `bias`, or what the layer's operation calls its constants.

    `weight` and `bias` may be asked of every layer: one that has none gives an empty array, of shape (0,). They are not
    counted, and not iterated over. Another name that is not there is a KeyError.
    """

    def __missing__(self, name: str) -> WeightVariable:
        if name in _COMMON:
            return WeightVariable(name, np.zeros(0), None)
        raise KeyError(f"no weight is called {name}; there are {listing(self)}")


class Layer:
    """One layer as it is built: a Keras layer, or an activation that was fused into one.

    Training-only layers, and those that were folded into others, are not there.
    """

    def __init__(self, graph: Graph, nodes: tuple[Node, ...], settings: LayerSettings | None) -> None:
        self._graph, self._nodes, self._settings = graph, nodes, settings

    @property
    def name(self) -> str:
        """The name in Keras, and under `LayerName`."""
        return self._nodes[0].layer.name

    @property
    def class_name(self) -> str:
        """The class in Keras, and under `LayerType`."""
        return self._nodes[0].layer.class_name

    @cached_property
    def attributes(self) -> Mapping[str, Any]:
        """What was decided for the layer: shapes, types, strategy, reuse factor, and the fields of its operations.

        Under hls4ml's names, too: `n_in`, `n_out`, `n_chan`, `n_filt`, `in_width`, `filt_height`, `stride_width`,
        `pad_left` ... where the layer has such a size, `activation`, and the type of each variable as `result_t` ...
        """
        first, last = self._nodes[0], self._nodes[-1]
        found: dict[str, Any] = {
            "name": self.name,
            "class_name": self.class_name,
            "inputs": [self._graph[name].layer.name for name in first.inputs],
            "input_shape": [self._graph[name].shape for name in first.inputs],
            "output_shape": last.shape,
            "operations": [node.op.kind for node in self._everywhere()],
            "precision": {name: str(of) for name, of in self._types().items()},
            **{f"{name}_t": VariableType(f"{name}_t", of) for name, of in self._types().items()},
        }
        if not first.inputs:
            found["input_shape"] = list(first.shape)
        for node in self._nodes:
            inputs = [self._graph[name].shape for name in node.inputs]
            found |= {name: value for name, value in sizes(node, inputs).items() if name not in found}
            if (function := activation(self._graph, node)) is not None:
                found.setdefault("activation", function)
        for node in self._everywhere():
            for name, value in vars(node.op).items():
                if not isinstance(value, (Tensor, FixedType, Graph)):
                    found.setdefault(name, value)
        if self._settings is not None:
            found.setdefault("strategy", self._settings.strategy.value)
            found.setdefault("reuse_factor", self._settings.reuse_factor.value)
            found["trace"] = self._settings.trace.value
        return found

    def _everywhere(self) -> Iterator[Node]:
        """The nodes, and those inside them."""
        for node in self._nodes:
            yield from node.everywhere()

    def _types(self) -> dict[str, FixedType]:
        found: dict[str, FixedType] = {}
        for node in self._everywhere():
            for name, value in vars(node.op).items():
                of = value.type if isinstance(value, Tensor) else value
                if isinstance(of, FixedType):
                    found.setdefault(name, of)
        return {**found, "result": self._nodes[-1].fixed()}

    def get_attr(self, key: str, default: Any = None) -> Any:
        """One of the attributes."""
        return self.attributes.get(key, default)

    def get_weights(self, var_name: str | None = None) -> Any:
        """The constants of the layer by name, see `Weights`; or the one of a name. Raises KeyError."""
        found = self.weights
        return found if var_name is None else found[var_name]

    @property
    def weights(self) -> Weights:
        """The constants of the layer by name."""
        found = Weights()
        for node in self._everywhere():
            for name, value in vars(node.op).items():
                if isinstance(value, Tensor):
                    own = name if name not in found else f"{node.name}_{name}"
                    found[own] = WeightVariable(own, value.floats(), _type_named(f"{name}_t", value.type))
        return found

    def get_input_variable(self) -> Variable:
        """What the layer reads first."""
        return variable(self._graph[self._nodes[0].inputs[0]])

    def get_output_variable(self) -> Variable:
        """What the layer makes."""
        return variable(self._nodes[-1])

    def __repr__(self) -> str:
        return f"<Layer {self.name} ({self.class_name}): {self._nodes[-1].shape} of {self._nodes[-1].fixed()}>"


def variable(node: Node) -> Variable:
    """The value of a node of a fixed-point graph."""
    return Variable(node.name, node.shape, VariableType("result_t", node.fixed()))


def layers_of(graph: Graph, settings: Mapping[str, LayerSettings]) -> list[Layer]:
    """The layers of a fixed-point graph, in order."""
    nodes: dict[str, list[Node]] = {}
    for node in graph:
        nodes.setdefault(node.layer.name, []).append(node)
    return [Layer(graph, tuple(own), settings.get(name)) for name, own in nodes.items()]


def _type_named(name: str, of: FixedType | None) -> VariableType | None:
    return None if of is None else VariableType(name, of)
