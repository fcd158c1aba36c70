"""The layer families, one file each. A class is supported when a module here has it in its `HANDLERS`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache

from kbuild.dataclass import dataclass
from kbuild.frontend.keras import extensions
from kbuild.frontend.keras.handler import Handler


@dataclass(frozen=True)
class Support:
    """What `kbuild layers` tells about a Keras class."""

    family: str
    note: str


_COMMON = ("core", "activation")  # looked into first: many models need no other module


@cache
def _families() -> tuple[str, ...]:
    """The names of this package's modules."""
    return tuple(sorted((info.name for info in pkgutil.iter_modules(__path__)), key=lambda name: name not in _COMMON))


@cache
def _handlers(family: str) -> Mapping[str, Handler]:
    handlers: Mapping[str, Handler] = importlib.import_module(f"{__name__}.{family}").HANDLERS
    return handlers


def is_own(class_name: str) -> bool:
    """Whether a handler of this package reads the class."""
    return any(class_name in _handlers(family) for family in _families())


def handler_of(class_name: str, keras: int = 3) -> Handler | None:
    """The handler of a class in a model of Keras 2 or 3: kbuild's own, else one that was registered, or None.

    Imports no module that comes after the one that has it.
    """
    for family in _families():
        if (found := _handlers(family).get(class_name)) is not None:
            return found
    extension = extensions.find(class_name, keras)
    return None if extension is None else extension.handler


def supported_layers() -> dict[str, Support]:
    """All supported Keras classes in alphabetical order."""
    found = {
        class_name: Support(family, handler.note)
        for family in _families()
        for class_name, handler in _handlers(family).items()
    }
    return dict(sorted(found.items()))
