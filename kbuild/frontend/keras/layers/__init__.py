"""The layer families, one file each. A class is supported when a module here has it in its `HANDLERS`."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from functools import cache

from kbuild.frontend.keras.handler import Handler


@dataclass(frozen=True)
class Support:
    """What `kbuild layers` tells about a Keras class."""

    family: str
    note: str


@cache
def _families() -> dict[str, dict[str, Handler]]:
    """The handlers of every module of this package, by its name."""
    found: dict[str, dict[str, Handler]] = {}
    for info in pkgutil.iter_modules(__path__):
        found[info.name] = importlib.import_module(f"{__name__}.{info.name}").HANDLERS
    return found


def handler_of(class_name: str) -> Handler | None:
    """The handler of a Keras class, or None."""
    return next((handlers[class_name] for handlers in _families().values() if class_name in handlers), None)


def supported_layers() -> dict[str, Support]:
    """All supported Keras classes in alphabetical order."""
    found = {
        class_name: Support(family, handler.note)
        for family, handlers in _families().items()
        for class_name, handler in handlers.items()
    }
    return dict(sorted(found.items()))
