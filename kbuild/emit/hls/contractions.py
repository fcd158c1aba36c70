"""Kernel calls of the ops that sum products with constant weights: dense layers and convolutions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kbuild.emit.hls.design import (
    Call,
    Config,
    Constant,
    Step,
    as_product,
    config_name,
    elements,
    spatial,
    spell,
    summand,
    value_name,
)
from kbuild.emit.hls.distributed import adders
from kbuild.fixed import FixedType
from kbuild.ir import Node, Tensor
from kbuild.ops.contraction import Contraction
from kbuild.ops.conv import Conv
from kbuild.ops.dense import Dense

ZERO = FixedType(1, 1, signed=False)


def dense(node: Node, op: Dense, inputs: Sequence[Node]) -> Step:
    """A matrix for every row of the input; all rows share the multipliers."""
    rows = elements(node.shape[:-1])
    return _contraction(node, op, inputs[0], {"rows": rows, "inputs": op.terms}, at_once=rows)


def conv(node: Node, op: Conv, inputs: Sequence[Node]) -> Step:
    """Some positions of the window at once, one such lot after the other."""
    x = inputs[0]
    integers = {
        "at_once": op.parallelization_factor,
        "inputs": elements(x.shape[:-1]), "channels": x.shape[-1], "positions": elements(node.shape[:-1]),
        "terms": op.terms, "groups": op.groups, "group_channels": op.weight.shape[-2],
        "group_outputs": op.outputs // op.groups,
        **spatial(positions=node.shape[:-1], kernel=op.kernel, stride=op.strides, dilation=op.dilation,
                  size=x.shape[:-1], spread=op.input_dilation, low=tuple(low for low, _ in op.padding)),
    }  # fmt: skip
    return _contraction(node, op, x, integers, at_once=op.parallelization_factor)


def _contraction(node: Node, op: Contraction, x: Node, integers: dict[str, int], at_once: int) -> Step:
    """The kernel `<op>_<strategy>`, which computes the matrix `at_once` times at once (except for resource)."""
    matrix = constant_matrix(node, op, x)
    config = matrix.config(config_name(node.name), op.strategy, op.reuse_factor, integers, at_once)
    call = Call(f"{op.kind}_{op.strategy}", config, (value_name(x.name),), value_name(node.name), matrix.names)
    return Step(f"{op.kind}.h", (call,), matrix.constants)


def constant_matrix(node: Node, op: Contraction, x: Node) -> ConstantMatrix:
    """The sums of a dense layer or a convolution of x."""
    groups = op.groups if isinstance(op, Conv) else 1
    return ConstantMatrix(node.name, "", op.matrix, op.bias, x.fixed(), op.infer_type([x.fixed()]), groups)


@dataclass(frozen=True)
class ConstantMatrix:
    """Sums of products of values of the type x with a matrix [terms, outputs], plus a bias, in the type accum.

    prefix: of the constants' names, which end with the node's. groups: an output reads the inputs of its group only.
    """

    node: str
    prefix: str
    matrix: Tensor
    bias: Tensor | None
    x: FixedType
    accum: FixedType
    groups: int = 1

    @property
    def constants(self) -> tuple[Constant, Constant]:
        """Weight and bias, zeros where there is none."""
        bias = self.bias or Tensor(np.zeros(self.matrix.shape[1], np.int64), ZERO)
        return (Constant(f"{self.prefix}weight_{self.node}", self.matrix),
                Constant(f"{self.prefix}bias_{self.node}", bias))  # fmt: skip

    @property
    def names(self) -> tuple[str, ...]:
        """As kernels take them."""
        return tuple(constant.name for constant in self.constants)

    def config(self, name: str, strategy: str, reuse_factor: int, integers: Mapping[str, int],
               at_once: int = 1) -> Config:  # fmt: skip
        """What a kernel must know to compute the sums, as backends/hls/products.h describes.

        `integers` may have another number of multipliers than this many matrices take.
        Raises ValueError for a reuse factor that the strategy cannot have.
        """
        weight, bias = self.constants
        terms, outputs = self.matrix.shape
        signs = int(_are_signs(self.matrix))
        integers = {**integers, "outputs": outputs, "reuse_factor": reuse_factor, "signs": signs}
        types = {"accum_t": spell(self.accum), "term_t": spell(term_type(self.x, weight.type, self.accum)),
                 "weight_t": weight.spell(), "bias_t": bias.spell()}  # fmt: skip
        if strategy == "distributed_arithmetic":
            made = adders(self.matrix, self.x, self.bias, self.accum, self.groups)
            return Config(name, {**integers, **made.integers}, {**types, **made.types}, code=made.code)
        if strategy == "resource":
            lanes, depth = resource_step(terms, outputs, reuse_factor)
            return Config(name, {**integers, "lanes": lanes, "depth": depth, "products": lanes * depth}, types)
        return Config(name, {"multipliers": -(-at_once * terms * outputs // reuse_factor), **integers}, types)


def _are_signs(weight: Tensor) -> bool:
    """Whether every weight is -1, 0 or 1, in a type of no more: then nothing is multiplied."""
    of = weight.fixed()
    return of.fraction == 0 and of.min >= -2 and of.max <= 1 and weight.bounds()[0] >= -1


def term_type(x: FixedType, weight: FixedType, accum: FixedType) -> FixedType:
    """What each product of such values is cast to before it is added."""
    return summand(as_product(x, weight), accum)


def resource_step(inputs: int, outputs: int, reuse_factor: int) -> tuple[int, int]:
    """Outputs and inputs of one step of the resource strategy.

    Raises ValueError when the reuse factor is neither a divisor of `inputs` nor `inputs` times a divisor of `outputs`.
    """
    if inputs % reuse_factor == 0:
        return outputs, inputs // reuse_factor
    if reuse_factor % inputs == 0 and outputs % (reuse_factor // inputs) == 0:
        return outputs // (reuse_factor // inputs), 1
    raise ValueError(f"reuse factor {reuse_factor} does not split {inputs} x {outputs} products into equal steps")
