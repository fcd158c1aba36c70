"""What can be said of a design's size before anything is emitted."""

from __future__ import annotations

import math

from kbuild.dataclass import dataclass
from kbuild.ir import Graph, Node, Tensor
from kbuild.ops.affine import Affine
from kbuild.ops.contraction import Contraction
from kbuild.ops.einsum import Einsum


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
        tuple(_layer(node) for node in graph),
        sum(_bits(node) for node in graph.inputs),
        sum(_bits(graph[name]) for name in graph.outputs),
    )


def _layer(node: Node) -> LayerEstimate:
    tensors = [value for value in vars(node.op).values() if isinstance(value, Tensor)]
    bits = sum(tensor.data.size * tensor.fixed().width for tensor in tensors)
    return LayerEstimate(
        node.layer.name, node.layer.class_name, node.shape, str(node.fixed()), multiplications(node), bits
    )


def multiplications(node: Node) -> int:
    """Multiplications by constants that a sample needs in one node."""
    elements = _elements(node)
    if isinstance(node.op, Contraction):
        return elements * node.op.terms
    if isinstance(node.op, Einsum) and node.op.weight is not None:
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
