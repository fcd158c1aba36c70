"""Kernel calls of `einsum`: one product of matrices, with the axes in its order before and in the op's after."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from kbuild.emit.hls.chain import Chain
from kbuild.emit.hls.contractions import term_type
from kbuild.emit.hls.design import Constant, Step, spell, value_name
from kbuild.ir import Node, Tensor
from kbuild.ops.einsum import Einsum

AT_ONCE = 4096  # products that the tools unroll


def einsum(node: Node, op: Einsum, inputs: Sequence[Node]) -> Step:
    """A [batch, rows, terms] times B [batch, terms, columns]; then the axes of the output, and the bias."""
    chain = Chain(node)
    (first, second, output), (shared, left, summed, right) = op.letters, op.parts
    shapes = [x.shape for x in inputs] + ([op.weight.shape] if op.weight is not None else [])
    sizes = dict(zip(first + second, [*shapes[0], *shapes[1]], strict=True))
    a = chain.transpose(value_name(inputs[0].name), shapes[0], _axes(first, shared + left + summed),
                        inputs[0].fixed())  # fmt: skip
    order, accum = _axes(second, shared + summed + right), op.made()
    batch, rows, terms, columns = (math.prod(sizes[c] for c in part) for part in op.parts)
    side = lanes(terms, columns)
    integers = {"batch": batch, "rows": rows, "terms": terms, "columns": columns, "lanes": side,
                "products": terms * side, "blocked": int(op.weight is not None)}
    made = shared + left + right
    shape = tuple(sizes[c] for c in made)
    if op.weight is None:
        b = chain.transpose(value_name(inputs[1].name), shapes[1], order, inputs[1].fixed())
        types = {"accum_t": spell(accum), "term_t": spell(term_type(inputs[0].fixed(), inputs[1].fixed(), accum))}
        y = chain.call("einsum", (integers, types), [a, b], shape, accum)
    else:
        blocks = np.transpose(op.weight.data, order).reshape(batch, terms, columns // side, side).swapaxes(1, 2)
        weight = Constant(f"weight_{node.name}", Tensor(blocks, op.weight.type))
        types = {"accum_t": spell(accum), "term_t": spell(term_type(inputs[0].fixed(), weight.type, accum)),
                 "weight_t": weight.spell()}
        y = chain.call("einsum_constant", (integers, types), [a], shape, accum, [weight])
    y = chain.transpose(y, shape, _axes(made, output), accum)
    if op.bias is not None:
        chain.offset(y, Constant(f"bias_{node.name}", op.bias), node.fixed())
    return chain.step("einsum.h")


def _axes(letters: str, order: str) -> list[int]:
    """Where the letters of an order are."""
    return [letters.index(letter) for letter in order]


def lanes(terms: int, columns: int) -> int:
    """Sums that are computed at once: the most that divide the columns and stay within the tools' limit, at least 1."""
    fitting = [n for n in range(1, columns + 1) if columns % n == 0 and n * terms <= AT_ONCE]
    return max(fitting, default=1)
