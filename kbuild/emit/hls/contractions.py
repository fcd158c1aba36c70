"""Kernel calls of the ops that sum products with constant weights: dense layers and convolutions."""

from __future__ import annotations

from collections.abc import Sequence

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
from kbuild.fixed import FixedType
from kbuild.ir import Node, Tensor
from kbuild.ops.contraction import Contraction
from kbuild.ops.conv import Conv
from kbuild.ops.dense import Dense
from kbuild.ops.multipliers import resource_step

ZERO = FixedType(1, 1, signed=False)


def dense(node: Node, op: Dense, inputs: Sequence[Node]) -> Step:
    """A matrix for every row of the input; all rows share the multipliers."""
    rows = elements(node.shape[:-1])
    return _contraction(node, op, inputs[0], {"rows": rows, "inputs": op.terms, "groups": 1}, at_once=rows)


def conv(node: Node, op: Conv, inputs: Sequence[Node]) -> Step:
    """Some positions of the window at once, one such lot after the other."""
    x = inputs[0]
    integers = {
        "at_once": op.parallelization_factor,
        "inputs": elements(x.shape[:-1]), "channels": x.shape[-1], "positions": elements(node.shape[:-1]),
        "terms": op.terms, "groups": op.groups, "group_channels": op.weight.shape[-2],
        **spatial(positions=node.shape[:-1], kernel=op.kernel, stride=op.strides, dilation=op.dilation,
                  size=x.shape[:-1], spread=op.input_dilation, low=tuple(low for low, _ in op.padding)),
    }  # fmt: skip
    return _contraction(node, op, x, integers, at_once=op.parallelization_factor)


def _contraction(node: Node, op: Contraction, x: Node, integers: dict[str, int], at_once: int) -> Step:
    """The kernel `<op>_<strategy>`, which computes the matrix `at_once` times at once (except for resource)."""
    integers = {**integers, **reuse(op.strategy, op.terms, op.outputs, op.reuse_factor, at_once)}
    config, constants = summation(node, op, x.fixed(), integers)
    if op.strategy == "distributed_arithmetic":
        from kbuild.emit.hls.distributed import with_adders  # brings the search for adder graphs

        groups = op.groups if isinstance(op, Conv) else 1
        config = with_adders(config, op.matrix, op.bias, x.fixed(), op.infer_type([x.fixed()]), groups)
    call = Call(f"{op.kind}_{op.strategy}", config, (value_name(x.name),), value_name(node.name),
                tuple(constant.name for constant in constants))  # fmt: skip
    return Step(f"{op.kind}.h", (call,), constants)


def summation(node: Node, op: Contraction, of: FixedType,
              integers: dict[str, int]) -> tuple[Config, tuple[Constant, Constant]]:
    """The configuration, with these integers, and the constants of a kernel that sums products as in `products.h`."""
    weight = Constant(f"weight_{node.name}", op.weight)
    bias = bias_constant(f"bias_{node.name}", op.bias, op.outputs)
    types = sum_types(of, weight, bias, op.infer_type([of]))
    integers = {**integers, "outputs": op.outputs, "signs": are_signs(op.weight)}
    return Config(config_name(node.name), integers, types), (weight, bias)


def bias_constant(name: str, bias: Tensor | None, outputs: int) -> Constant:
    """The bias [outputs], zeros where there is none."""
    return Constant(name, bias or Tensor(np.zeros(outputs, np.int64), ZERO))


def reuse(strategy: str, terms: int, outputs: int, reuse_factor: int, at_once: int = 1) -> dict[str, int]:
    """What a kernel must know of the reuse of its multipliers, for a matrix [terms, outputs] applied `at_once` times.

    Raises ValueError for a reuse factor that the strategy cannot have.
    """
    integers = {"reuse_factor": reuse_factor}
    if strategy == "resource":
        lanes, depth = resource_step(terms, outputs, reuse_factor)
        return integers | {"lanes": lanes, "depth": depth, "products": lanes * depth}
    return integers | {"multipliers": -(-at_once * terms * outputs // reuse_factor)}


def are_signs(weight: Tensor) -> int:
    """1 where every weight is -1, 0 or 1, in a type of no more: then nothing is multiplied."""
    of = weight.fixed()
    return int(of.fraction == 0 and of.min >= -2 and of.max <= 1 and weight.bounds()[0] >= -1)


def sum_types(x: FixedType, weight: Constant, bias: Constant, accum: FixedType) -> dict[str, str]:
    """The types of a sum of products, as backends/hls/products.h describes."""
    return {"accum_t": spell(accum), "term_t": spell(term_type(x, weight.type, accum)),
            "weight_t": weight.spell(), "bias_t": bias.spell()}


def term_type(x: FixedType, weight: FixedType, accum: FixedType) -> FixedType:
    """What each product of such values is cast to before it is added."""
    return summand(as_product(x, weight), accum)
