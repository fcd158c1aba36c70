"""The graph: nodes in an order in which each uses only what stands before it. Immutable; passes make new ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

from kbuild.dataclass import dataclass, replace
from kbuild.fixed import FixedType
from kbuild.ir.op import Op, Shape

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Layer:
    """The Keras layer a node came from: its name (as in `LayerName`) and class (as in `LayerType`).

    inner: whether it is a step inside a layer of this class, whose values have types of their own: those that a recipe
    gives to the class or to the whole model are for its weights only.
    """

    name: str
    class_name: str
    inner: bool = False


@dataclass(frozen=True)
class Node:
    """One value and the operation that makes it. `type` is None until precisions are resolved."""

    name: str
    op: Op
    inputs: tuple[str, ...]
    shape: Shape
    layer: Layer
    type: FixedType | None = None

    def fixed(self) -> FixedType:
        """The type of a value that must have one by now."""
        if self.type is None:
            raise ValueError(f"the value {self.name} still has no fixed-point type")
        return self.type


class GraphError(ValueError):
    """A graph that breaks its own rules: an error in kbuild, not in the model."""


@dataclass(frozen=True)
class Graph:
    """A model. `outputs` are names of nodes, in the model's order; inputs are the nodes of op `input`, in order."""

    name: str
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]

    @cached_property
    def by_name(self) -> Mapping[str, Node]:
        """Nodes by name."""
        return {node.name: node for node in self.nodes}

    @cached_property
    def users(self) -> Mapping[str, tuple[Node, ...]]:
        """For each node name the nodes that read it (a model output is not a user)."""
        found: dict[str, list[Node]] = {node.name: [] for node in self.nodes}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                found[name].append(node)
        return {name: tuple(nodes) for name, nodes in found.items()}

    @property
    def inputs(self) -> tuple[Node, ...]:
        """The model's inputs, in order."""
        return tuple(node for node in self.nodes if node.op.kind == "input")

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __getitem__(self, name: str) -> Node:
        return self.by_name[name]

    def inputs_of(self, node: Node) -> tuple[Node, ...]:
        """The nodes whose values the node reads."""
        return tuple(self.by_name[name] for name in node.inputs)

    def with_nodes(self, nodes: Iterable[Node]) -> Graph:
        """The same model with other nodes."""
        return replace(self, nodes=tuple(nodes))

    def _repr_html_(self) -> str:
        """What a notebook shows: a table of the nodes."""
        from kbuild.ir.html import table

        rows = [
            (node.name, node.op.kind, ", ".join(node.inputs), str(list(node.shape)), str(node.type or "float"),
             f"{node.layer.name} ({node.layer.class_name})") for node in self
        ]  # fmt: skip
        head = ("value", "operation", "reads", "shape", "type", "layer")
        return table(f"{self.name}, which returns {', '.join(self.outputs)}", head, rows)

    def bypass(self, node: Node) -> Graph:
        """The graph without `node`: its readers read the node's only input."""
        (source,) = node.inputs

        def renamed(names: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(source if name == node.name else name for name in names)

        nodes = tuple(replace(n, inputs=renamed(n.inputs)) for n in self.nodes if n is not node)
        return replace(self, nodes=nodes, outputs=renamed(self.outputs))


def verify(graph: Graph) -> Graph:
    """Check names, order, arity, shapes and that types are all there or none; return the graph. Raises GraphError."""
    seen: dict[str, Node] = {}
    for node in graph.nodes:
        if not IDENTIFIER.fullmatch(node.name):
            raise GraphError(f"'{node.name}' is not an identifier")
        if node.name in seen:
            raise GraphError(f"two nodes are called {node.name}")
        missing = [name for name in node.inputs if name not in seen]
        if missing:
            raise GraphError(f"{node.name} reads {', '.join(missing)}, not defined before it")
        shapes = [seen[name].shape for name in node.inputs]
        try:
            node.op.verify(shapes)
            shape = node.op.infer_shape(shapes)
        except ValueError as error:
            raise GraphError(f"{node.name} ({node.op.kind}): {error}") from error
        if shape != node.shape:
            raise GraphError(f"{node.name} ({node.op.kind}) has shape {node.shape}, its op makes {shape}")
        seen[node.name] = node
    for name in graph.outputs:
        if name not in seen:
            raise GraphError(f"the output {name} is not defined")
    if not graph.outputs:
        raise GraphError("the graph has no output")
    if len({node.type is None for node in graph.nodes}) > 1:
        raise GraphError("some values have a fixed-point type and some do not")
    return graph
