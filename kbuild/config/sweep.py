"""Key paths as text, `--set key.path=value`, and the values that `Sweep` tries."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from typing import Any

from kbuild.config.messages import key_remedy, schema_problems
from kbuild.config.parts import part_problem
from kbuild.config.places import KeyPath, Place, Problem, key_text
from kbuild.config.schema import Schema, canonical_keys, default_of, recipe_schema, resolved, schema_at
from kbuild.config.spelling import canonical_path, normalise, precision_mapping
from kbuild.config.yaml_positions import Document, parse_value

_PART = re.compile(r'"([^"]+)"|([^."=\[\]]+)')
_SET = "--set"


def split_key(text: str) -> tuple[str, ...]:
    """`HLSConfig.LayerName."a.b".ReuseFactor` → its parts. Raises `ValueError` with a sentence."""
    parts: list[str] = []
    position = 0
    while match := _PART.match(text, position):
        parts.append(match[1] or match[2].strip())
        position = match.end()
        if position == len(text):
            return tuple(parts)
        if text[position] != ".":
            break
        position += 1
    example = "HLSConfig.Model.ReuseFactor"
    raise ValueError(f'"{text}" is no key path; write names with dots between them, such as {example}')


def sweep_path(key: str) -> tuple[str, ...]:
    """The full path of a key of `Sweep`; a bare key of HLSConfig.Model stands for itself."""
    path = canonical_path(split_key(key))
    if len(path) == 1 and path[0] not in canonical_keys(resolved(recipe_schema())):
        return ("HLSConfig", "Model", *path)
    return path


def apply_overrides(document: Document, overrides: Sequence[str], problems: list[Problem]) -> None:
    """Put every `key.path=value` into the document, in order; places become `--set`."""
    normalise(document, problems)
    for override in overrides:
        key, equals, text = override.partition("=")
        while key.count('"') % 2 and equals:  # an equals sign inside quotes belongs to the name
            more, equals, text = text.partition("=")
            key += "=" + more
        if not equals:
            problems.append(Problem(Place(_SET), "", f'"{override}" has no value; write key.path=value'))
            continue
        try:
            typed = split_key(key.strip())
        except ValueError as error:
            problems.append(Problem(Place(_SET), "", str(error)))
            continue
        value, place = parse_value(text, _SET, problems)
        path = canonical_path(typed)
        if _put(document, path, value, place):
            document.written[path] = typed
        else:
            message = f"{key_text(path[:-1])} is no mapping in the file; set it as a whole"
            problems.append(Problem(Place(_SET), key_text(typed), message))
    normalise(document, problems)


def _put(document: Document, path: tuple[str, ...], value: Any, place: Place) -> bool:
    """Set the value at a path, making mappings on the way; False where something else stands in the way."""
    data = document.data
    for length, part in enumerate(path[:-1], 1):
        here: KeyPath = path[:length]
        if data.get(part) is None:
            data[part] = {}
            document.keys[here] = document.values[here] = Place(_SET)
        elif part == "Precision" and isinstance(data[part], str):
            precision_mapping(document, data, here)
        if not isinstance(data[part], dict):
            return False
        data = data[part]
    for table in (document.keys, document.values):
        for old in [old for old in table if old[: len(path)] == path]:
            del table[old]
    data[path[-1]] = value
    document.keys[path] = Place(_SET)
    _place_all(document, path, value, place)
    return True


def _place_all(document: Document, path: KeyPath, value: Any, place: Place) -> None:
    """Everything inside an override stands at the override; only a lone scalar has a text."""
    document.values[path] = place if not isinstance(value, (dict, list)) else Place(_SET)
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for part, inner in items:
        here = (*path, part)
        document.keys[here] = Place(_SET)
        _place_all(document, here, inner, Place(_SET))


def sweep_problems(document: Document, wrong: set[KeyPath]) -> list[Problem]:
    """Keys and values of `Sweep` that the recipe could not have; each is tried alone, as `--set` would."""
    problems: list[Problem] = []
    sweep = document.data.get("Sweep")
    if not isinstance(sweep, dict):
        return problems
    for key, values in sweep.items():
        if not key:
            continue  # the schema has refused it
        here: KeyPath = ("Sweep", key)
        place, shown = document.key_place(here), document.key(here)
        try:
            path = sweep_path(key)
        except ValueError as error:
            problems.append(Problem(place, shown, str(error)))
            continue
        if (message := _unknown(path)) is not None:
            problems.append(Problem(place, shown, message))
        elif here not in wrong and isinstance(values, list):
            problems += _value_problems(document, here, path, values)
    return problems


def _unknown(path: tuple[str, ...]) -> str | None:
    """What is wrong with a key path whose values are to be tried, or None."""
    if path[0] == "Sweep":
        return "a sweep cannot sweep itself; write the key path of one value, such as HLSConfig.Model.ReuseFactor"
    schema: Schema = resolved(recipe_schema())
    for length, part in enumerate(path, 1):
        inner = schema_at(path[:length])
        if inner is None:
            return f"unknown key {part}; {key_remedy(part, path[: length - 1], schema)}"
        schema = inner
    if schema["type"] in ("object", ["object", "null"]):
        return "this is a mapping; write the key path of one value, such as HLSConfig.Model.ReuseFactor"
    return None


def _part_problem(document: Document, name: str) -> list[Problem]:
    """A part to try has to belong to the backend, unless backends are tried too."""
    backend = document.data.get("Backend") or default_of("Backend", "")
    if "Backend" in document.data["Sweep"] or backend not in recipe_schema()["properties"]["Backend"]["enum"]:
        return []
    message = part_problem(name, backend)
    return [Problem(document.start, "", message)] if message else []


def _value_problems(document: Document, here: KeyPath, path: tuple[str, ...], values: list[Any]) -> list[Problem]:
    problems = []
    for index, value in enumerate(values):
        place = document.place((*here, index))
        trial = Document(document.label, {}, place)
        found: list[Problem] = []
        _put(trial, path, copy.deepcopy(value), place)
        trial.values = {known: place for known in trial.values}
        normalise(trial, found)
        found += schema_problems(trial)[0]
        if path == ("Part",) and not found:
            found += _part_problem(document, str(value))
        problems += [Problem(place, document.key((*here, index)), problem.message) for problem in found]
    return problems
