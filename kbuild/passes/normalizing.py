"""Types and the table of a normalization, from the type of its input and the number of elements it spans."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kbuild.dataclass import replace
from kbuild.fixed import FixedType, Overflow, Quantization
from kbuild.ir import Op, Shape, Tensor
from kbuild.ops.lookup import centers
from kbuild.ops.normalize import Normalize
from kbuild.passes.ranges import integer_bits

if TYPE_CHECKING:
    from kbuild.passes.resolve_precision import Resolver

TABLE_SIZE = 4096  # entries at most when the user names no TableSize
ENTRY = FixedType(16, 1, signed=False)  # of the table, whose entries are from a half to one
EPSILON_BITS = 16  # of the integer that stands for epsilon: it is right to so many bits
MAX_GUARD = 64  # bits; an epsilon that small is beyond any hardware
ACCUM_GUARD = 2  # bits of the quotient beyond those of a value: the scale multiplies its rounding


def resolved(op: Op, resolver: Resolver) -> tuple[Op, FixedType]:
    """The op with its types, integer constants and table, and the type of its value."""
    assert isinstance(op, Normalize)
    shape = resolver.node.shape
    typed = replace(
        op,
        scale=None if op.scale is None else resolver.constant(op.scale, "scale"),
        bias=None if op.bias is None else resolver.constant(op.bias, "bias"),
    )
    made = with_table(typed, resolver.types[0], shape, resolver.table_size or TABLE_SIZE, resolver.given("table"))
    made = replace(made, accum=resolver.given("accum") or accum_type(op, shape, resolver.width + ACCUM_GUARD))
    return made, resolver.result(made)


def with_table(op: Normalize, x: FixedType, shape: Shape, limit: int, given: FixedType | None) -> Normalize:
    """The op with its guard bits and a table of at most `limit` entries, but of three at least."""
    count = op.count(shape)
    op = replace(op, guard=0)
    # The least sum of squares but 0 is 1: a smaller limit than that is never met.
    matters = op.epsilon > 0 and (op.statistic != "sum_square" or op.offset(x, count) >= 1)
    while matters and op.offset(x, count) < 1 << EPSILON_BITS and op.guard < MAX_GUARD:
        op = replace(op, guard=op.guard + 2)
    top = op.top(x, count)
    shift = max(top + 1 - max(limit // 3, 1).bit_length(), 0)
    middles = centers(1 << top, shift, 3 << (top - shift), top)
    of = given or ENTRY
    nearest = of.with_modes(Quantization.RND, Overflow.SAT)
    return replace(op, table=Tensor(Tensor(1 / np.sqrt(middles)).quantized(nearest).data, of), table_shift=shift)


def accum_type(op: Normalize, shape: Shape, width: int) -> FixedType:
    """The type of the quotient: its bound saturates one LSB below where it is a power of two."""
    bound = op.root_bound(op.count(shape)) * (1 - 2.0**-width)
    return FixedType(width, integer_bits(-bound, bound), True, Quantization.RND, Overflow.SAT)


def quotient_error(op: Normalize, x: FixedType, shape: Shape) -> float:
    """A bound on the error of the quotient, before scale and bias.

    Relative: half a cell of the table changes 1 / sqrt(m), m >= 1, by at most cell / 4 * (1 - cell / 2)**-1.5; the
    rounding of an entry, which is at least a half; that of epsilon, half of what it changes w by, which is at least its
    own integer. Then the rounding of the quotient, one LSB where it saturates at its bound.
    """
    table, accum = op.made()
    count = op.count(shape)
    cell = 2.0 ** (op.table_shift - op.top(x, count)) if op.table_shift else 0.0
    relative = cell / 4 * (1 - cell / 2) ** -1.5 + float(table.fixed().lsb)
    if op.epsilon > 0 and (op.statistic != "sum_square" or op.offset(x, count) >= 1):
        relative += 0.5 / max(op.offset(x, count), 1)
    return op.root_bound(count) * relative + float(accum.lsb)
