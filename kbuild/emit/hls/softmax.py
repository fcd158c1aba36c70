"""Kernel calls of `softmax`: the tables as the integers behind them."""

from __future__ import annotations

from collections.abc import Sequence

from kbuild.emit.hls.design import (
    Call,
    Config,
    Constant,
    Step,
    config_name,
    elements,
    integer_type,
    scalar,
    spell,
    unit_type,
    value_name,
)
from kbuild.emit.hls.lookup import integer_types
from kbuild.fixed import FixedType
from kbuild.ir import Node, Tensor
from kbuild.ops.softmax import Softmax

Parts = tuple[dict[str, int], dict[str, str], tuple[Constant, ...]]  # integers, types and constants of a kernel


def softmax(node: Node, op: Softmax, inputs: Sequence[Node]) -> Step:
    """One kernel for each implementation, and one for a refined one; each of them with a mask, too."""
    x, length = inputs[0].fixed(), node.shape[-1]
    integers = {"rows": elements(node.shape[:-1]), "length": length}
    if op.implementation == "argmax":
        return _call(node, op, inputs[0], op.implementation, (integers, {}, ()))
    if op.exponential().bounds()[0] < 0:
        raise ValueError(f"{node.name}: an exponential in a softmax table is negative")
    offset = Constant(f"offset_{node.name}", scalar(op.exp_offset), integer=True)
    difference = max(x.width + 2, offset.type.width) + 1
    top = op.top(length)
    integers |= {"top": top, "least": op.least(), "exp_shift": min(op.exp_shift, difference - 1),
                 "inv_shift": min(op.inv_shift, top), "distinct": int(op.distinct)}
    types = {**integer_types(x, difference), "sum_t": integer_type(top + 1, signed=False),
             "mantissa_t": integer_type(top + 1, signed=False), "lsb_t": unit_type(-node.fixed().fraction)}
    made = _refined(node.name, op, top) if op.exp_low is not None else _single(node.name, op, top, offset)
    kernel = "refined" if op.exp_low is not None else op.implementation
    return _call(node, op, inputs[0], kernel, (integers | made[0], types | made[1], made[2]))


def _call(node: Node, op: Softmax, x: Node, kernel: str, parts: Parts) -> Step:
    integers, types, constants = parts
    if op.mask is not None:
        mask = Constant(f"mask_{node.name}", op.mask, integer=True)
        integers = integers | {"mask_rows": elements(op.mask.shape[:-1])}
        constants = (*constants, mask)
    config = Config(config_name(node.name), integers, types)
    call = Call(f"{'softmax' if op.mask is None else 'masked'}_{kernel}", config, (value_name(x.name),),
                value_name(node.name), tuple(c.name for c in constants))  # fmt: skip
    return Step("softmax.h", (call,), constants)


def _single(name: str, op: Softmax, top: int, offset: Constant) -> Parts:
    exp, inv = (_integers(f"{kind}_table_{name}", table) for kind, table in zip(("exp", "inv"), op.tables(),
                                                                               strict=True))  # fmt: skip
    scale = op.exponential().fixed().fraction if op.implementation != "legacy" else 0
    fraction = scale + op.tables()[1].fixed().fraction
    integers = {"exp_entries": exp.size, "inv_entries": inv.size}
    types = {"exp_t": exp.spell(), "inv_t": inv.spell(), "offset_t": offset.spell(),
             "value_t": integer_type(exp.type.width + inv.type.width + top + 1),
             "one_t": integer_type(1, signed=False), "result_unit_t": unit_type(-fraction)}
    return integers, types, (exp, inv) if op.implementation == "stable" else (exp, inv, offset)


def _refined(name: str, op: Softmax, top: int) -> Parts:
    exp_table, inv_table = op.tables()
    exp_low, inv_slope, numerator, inverse = op.refinement()
    tables = {"exp_table": exp_table, "exp_low": exp_low, "inv_table": inv_table, "inv_slope": inv_slope}
    exp, low, inv, slope = (_integers(f"{kind}_{name}", table) for kind, table in tables.items())
    rest = max(op.inv_shift - op.inv_drop, 1)
    integers = {
        "exp_entries": exp.size, "low_entries": low.size, "low_bits": op.low_bits,
        "low_fraction": exp_low.fixed().fraction, "inv_entries": inv.size, "inv_drop": op.inv_drop,
        "slope_shift": inv_slope.fixed().fraction - inv_table.fixed().fraction,
    }  # fmt: skip
    types = {
        "exp_t": exp.spell(), "low_t": low.spell(), "inv_t": inv.spell(), "slope_t": slope.spell(),
        "rest_t": integer_type(rest, signed=False),
        "line_t": integer_type(max(inv.type.width, slope.type.width + rest) + 1),
        "numerator_t": _whole(numerator), "inverse_t": _whole(inverse),
        "numerator_unit_t": unit_type(numerator.fraction - exp_table.fixed().fraction),
        "inverse_unit_t": unit_type(inverse.fraction - inv_table.fixed().fraction),
        "value_t": integer_type(numerator.width + inverse.width + top - op.least() + 1),
        "result_unit_t": unit_type(-(numerator.fraction + inverse.fraction)),
    }  # fmt: skip
    return integers, types, (exp, low, inv, slope)


def _whole(of: FixedType) -> str:
    """The type with its LSB at one."""
    return spell(FixedType(of.width, of.width, of.signed, of.quantization, of.overflow))


def _integers(name: str, table: Tensor) -> Constant:
    """A table as the integers behind it."""
    of = table.fixed()
    return Constant(name, Tensor(table.data, FixedType(of.width, of.width, of.signed)), integer=True)
