"""Handlers of layers that are not kbuild's own. A program registers them, or a module that a recipe's `Imports` names.

Those of a program that has registered nothing are no different from kbuild's own: there are none.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType

from kbuild import plugins
from kbuild.dataclass import dataclass
from kbuild.errors import RecipeError
from kbuild.frontend.keras.handler import Handler
from kbuild.plugins import Origin, origin_of

KERAS = (2, 3)


@dataclass(frozen=True)
class Extension:
    """A handler, the code that decides what it does, and the versions of Keras that it is written for."""

    handler: Handler
    origin: Origin
    keras: tuple[int, ...] = KERAS


_registered: dict[str, tuple[Extension, ...]] = {}


def register(class_name: str, handler: Handler, source: object, keras: tuple[int, ...] = KERAS) -> None:
    """Let `handler` read layers of a class, by its name or by `package>name`.

    source: the function, class or module that it comes from. What is registered again from the same place, as when a
    notebook's cell runs twice, replaces what was. Raises RecipeError where something else reads the class already.
    """
    origin = origin_of(source)
    kept = []
    for other in _registered.get(class_name, ()):
        if set(other.keras) & set(keras):
            if other.origin.place != origin.place:
                where = other.origin.place
                raise RecipeError(f"the layer class {class_name} has a handler already, from {where}; keep one of them")
        else:
            kept.append(other)
    _registered[class_name] = (*kept, Extension(handler, origin, keras))
    plugins.use(f"layer {class_name}", *(extension.origin for extension in _registered[class_name]))


def unregister(class_name: str) -> None:
    """Forget the handlers of a class."""
    _registered.pop(class_name, None)
    plugins.use(f"layer {class_name}")


def find(class_name: str, keras: int) -> Extension | None:
    """The extension for a class, given as `package>Class` or `Class`; one written for this Keras before another."""
    load_installed()
    for name in (class_name, class_name.rpartition(">")[2]):
        found = _registered.get(name, ())
        for extension in sorted(found, key=lambda extension: keras not in extension.keras):
            if keras in extension.keras or 2 in extension.keras:
                return extension
    return None


def load_module(name: str, folder: Path) -> None:
    """Import a module, looked for in `folder` first, and register its `HANDLERS` (class name → `Handler`) and the
    operations that are written in it.

    This runs its code. Raises RecipeError when it cannot be imported or has nothing that handles layers.
    """
    before = dict(_registered)
    module = _imported(name, folder)
    found = _register_all(module, f"Imports: HANDLERS of {name}")
    if not found and _registered == before and not _registers(module):
        raise RecipeError(f"Imports: {name} has no HANDLERS, no operation and registers no handler; see "
                          "docs/extending.md")  # fmt: skip


@cache
def load_installed() -> None:
    """Register what installed packages offer, once: a handler by its class, HANDLERS of several, or a module.

    Raises RecipeError.
    """
    from kbuild.ops import registered

    registered.load_installed()
    for name, value in plugins.offered(plugins.LAYERS).items():
        what = f"the entry point {name} of {plugins.LAYERS}"
        if isinstance(value, ModuleType):
            _register_all(value, f"{what}: HANDLERS of {value.__name__}")
        elif isinstance(value, Handler):
            register(name, value, value.build)
        else:
            _register_handlers(value, what)


def _register_all(module: ModuleType, what: str) -> bool:
    """Register the operations and the HANDLERS of a module; whether there are any."""
    from kbuild.ops import registered

    operations = registered.register_all(module)
    handlers = vars(module).get("HANDLERS", {})
    _register_handlers(handlers, what, module)
    return operations or bool(handlers)


def _register_handlers(handlers: object, what: str, source: ModuleType | None = None) -> None:
    """Register a mapping of handlers, from a module or from where each is written."""
    if not isinstance(handlers, Mapping) or not all(isinstance(handler, Handler) for handler in handlers.values()):
        raise RecipeError(f"{what} is no mapping of class names to kbuild.converters.Handler")
    for class_name, handler in handlers.items():
        register(class_name, handler, source or handler.build)


def _registers(module: ModuleType) -> bool:
    """Whether something that is registered comes from the module, which may have been imported before."""
    return any(e.origin.place.startswith(f"{module.__name__}.") for found in _registered.values() for e in found)


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
