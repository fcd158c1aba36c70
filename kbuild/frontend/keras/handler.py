"""What a layer family provides: a `Handler` for each Keras class, which adds nodes for one call of a layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np

from kbuild.dataclass import dataclass, field, replace
from kbuild.errors import UnsupportedModel
from kbuild.fixed import FloatArray
from kbuild.frontend.keras.config import Config
from kbuild.frontend.keras.quantizers.exact import exact_tensor
from kbuild.ir import Graph, Layer, Node, Op, Shape, Tensor

T = TypeVar("T")

ALL = ("*",)  # instead of names of weights: whatever the file has for the layer, by path and number
AddNode = Callable[[str, Op, tuple[Node, ...], Layer], Node]
GraphInside = Callable[[Callable[[], tuple[Node, ...]]], Graph]


@dataclass(frozen=True)
class LayerCall:
    """One call of a layer: its settings and weights, the nodes it reads, and the means to add nodes.

    `arguments` are those of the call that are no inputs; a function has all of its own there (`spec.Call`).
    `layer` is what its nodes are marked with; `part_layer` makes a layer of a part of it, such as a fused activation,
    from the part's name and class, and whether it is an inner one (`ir.Layer`). `add_transpose` adds a change of
    layout, which is no operation of any layer.
    `graph_inside` makes a graph of the nodes that a function adds, which returns those of the results.
    `exact`: its weights are those of a quantized model, and kept to the last bit. `live` is the layer object of a model
    in memory, None in one from files.
    """

    config: Config
    weights: Mapping[str, FloatArray]
    inputs: tuple[Node, ...]
    layer: Layer
    add_node: AddNode
    part_layer: Callable[[str, str, bool], Layer]
    add_transpose: Callable[[Node, tuple[int, ...]], Node]
    graph_inside: GraphInside
    arguments: Mapping[str, object] = field(default_factory=dict)
    exact: bool = False
    live: object = None

    def error(self, sentence: str) -> UnsupportedModel:
        """A refusal of this layer; the sentence says what to do instead."""
        return self.config.error(sentence)

    @property
    def input(self) -> Node:
        """The only input."""
        if len(self.inputs) != 1:
            raise self.error(f"is called with {len(self.inputs)} inputs, not one")
        return self.inputs[0]

    @property
    def shape(self) -> Shape:
        """Shape of the only input, without the batch axis."""
        return self.input.shape

    def axis(self, axis: int, rank: int | None = None) -> int:
        """An axis counted with the batch axis, perhaps from the end, as one without it."""
        rank = len(self.shape) if rank is None else rank
        found = axis - 1 if axis > 0 else axis + rank if axis < 0 else -1
        if not 0 <= found < rank:
            raise self.error(f"axis is {axis}, which is not an axis beside the batch of an input of rank {rank + 1}")
        return found

    def weight(self, name: str, shape: Shape) -> FloatArray:
        """The weight `name`, which must have the shape. Raises UnsupportedModel."""
        if name not in self.weights:
            raise self.error(f"the weight {name} is missing")
        found = self.weights[name]
        if found.shape != shape:
            raise self.error(
                f"the weight {name} has shape {found.shape}, not {shape}; are these the weights of this model?"
            )
        return np.asarray(found)

    def constant(self, values: FloatArray) -> Tensor:
        """A constant of this layer: integers where its weights are quantized, floats until types are resolved else."""
        return exact_tensor(values) if self.exact else Tensor(values)

    def add(self, op: Op, *inputs: Node) -> Node:
        """A node of this layer; it reads the call's inputs unless others are given."""
        return self.add_node(self.layer.name, op, inputs or self.inputs, self.layer)

    def fused(self, activation: str) -> LayerCall:
        """The call of the activation that is part of this layer, as a layer of its own; set its inputs with `on`."""
        return replace(self.part(activation, "Activation"), weights={}, inputs=())

    def part(self, name: str, class_name: str) -> LayerCall:
        """The same call, marking nodes with a layer of their own, `<name of this layer>_<name>`."""
        return replace(self, layer=self.part_layer(name, class_name, False))

    def inner(self, name: str) -> LayerCall:
        """As `part`, for a step inside this layer, whose values have types of their own."""
        return replace(self, layer=self.part_layer(name, self.config.class_name, True))

    def on(self, *inputs: Node) -> LayerCall:
        """The same call on other inputs."""
        return replace(self, inputs=inputs)

    def configured(self, config: Config) -> LayerCall:
        """The same call with other settings."""
        return replace(self, config=config)


def fitting(build: Callable[[LayerCall], T]) -> Callable[[LayerCall], T]:
    """For variables without names in the file: what does not fit together is an error of the file."""

    def guarded(call: LayerCall) -> T:
        try:
            return build(call)
        except UnsupportedModel:
            raise
        except (ValueError, IndexError) as error:
            raise call.error(f"its variables do not fit its configuration ({error}); save the model again") from error

    return guarded


def no_weights(config: Config) -> tuple[str, ...]:
    """For layers without weights."""
    return ()


@dataclass(frozen=True)
class Handler:
    """How a class of layers becomes nodes.

    build: adds the nodes of a call and returns the node of the result; note: what is supported, for `kbuild layers`;
    weights: names of the weights that a configuration has, in Keras' order; build_all: the same as `build` for a class
    whose layers may have several results.
    """

    build: Callable[[LayerCall], Node]
    note: str
    weights: Callable[[Config], tuple[str, ...]] = no_weights
    build_all: Callable[[LayerCall], tuple[Node, ...]] | None = None

    def results(self, call: LayerCall) -> tuple[Node, ...]:
        """The nodes of all results, after adding what they need."""
        return self.build_all(call) if self.build_all is not None else (self.build(call),)
