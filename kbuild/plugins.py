"""Code that is not kbuild's own: where it comes from, a name for it in keys, and what installed packages offer.

A package offers layers and operations by Python entry points of the groups `kbuild.layers` and `kbuild.ops`.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType

from kbuild.dataclass import dataclass
from kbuild.errors import RecipeError

LAYERS, OPS = "kbuild.layers", "kbuild.ops"
GROUPS = (LAYERS, OPS)


@dataclass(frozen=True)
class Origin:
    """Where something comes from: its dotted name, the digest of its code, and the file, if it is in one."""

    place: str
    code: str
    file: Path | None

    @property
    def key(self) -> str:
        """For keys."""
        return f"{self.place} {self.code}"


def origin_of(source: object) -> Origin:
    """The origin of a function, class or module; of anything else that of its class.

    The digest is that of the file that it is written in; of its own text where it has no file, as in a notebook.
    """
    import inspect  # takes a while, and few builds have code of users

    found = inspect.getmodule(source)
    name = None if found is None else vars(found).get("__file__")
    if name is not None and Path(name).is_file():
        file = Path(name)
        return Origin(_place(source), hashlib.sha256(file.read_bytes()).hexdigest(), file)
    written = source if inspect.isfunction(source) or inspect.isclass(source) else type(source)
    try:
        code = hashlib.sha256(inspect.getsource(written).encode()).hexdigest()
    except (OSError, TypeError):
        code = f"unknown {id(source)}"
    return Origin(_place(source), code, None)


def _place(source: object) -> str:
    import inspect

    if isinstance(source, ModuleType):
        return source.__name__
    if inspect.isfunction(source) or inspect.isclass(source):
        return f"{source.__module__}.{source.__qualname__}"
    return f"{type(source).__module__}.{type(source).__qualname__}"


# What is in use, by what it is for (`layer Reversed`, `op cube`): it decides what stages make, and is in their keys.
_in_use: dict[str, tuple[Origin, ...]] = {}


def use(purpose: str, *origins: Origin) -> None:
    """Note that code of these origins is used for something, in place of what was; of none: no longer."""
    if origins:
        _in_use[purpose] = origins
    else:
        _in_use.pop(purpose, None)


def digest(kind: str) -> str | None:
    """A name for all code in use for a kind of thing, `layer` or `op`, for keys; None where there is none."""
    codes = {
        purpose: [origin.key for origin in origins]
        for purpose, origins in _in_use.items()
        if purpose.startswith(f"{kind} ")
    }
    if not codes:
        return None
    return hashlib.sha256(repr(sorted(codes.items())).encode()).hexdigest()


def files() -> set[Path]:
    """The files of all code in use."""
    return {origin.file for origins in _in_use.values() for origin in origins if origin.file is not None}


def offered(group: str) -> Mapping[str, object]:
    """What installed packages offer in a group, by name. This runs their code.

    Raises RecipeError for a package that cannot be imported, and for two that offer the same name.
    """
    if not any_offered():
        return {}
    from importlib.metadata import entry_points

    found: dict[str, object] = {}
    for entry in sorted(entry_points(group=group), key=lambda entry: (entry.name, entry.value)):
        place = f"the entry point {entry.name} = {entry.value} of {group}"
        if entry.name in found:
            raise RecipeError(f"{place}: another installed package offers {entry.name}, too; uninstall one of them")
        try:
            found[entry.name] = entry.load()
        except Exception as error:
            raise RecipeError(f"{place} cannot be imported: {type(error).__name__}: {error}") from error
    return found


def any_offered() -> bool:
    """Whether any installed package offers something; costs no import where none does."""
    return _any_offered(tuple(sys.path))


@cache
def _any_offered(path: tuple[str, ...]) -> bool:
    marks = [f"[{group}]".encode() for group in GROUPS]
    return any(mark in text for folder in path for text in _entry_points(folder) for mark in marks)


def _entry_points(folder: str) -> Iterator[bytes]:
    """The `entry_points.txt` of every package that is installed in a folder."""
    try:
        names = os.listdir(folder or ".")
    except OSError:
        return
    for name in names:
        if name.endswith((".dist-info", ".egg-info")):
            try:
                with open(os.path.join(folder, name, "entry_points.txt"), "rb") as file:
                    yield file.read()
            except OSError:
                continue
