"""The arguments of the top function."""

from __future__ import annotations

from kbuild.dataclass import dataclass
from kbuild.emit.hls.design import elements, type_name, value_name
from kbuild.ir import Graph


@dataclass(frozen=True)
class Port:
    """An argument of the top function: an input, or one of the model's outputs."""

    name: str
    type_name: str
    size: int
    node: str

    @property
    def declaration(self) -> str:
        """As a parameter."""
        return f"{self.type_name} {self.name}[{self.size}]"


def inputs_of(graph: Graph) -> list[Port]:
    """The inputs of the top function."""
    return [Port(value_name(n.name), type_name(n.name), elements(n.shape), n.name) for n in graph.inputs]


def outputs_of(graph: Graph) -> list[Port]:
    """Its outputs. A value that the design itself reads too, or returns twice, is copied to a port `output_<index>`."""
    ports = []
    for index, name in enumerate(graph.outputs):
        node = graph[name]
        own = not graph.users[name] and node.op.kind != "input" and graph.outputs.count(name) == 1
        ports.append(Port(value_name(name) if own else f"output_{index}", type_name(name), elements(node.shape), name))
    return ports
