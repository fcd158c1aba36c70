"""Kernel calls of `einsum`: one product of matrices, with the axes in its order before and in the op's after."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from kbuild.emit.hls.chain import Chain
from kbuild.emit.hls.contractions import are_signs, bias_constant, reuse, sum_types, term_type
from kbuild.emit.hls.design import Config, Constant, Step, spell, value_name
from kbuild.ir import Node, Shape, Tensor
from kbuild.ops.einsum import Einsum
from kbuild.ops.multipliers import resource_step


def einsum(node: Node, op: Einsum, inputs: Sequence[Node]) -> Step:
    """A product of two values, or of one and a constant as in dense layers; then the output's axes, and the bias."""
    chain = Chain(node)
    (first, second, output), (shared, left, _, right) = op.letters, op.parts
    shapes = [x.shape for x in inputs] + ([op.weight.shape] if op.weight is not None else [])
    sizes = dict(zip(first + second, [*shapes[0], *shapes[1]], strict=True))
    made, product = (shared + left + right, _values) if op.weight is None else (left + shared + right, _constant)
    shape = tuple(sizes[letter] for letter in made)
    y = chain.transpose(product(chain, node, op, inputs, shape), shape, _axes(made, output), op.made())
    if op.bias is not None:
        chain.offset(y, Constant(f"bias_{node.name}", op.bias), node.fixed())
    return chain.step("einsum.h", _side(op, [x.shape for x in inputs]))


def _side(op: Einsum, shapes: Sequence[Shape]) -> int:
    """Neighbours that a kernel uses in one cycle: all of them, or with resource those of a step and a row of sums."""
    groups, rows, terms, columns = op.extents(shapes)
    if op.strategy != "resource":
        return groups * max(rows * terms, terms * columns, rows * columns)
    if op.weight is None:
        lanes, depth = value_step(terms, columns, op.reuse_factor)
        return depth * (lanes if depth == 1 else columns)
    return groups * max(columns, resource_step(terms, groups * columns, op.reuse_factor)[1])


def _values(chain: Chain, node: Node, op: Einsum, inputs: Sequence[Node], shape: Shape) -> str:
    """A [batch, rows, terms] times B [batch, terms, columns]."""
    (first, second, _), (shared, left, summed, right) = op.letters, op.parts
    one, two = inputs
    a = chain.transpose(value_name(one.name), one.shape, _axes(first, shared + left + summed), one.fixed())
    b = chain.transpose(value_name(two.name), two.shape, _axes(second, shared + summed + right), two.fixed())
    batch, rows, terms, columns = op.extents([one.shape, two.shape])
    integers = {"batch": batch, "rows": rows, "terms": terms, "columns": columns, "reuse_factor": op.reuse_factor}
    if op.strategy == "resource":
        lanes, depth = value_step(terms, columns, op.reuse_factor)
        integers |= {"lanes": lanes, "depth": depth}
    else:
        integers["multipliers"] = -(-batch * rows * terms * columns // op.reuse_factor)
    accum = op.made()
    types = {"accum_t": spell(accum), "term_t": spell(term_type(one.fixed(), two.fixed(), accum))}
    return chain.call(f"einsum_{op.strategy}", (integers, types), [a, b], shape, accum)


def value_step(terms: int, columns: int, reuse_factor: int) -> tuple[int, int]:
    """Columns and terms of one of the `reuse_factor` steps, a divisor of terms * columns, that a row takes."""
    of_terms = math.gcd(reuse_factor, terms)
    return columns // (reuse_factor // of_terms), terms // of_terms


def _constant(chain: Chain, node: Node, op: Einsum, inputs: Sequence[Node], shape: Shape) -> str:
    """A dense layer of rows [terms, groups], of which each group has sums of its own."""
    (first, second, _), (shared, left, summed, right) = op.letters, op.parts
    (x,), accum = inputs, op.made()
    assert op.weight is not None
    groups, rows, terms, columns = op.extents([x.shape])
    outputs = groups * columns
    a = chain.transpose(value_name(x.name), x.shape, _axes(first, left + summed + shared), x.fixed())
    moved = np.transpose(op.weight.data, _axes(second, summed + shared + right)).reshape(terms, outputs)
    weight = Constant(f"weight_{node.name}", Tensor(moved, op.weight.type))
    zeros = bias_constant(f"zeros_{node.name}", None, outputs)
    integers = {"rows": rows, "inputs": terms, "groups": groups, "outputs": outputs, "signs": are_signs(op.weight),
                **reuse(op.strategy, terms, outputs, op.reuse_factor, rows)}  # fmt: skip
    config = Config("", integers, sum_types(x.fixed(), weight, zeros, accum))
    if op.strategy == "distributed_arithmetic":
        from kbuild.emit.hls.distributed import with_adders  # brings the search for adder graphs

        config = with_adders(config, weight.tensor, None, x.fixed(), accum, groups)
    return chain.add(f"dense_{op.strategy}", config, [a], shape, accum, [weight, zeros])


def _axes(letters: str, order: str) -> list[int]:
    """Where the letters of an order are."""
    return [letters.index(letter) for letter in order]
