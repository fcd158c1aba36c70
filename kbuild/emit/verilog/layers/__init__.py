"""How each operation becomes a netlist: one file an operation, named as its kind, with a function `lower`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from kbuild.emit.verilog.netlist import Netlist
from kbuild.emit.verilog.value import Signals, Value
from kbuild.fixed import FixedType

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
