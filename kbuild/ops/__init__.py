"""The operations, one file each. What exists is found by listing this package: a module with an `Op` class is an op.

Those of users are in `registered`.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from functools import cache

from kbuild.ir.op import Op


@cache
def all_ops() -> dict[str, type[Op]]:
    """Every operation by its kind. A module that does not import is an error, not an operation that vanishes."""
    found: dict[str, type[Op]] = {}
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        for _, value in inspect.getmembers(module, inspect.isclass):
            if issubclass(value, Op) and value.__module__ == module.__name__ and not inspect.isabstract(value):
                found[value.kind] = value
    return found


def op_class(kind: str) -> type[Op]:
    """The class of a kind, kbuild's own or a registered one; KeyError with the known ones otherwise."""
    ops = all_ops()
    if kind not in ops:
        from kbuild.ops.registered import find

        if (registered := find(kind)) is not None:
            return registered
        raise KeyError(f"no operation is called {kind}; there are {', '.join(sorted(ops))}")
    return ops[kind]
