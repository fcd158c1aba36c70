"""How each operation becomes a netlist: one file an operation, named as its kind, with a function `lower`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from kbuild.emit.verilog.casts import cast
from kbuild.emit.verilog.netlist import Netlist
from kbuild.emit.verilog.value import Signals, Value, each
from kbuild.fixed import FixedType
from kbuild.ir import Node
from kbuild.ops.custom import EmitsVerilog

Lower = Callable[[Netlist, Any, Sequence[Value], FixedType], Signals]


@cache
def kinds() -> tuple[str, ...]:
    """The operations that can become Verilog."""
    return tuple(sorted(info.name for info in pkgutil.iter_modules(__path__)))


@cache
def lower_of(kind: str) -> Lower:
    """The function `lower(net, op, inputs, result)` of an operation: the signals of its result, of its shape."""
    lower: Lower = importlib.import_module(f"{__name__}.{kind}").lower
    return lower


def lower_node(net: Netlist, node: Node, inputs: Sequence[Value]) -> Signals:
    """The signals of a node's result; an operation that is not kbuild's own makes them itself."""
    op = node.op
    if op.kind not in kinds() and isinstance(op, EmitsVerilog):
        types = [x.type for x in inputs]
        exact, fraction = op.verilog(net, [x.signals for x in inputs], types), op.infer_type(types).fraction
        return each(lambda a: cast(net, a, fraction, node.fixed()), np.asarray(exact).reshape(node.shape))
    return lower_of(op.kind)(net, op, inputs, node.fixed())
