"""How a file names a quantizer: as an object with class and configuration, or as the text of a call."""

from __future__ import annotations

import re
from collections.abc import Mapping

from kbuild.dataclass import dataclass, field
from kbuild.frontend.keras.config import Config
from kbuild.frontend.keras.safety import quoted

_CALL = re.compile(r"\s*([A-Za-z_]\w*)\s*(?:\((.*)\)\s*)?", re.DOTALL)
_ARGUMENT = re.compile(r"\s*(?:([A-Za-z_]\w*)\s*=\s*)?(\[[^\]]*\]|'[^']*'|\"[^\"]*\"|[^,\s]+)\s*(?:,|$)")
_WORDS = {"True": True, "False": False, "None": None}


@dataclass(frozen=True)
class Spelled:
    """The class of a quantizer and its arguments: those by place, and those by name."""

    name: str
    places: tuple[object, ...] = ()
    names: Mapping[str, object] = field(default_factory=dict)


def spelled(config: Config, key: str, value: object) -> Spelled | None:
    """The quantizer under a key of a layer's configuration, None for none. Raises UnsupportedModel."""
    if value is None:
        return None
    if isinstance(value, Mapping):
        name, settings = value.get("class_name"), value.get("config")
        if isinstance(name, str) and name == "function" and isinstance(settings, str):
            return Spelled(settings.rpartition(">")[2])
        if isinstance(name, str) and isinstance(settings, Mapping):
            return Spelled(name.rpartition(">")[2], names=settings)
        if isinstance(name, str) and isinstance(settings, str):  # a function that Keras does not know
            return Spelled(settings.rpartition(">")[2])
    if isinstance(value, str):
        return _parsed(config, key, value)
    raise config.error(f"{key} is {quoted(value)}, which names no quantizer")


def _parsed(config: Config, key: str, text: str) -> Spelled:
    match = _CALL.fullmatch(text)
    if match is None:
        raise config.error(f"{key} is {quoted(text)}, which names no quantizer")
    places: list[object] = []
    names: dict[str, object] = {}
    rest, at = match[2] or "", 0
    while at < len(rest.rstrip()):
        argument = _ARGUMENT.match(rest, at)
        if argument is None or (names and not argument[1]):
            raise config.error(f"{key} is {quoted(text)}, whose arguments cannot be read")
        found = _literal(argument[2])
        if argument[1]:
            names[argument[1]] = found
        else:
            places.append(found)
        at = argument.end()
    return Spelled(match[1], tuple(places), names)


def _literal(text: str) -> object:
    if text in _WORDS:
        return _WORDS[text]
    if text[0] == "[":
        return [_literal(part.strip()) for part in text[1:-1].split(",") if part.strip()]
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text.strip("'\"")
