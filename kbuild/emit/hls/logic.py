"""Programs of integer steps as a function of single assignments."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from kbuild.emit.hls.design import Call, Config, Constant, Step, config_name, integer_type, spell, unit_type, value_name
from kbuild.fixed import FixedType
from kbuild.ir import Node, Tensor
from kbuild.ops.logic import Bounds, Code, Logic, input_type
from kbuild.ops.logic import Step as Line

_NO_TABLE = Tensor(np.zeros(1, np.int64), FixedType(1, 1))


def logic(node: Node, op: Logic, inputs: Sequence[Node]) -> Step:
    """One call; the program reads the inputs one after the other."""
    sizes = [math.prod(x.shape) for x in inputs]
    table = Constant(f"table_{node.name}", op.table or _NO_TABLE, integer=True)
    value = op.infer_type(())
    integers = {"inputs": sum(sizes), "elements": math.prod(node.shape), "entries": table.size}
    types = {"value_t": integer_type(value.width, value.signed), "value_unit_t": unit_type(-value.fraction),
             "table_t": table.spell()}  # fmt: skip
    arrays = ", ".join(f"const X{i} x{i}[{size}]" for i, size in enumerate(sizes))
    code = (f"template <{', '.join(f'class X{i}' for i, _ in enumerate(sizes))}>",
            f"KBUILD_UNOPTIMIZED static void steps({arrays}, value_t y[elements], const table_t table[entries]) {{",
            "#pragma HLS INLINE", *(f"    {line}" for line in _lines(op, sizes)), "}")  # fmt: skip
    config = Config(config_name(node.name), integers, types, code=code)
    names = tuple(value_name(x.name) for x in inputs)
    kernel = "logic" if len(inputs) == 1 else f"logic_{len(inputs)}"
    return Step("logic.h", (Call(kernel, config, names, value_name(node.name), (table.name,)),), (table,))


def _lines(op: Logic, sizes: Sequence[int]) -> list[str]:
    widths = [_width(ends) for ends in op.bounds]
    lines = [f"const ap_int<{widths[n]}> v{n} = {_expression(op, step, widths, n, sizes)};"
             for n, step in enumerate(op.steps)]  # fmt: skip
    value = op.infer_type(())
    for n, made in enumerate(op.made):
        if made.step < 0:
            lines.append(f"y[{n}] = 0;")
        else:
            moved = _moved(f"v{made.step}", value.width + 1, op.fraction - made.fraction)
            lines.append(f"y[{n}] = {'-' if made.negative else ''}{moved};")
    return lines


def _expression(op: Logic, step: Line, widths: Sequence[int], number: int, sizes: Sequence[int]) -> str:
    code, a, b, c, s, t, u = step
    width = widths[number]
    if code is Code.INPUT:
        of = input_type(step)
        array = next(i for i in range(len(sizes)) if a < sum(sizes[: i + 1]))
        value = f"kbuild::cast<{spell(of)} >(x{array}[{a - sum(sizes[:array])}])"
        return f"{value} * kbuild::unit<{unit_type(of.fraction)} >()"
    if code is Code.CONSTANT:
        return _number(s)
    if code is Code.ADD:
        return f"{_moved(f'v{a}', width, s)} {'-' if u else '+'} {_moved(f'v{b}', width, t)}"
    if code is Code.SELECT:
        bit = min(u, widths[c] - 1)
        return f"v{c}[{bit}] ? {_moved(f'v{a}', width, s)} : {_moved(f'v{b}', width, t)}"
    if code is Code.MULTIPLY:
        return f"v{a} * v{b}"
    if code is Code.LOOKUP:
        bits = max(widths[a], _width((u, u))) + 1
        return f"table[{s} + kbuild::entry(ap_int<{bits}>(v{a} - {_number(u)}), 0, {t})]"
    return _cast(step, widths[a], width)


def _cast(step: Line, before: int, width: int) -> str:
    """CAST and RELU."""
    value, wide = f"v{step.a}", before + 1
    if step.c:
        value = f"ap_int<{wide}>(-{value})"
    moved = f"({value} >> {step.s})" if step.s >= 0 else _moved(value, wide - step.s, -step.s)
    wrapped = f"ap_int<{width}>({integer_type(step.t, bool(step.u))}({moved}))"
    return f"{value} > 0 ? {wrapped} : ap_int<{width}>(0)" if step.code is Code.RELU else wrapped


def _moved(name: str, width: int, shift: int) -> str:
    value = f"ap_int<{width}>({name})"
    return f"({value} << {shift})" if shift else value


def _number(value: int) -> str:
    """A literal that is exact in C++ up to 64 bits."""
    bits = _width((value, value))
    return f"ap_int<{bits}>({value})" if bits < 32 else f"ap_int<{bits}>({value}LL)"


def _width(ends: Bounds) -> int:
    """Bits of a signed integer for both ends and zero."""
    low, high = ends
    return max(max(low, -low - 1).bit_length(), max(high, -high - 1).bit_length()) + 1
