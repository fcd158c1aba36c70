"""Tables of unary functions: what a kernel must know to look values up in one."""

from __future__ import annotations

from collections.abc import Mapping

from kbuild.dataclass import dataclass
from kbuild.emit.hls.design import Constant, integer_type, scalar, unit_type
from kbuild.fixed import FixedType
from kbuild.ops.lut import Lut


@dataclass(frozen=True)
class Lookup:
    """The part of a configuration that `looked_up` of backends/hls/table.h needs, and the constants."""

    integers: Mapping[str, int]
    types: Mapping[str, str]
    table: Constant
    offset: Constant

    @property
    def constants(self) -> tuple[Constant, ...]:
        """As kernels take them."""
        return self.table, self.offset

    @property
    def names(self) -> tuple[str, ...]:
        """Their names."""
        return self.table.name, self.offset.name


def lookup(name: str, op: Lut, x: FixedType, prefix: str = "") -> Lookup:
    """The table of an op for values of the type x; the constants' names begin with the prefix and end with the name."""
    table = Constant(f"{prefix}table_{name}", op.made())
    offset = Constant(f"{prefix}offset_{name}", scalar(op.offset), integer=True)
    difference = max(x.width + 1, offset.type.width) + 1
    integers = {"entries": table.size, "shift": min(op.shift, difference - 1)}
    types = {**integer_types(x, difference), "table_t": table.spell(), "offset_t": offset.spell()}
    return Lookup(integers, types, table, offset)


def integer_types(x: FixedType, difference: int) -> dict[str, str]:
    """The integer behind x, the factor that makes it, and differences of such integers of `difference` bits."""
    return {"integer_t": integer_type(x.width + 1), "unit_t": unit_type(x.fraction),
            "difference_t": integer_type(difference)}
