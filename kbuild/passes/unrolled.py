"""What an HLS project computes at once: every product in a loop that is unrolled, every element that is a register."""

from __future__ import annotations

import math

from kbuild.dataclass import dataclass, replace
from kbuild.ir import Node
from kbuild.ops.contraction import Contraction
from kbuild.ops.conv import Conv
from kbuild.ops.dense import Dense
from kbuild.ops.rnn import Recurrent
from kbuild.ops.scan import Scan


@dataclass(frozen=True)
class Matrix:
    """A constant matrix [terms, outputs] of a kernel.

    copies: rows that are multiplied at once, which `resource` takes in turn; places: positions of a convolution that
    are at once with any strategy; window: registers that each of those needs; recurrent: it multiplies a state, or what
    is made of it, and its reuse factor is RecurrentReuseFactor.
    """

    terms: int
    outputs: int
    copies: int = 1
    window: int = 0
    places: int = 1
    recurrent: bool = False

    def at_once(self, strategy: str, reuse: int) -> int:
        """Products and registers in unrolled loops; a reuse factor shortens loops with `resource` only."""
        if strategy == "distributed_arithmetic":  # additions without a loop
            return 0
        products = self.terms * self.outputs
        if strategy == "resource":
            return self.places * max(products // reuse, self.outputs, self.window)
        return self.places * self.copies * products

    def fitting(self, most: int) -> list[int]:
        """The reuse factors of `resource` with which no more than `most` is at once."""
        legal = legal_reuse_factors("resource", self.terms, self.outputs)
        return [reuse for reuse in legal if self.at_once("resource", reuse) <= most]


def matrices(op: Contraction | Recurrent | Scan, node: Node, io_type: str) -> list[Matrix]:
    """The constant matrices of a node: one, or that of the inputs and that of the state, or those inside it."""
    if isinstance(op, Scan):
        return [replace(matrix, recurrent=recurrent) for inner, of, recurrent in contractions(op)
                for matrix in matrices(of, inner, io_type)]  # fmt: skip
    if isinstance(op, Recurrent):
        return [Matrix(*op.matrix_shape), Matrix(*op.recurrent_shape, recurrent=True)]
    if isinstance(op, Dense):
        return [Matrix(*op.matrix_shape, copies=math.prod(node.shape[:-1]) if io_type == "io_parallel" else 1)]
    assert isinstance(op, Conv)
    return [Matrix(*op.matrix_shape, window=op.terms * op.groups, places=op.parallelization_factor)]


def contractions(op: Scan) -> list[tuple[Node, Contraction, bool]]:
    """The nodes inside with constant matrices, and whether those multiply what depends on the states."""
    recurrent = op.recurrent_nodes()
    return [(node, node.op, node.name in recurrent) for node in op.body if isinstance(node.op, Contraction)]


def legal_reuse_factors(strategy: str, inputs: int, outputs: int) -> list[int]:
    """The legal reuse factors of an inputs x outputs product.

    Latency and unrolled: any divisor of inputs * outputs. Resource: those divisors with which the blocks of
    `inputs * outputs / reuse` multipliers end where a row of weights ends (reuse < inputs must divide inputs; a larger
    one must be a multiple of inputs). Distributed arithmetic has no multipliers to reuse.
    """
    total = inputs * outputs
    divisors = [d for d in range(1, int(total**0.5) + 1) if total % d == 0]
    divisors = sorted({*divisors, *(total // d for d in divisors)})
    if strategy == "distributed_arithmetic":
        return [1]
    if strategy == "resource":
        return [d for d in divisors if (d % inputs == 0 if d >= inputs else inputs % d == 0)]
    return divisors
