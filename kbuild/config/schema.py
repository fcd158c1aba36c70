"""The published schema of a recipe: loading it, walking it, and validating against it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from kbuild.config.conforms import Conformance
from kbuild.config.places import KeyPath
from kbuild.resources import resource

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

Schema = Mapping[str, Any]

_PERCENT = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*%")


@cache
def recipe_schema() -> Schema:
    """`schemas/recipe.schema.json`, parsed."""
    schema: Schema = json.loads(resource("schemas", "recipe.schema.json").read_text(encoding="utf-8"))
    return schema


def resolved(schema: Schema) -> Schema:
    """The schema with its `$ref` followed; keywords beside the `$ref` win."""
    while "$ref" in schema:
        target = recipe_schema()["$defs"][schema["$ref"].rpartition("/")[2]]
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    return schema


def properties(schema: Schema) -> Mapping[str, Schema]:
    """Keys that a mapping may have, with their schemas."""
    found: Mapping[str, Schema] = schema.get("properties", {})
    return found


def canonical_keys(schema: Schema) -> list[str]:
    """The keys to suggest: without the other accepted spellings."""
    return [name for name, sub in properties(schema).items() if "x-means" not in sub]


def schema_at(path: KeyPath) -> Schema | None:
    """The schema that the value at `path` has to obey, or None where no such key is known."""
    schema = resolved(recipe_schema())
    for part in path:
        step = schema.get("items") if isinstance(part, int) else properties(schema).get(part)
        if step is None and isinstance(part, str):
            step = schema.get("additionalProperties")
        if not isinstance(step, Mapping):
            return None
        schema = resolved(step)
    return schema


def default_of(key: str, backend: str) -> Any:
    """Default of a top-level key for a backend, as it would be typed in YAML."""
    schema = resolved(properties(recipe_schema())[key])
    return schema.get("x-defaultByBackend", {}).get(backend, schema.get("default"))


def places_of_key(key: str, schema: Schema | None = None, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Where a key would be known, e.g. `BramFactor` → `("HLSConfig", "Model", "BramFactor")`; in the schema's order."""
    schema = resolved(recipe_schema()) if schema is None else schema
    if key in canonical_keys(schema):
        yield (*path, key)
    for name in canonical_keys(schema):
        yield from places_of_key(key, resolved(properties(schema)[name]), (*path, name))


def as_typed(value: Any) -> str:
    """A value as one would type it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(as_typed(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {as_typed(item)}" for key, item in value.items()) + "}"
    return str(value)


@cache
def conformance() -> Conformance:
    """The quick check, which may say no to what is right."""
    return Conformance(recipe_schema(), _FORMATS)


@cache
def validator() -> Draft202012Validator:
    """The check that knows what is wrong; importing it takes longer than reading a recipe."""
    from jsonschema import Draft202012Validator, FormatChecker

    formats = FormatChecker(formats=())
    for name, check in _FORMATS.items():
        formats.checks(name, ValueError)(check)
    return Draft202012Validator(recipe_schema(), format_checker=formats)


def validation_errors(data: Mapping[str, Any]) -> Iterable[ValidationError]:
    """What jsonschema finds wrong with a recipe in its canonical spelling."""
    return () if conformance().certain(data, recipe_schema()) else validator().iter_errors(data)


def accepts(schema: Schema, value: Any) -> bool:
    """Whether a scalar obeys a schema that has no reference in it."""
    return conformance().certain(value, schema) or not any(validator().evolve(schema=dict(schema)).iter_errors(value))


def percent(text: str) -> float:
    """`"27%"` → 0.27. Raises `ValueError` with a sentence."""
    match = _PERCENT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f'"{text}" is not a percentage; write a number and a per cent sign, such as "12.5%"')
    value = float(match[1])
    if value >= 100:
        raise ValueError(f'"{text}" leaves nothing of the clock period; write less than "100%"')
    return value / 100


def _is_percent(value: object) -> bool:
    return not isinstance(value, str) or percent(value) >= 0


def _is_precision(value: object) -> bool:
    if isinstance(value, str) and value.strip().casefold() != "auto":
        from kbuild.fixed import FixedType

        try:
            FixedType.parse(value)
        except ValueError as error:
            remedy = "" if ";" in str(error) else "; write a type such as ap_fixed<16,6>, or auto"
            raise ValueError(f"{error}{remedy}") from None
    return True


def _is_identifier(value: object) -> bool:
    if isinstance(value, str):
        from kbuild.config.identifiers import check_identifier

        check_identifier(value)
    return True


def _is_path(value: object) -> bool:
    if isinstance(value, str):
        if any(ord(sign) < 32 for sign in value):
            raise ValueError("a control character cannot stand in a path; write a path on one line")
        if not value.strip():
            raise ValueError("the path is blank; write the path of a file or folder")
    return True


_FORMATS: Mapping[str, Callable[[object], bool]] = {
    "precision": _is_precision,
    "identifier": _is_identifier,
    "percent": _is_percent,
    "path": _is_path,
}
