"""Names for content: of files, of values, of kbuild's own code."""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from kbuild.config.places import Place
from kbuild.config.recipe import Setting
from kbuild.dataclass import field_names, is_dataclass
from kbuild.flow.files import file_digest, files_below
from kbuild.resources import ROOT

PACKAGE = Path(__file__).resolve().parent.parent


def text_digest(text: str) -> str:
    """SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def value_digest(value: object) -> str:
    """SHA-256 of plain data, enumerations and dataclasses of such; where in a recipe a setting stands does not count.

    Raises TypeError for anything else, paths included: what a stage reads is content, not where it is.
    """
    return text_digest(json.dumps(_plain(value), sort_keys=True, separators=(",", ":")))


def _plain(value: object) -> object:
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return ["float", value.hex()]
    if isinstance(value, enum.Enum):
        return [type(value).__name__, value.name]
    if isinstance(value, Setting):
        return _plain(value.value)
    if isinstance(value, Place):
        return None
    if is_dataclass(value) and not isinstance(value, type):
        fields = {name: _plain(getattr(value, name)) for name in field_names(value)}
        return [type(value).__name__, fields]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(str(item) for item in value)
    raise TypeError(f"a {type(value).__name__} cannot be part of a key")


@cache
def code_digest(rooms: tuple[str, ...]) -> str:
    """Digest of kbuild's own sources in `rooms`: modules and packages relative to `kbuild/`, or data folders.

    `("fixed", "ops", "flow/stages/parse", "backends")`: one that does not exist is a KeyError, so that a renamed
    module cannot silently drop out of a key.
    """
    return value_digest({name: digest for room in rooms for name, digest in _sources(room).items()})


@cache
def _sources(room: str) -> dict[str, str]:
    """Digests of a room's files by name. Rooms are shared by stages: each file is read once in a process."""
    module = PACKAGE / f"{room}.py"
    if module.is_file():
        return {f"{room}.py": file_digest(module)}
    for folder, suffix in ((PACKAGE / room, ".py"), (ROOT / room, "")):
        if folder.is_dir():
            names = [name for name in files_below(folder) if name.endswith(suffix)]
            return {f"{room}/{name}": file_digest(f"{folder}/{name}") for name in names}
    raise KeyError(f"kbuild has no room called {room}")
