"""Operations that are not kbuild's own, by kind. A program registers them, a module that a recipe's `Imports` names
has them, or an installed package offers them.
"""

from __future__ import annotations

import inspect
from functools import cache
from types import ModuleType

from kbuild import plugins
from kbuild.errors import RecipeError
from kbuild.ir.graph import IDENTIFIER
from kbuild.ir.op import Op
from kbuild.ops import all_ops
from kbuild.ops.custom import CustomOp

_registered: dict[str, type[CustomOp]] = {}


def register(op: type[CustomOp]) -> None:
    """Let graphs have operations of a class. The same class again, as when a notebook's cell runs twice, replaces it.

    Raises RecipeError for what is no complete operation, and for a kind that another one has.
    """
    if not (inspect.isclass(op) and issubclass(op, CustomOp)):
        raise RecipeError(f"{op!r} is no operation; give a class that is derived from kbuild.ops.custom.CustomOp")
    if inspect.isabstract(op):
        missing = ", ".join(sorted(op.__abstractmethods__))
        raise RecipeError(f"the operation {op.__name__} is not complete; it lacks {missing}")
    kind = vars(op).get("kind")
    if not isinstance(kind, str) or not IDENTIFIER.fullmatch(kind):
        raise RecipeError(f"the operation {op.__name__} has no `kind`; give it a name, such as {op.__name__.lower()!r}")
    if kind in all_ops():
        raise RecipeError(f"the operation {op.__name__}: kbuild has an operation of kind {kind} itself; rename it")
    origin = plugins.origin_of(op)
    known = _registered.get(kind)
    if known is not None and plugins.origin_of(known).place != origin.place:
        raise RecipeError(
            f"the operation {op.__name__}: {known.__module__}.{known.__qualname__} is of kind {kind}, too; rename one"
        )
    _registered[kind] = op
    plugins.use(f"op {kind}", origin)


def unregister(kind: str) -> None:
    """Forget the operation of a kind."""
    _registered.pop(kind, None)
    plugins.use(f"op {kind}")


def find(kind: str) -> type[CustomOp] | None:
    """The class of a kind."""
    load_installed()
    return _registered.get(kind)


def is_registered(op: Op) -> bool:
    """Whether this is of a registered class."""
    return find(op.kind) is type(op)


def register_all(module: ModuleType) -> bool:
    """Register the operations that are written in a module; whether there are any."""
    found = [
        value
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, CustomOp) and value.__module__ == module.__name__
        and not inspect.isabstract(value)
    ]  # fmt: skip
    for op in found:
        register(op)
    return bool(found)


@cache
def load_installed() -> None:
    """Register what installed packages offer, once. Raises RecipeError."""
    for name, op in plugins.offered(plugins.OPS).items():
        if isinstance(op, ModuleType):
            register_all(op)
        elif inspect.isclass(op) and issubclass(op, CustomOp):
            register(op)
        else:
            raise RecipeError(f"the entry point {name} of {plugins.OPS} is {op!r}, and no operation or module of some")
