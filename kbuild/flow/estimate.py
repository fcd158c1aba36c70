"""What can be said of a design's size before anything is emitted."""

from __future__ import annotations

import math
from collections.abc import Iterator

from kbuild.dataclass import dataclass
from kbuild.ir import Graph, Node, Tensor
from kbuild.ops.affine import Affine
from kbuild.ops.contraction import Contraction


@dataclass(frozen=True)
class LayerEstimate:
    """One value of the graph: multiplications a sample, and bits of its weights, biases and tables."""

    layer: str
    class_name: str
    shape: tuple[int, ...]
    type: str
    multiplications: int
    constant_bits: int


@dataclass(frozen=True)
class Estimate:
    """The whole design; inputs and outputs are bits a sample."""

    layers: tuple[LayerEstimate, ...]
    input_bits: int
    output_bits: int

    @property
    def multiplications(self) -> int:
        """All multiplications a sample, those by zero included."""
        return sum(layer.multiplications for layer in self.layers)

    @property
    def constant_bits(self) -> int:
        """All bits of constants."""
        return sum(layer.constant_bits for layer in self.layers)


def estimate(graph: Graph) -> Estimate:
    """Count over a fixed-point graph."""
    return Estimate(
        tuple(_layer(node, times) for node, times in executed(graph)),
        sum(_bits(node) for node in graph.inputs),
        sum(_bits(graph[name]) for name in graph.outputs),
    )


def executed(graph: Graph) -> Iterator[tuple[Node, int]]:
    """All nodes, those inside of others too, and how often a sample needs each: once in every step of a loop."""
    for node in graph:
        for each in node.everywhere():
            yield each, 1 if each is node else graph[node.inputs[0]].shape[0]


def _layer(node: Node, times: int) -> LayerEstimate:
    tensors = [value for value in vars(node.op).values() if isinstance(value, Tensor)]
    bits = sum(tensor.data.size * tensor.fixed().width for tensor in tensors)
    return LayerEstimate(
        node.layer.name, node.layer.class_name, node.shape, str(node.fixed()), times * multiplications(node), bits
    )


def multiplications(node: Node) -> int:
    """Multiplications by constants that are needed in one node, each time that it is computed."""
    elements = _elements(node)
    if isinstance(node.op, Contraction):
        return elements * node.op.terms
    if node.op.kind == "einsum":
        from kbuild.ops.einsum import Einsum

        assert isinstance(node.op, Einsum)
        if node.op.weight is None:
            return 0
        sizes = dict(zip(node.op.letters[1], node.op.weight.shape, strict=True))
        return elements * math.prod(sizes[letter] for letter in node.op.parts[2])
    return elements if isinstance(node.op, Affine) else 0


def _elements(node: Node) -> int:
    count = 1
    for length in node.shape:
        count *= length
    return count


def _bits(node: Node) -> int:
    return _elements(node) * node.fixed().width
