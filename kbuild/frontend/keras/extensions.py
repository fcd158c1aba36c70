"""Handlers of layers that are not kbuild's own. A program registers them, or a module that a recipe's `Imports` names.

Those of a program that has registered nothing are no different from kbuild's own: there are none.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from kbuild.dataclass import dataclass
from kbuild.errors import RecipeError
from kbuild.frontend.keras.handler import Handler

KERAS = (2, 3)


@dataclass(frozen=True)
class Extension:
    """A handler, the code that decides what it does (for keys), and the versions of Keras that it is written for."""

    handler: Handler
    code: str
    keras: tuple[int, ...] = KERAS


_registered: dict[str, tuple[Extension, ...]] = {}


def register(class_name: str, handler: Handler, source: object, keras: tuple[int, ...] = KERAS) -> None:
    """Let `handler` read layers of a class, by its name or by `package>name`.

    source: the function, class or module that it comes from. What is registered again from the same place, as when a
    notebook's cell runs twice, replaces what was. Raises RecipeError where something else reads the class already.
    """
    place = _place(source)
    kept = []
    for other in _registered.get(class_name, ()):
        if set(other.keras) & set(keras):
            if not other.code.startswith(f"{place} "):
                where = other.code.partition(" ")[0]
                raise RecipeError(f"the layer class {class_name} has a handler already, from {where}; keep one of them")
        else:
            kept.append(other)
    _registered[class_name] = (*kept, Extension(handler, f"{place} {_code(source)}", keras))


def unregister(class_name: str) -> None:
    """Forget the handlers of a class."""
    _registered.pop(class_name, None)


def find(class_name: str, keras: int) -> Extension | None:
    """The extension for a class, given as `package>Class` or `Class`; one written for this Keras before another."""
    for name in (class_name, class_name.rpartition(">")[2]):
        found = _registered.get(name, ())
        for extension in sorted(found, key=lambda extension: keras not in extension.keras):
            if keras in extension.keras or 2 in extension.keras:
                return extension
    return None


def digest() -> str | None:
    """A name for the code of all extensions, for keys; None where there are none."""
    if not _registered:
        return None
    codes = {name: [extension.code for extension in found] for name, found in _registered.items()}
    return hashlib.sha256(repr(sorted(codes.items())).encode()).hexdigest()


def load_module(name: str, folder: Path) -> None:
    """Import a module, looked for in `folder` first, and register its `HANDLERS` (class name → `Handler`).

    This runs its code. Raises RecipeError when it cannot be imported or has nothing that handles layers.
    """
    before = dict(_registered)
    module = _imported(name, folder)
    handlers = vars(module).get("HANDLERS", {})
    if not isinstance(handlers, Mapping) or not all(isinstance(handler, Handler) for handler in handlers.values()):
        raise RecipeError(f"Imports: HANDLERS of {name} is no mapping of class names to kbuild.converters.Handler")
    for class_name, handler in handlers.items():
        register(class_name, handler, module)
    if not handlers and _registered == before and not _registers(module):
        raise RecipeError(f"Imports: {name} has no HANDLERS and registers no handler; see docs/extending.md")


def _registers(module: ModuleType) -> bool:
    """Whether something that is registered comes from the module, which may have been imported before."""
    return any(e.code.startswith(f"{module.__name__}.") for found in _registered.values() for e in found)


def _imported(name: str, folder: Path) -> ModuleType:
    path = folder.joinpath(*name.split(".")).with_suffix(".py")
    try:
        if not path.is_file():
            return importlib.import_module(name)
        known = sys.modules.get(name)
        if known is not None and known.__file__ == str(path):
            return known
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    except Exception as error:
        raise RecipeError(f"Imports: {name} cannot be imported: {type(error).__name__}: {error}") from error
    return module


def _place(source: object) -> str:
    if isinstance(source, ModuleType):
        return source.__name__
    if inspect.isfunction(source) or inspect.isclass(source):
        return f"{source.__module__}.{source.__qualname__}"
    return f"{type(source).__module__}.{type(source).__qualname__}"


def _code(source: object) -> str:
    """A digest of the file that `source` is written in; of its own text where it has no file, as in a notebook."""
    found = inspect.getmodule(source)
    file = None if found is None else vars(found).get("__file__")
    if file is not None and Path(file).is_file():
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()
    written = source if inspect.isfunction(source) or inspect.isclass(source) else type(source)
    try:
        return hashlib.sha256(inspect.getsource(written).encode()).hexdigest()
    except (OSError, TypeError):
        return f"unknown {id(source)}"
