"""jsonschema's errors → sentences made from the schema's own keywords: what is wrong; what would be right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kbuild.config.places import KeyPath, Place, Problem, key_text
from kbuild.config.schema import (
    Schema,
    as_typed,
    canonical_keys,
    places_of_key,
    properties,
    resolved,
    validation_errors,
)
from kbuild.config.suggestions import listing, nearest
from kbuild.config.yaml_positions import Document

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

_NOUNS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
}


_FORMATS = {
    "percent": "a percentage",
    "path": "a path",
    "precision": "a type",
    "identifier": "a name",
}

_LARGE = 1_000


def schema_problems(document: Document) -> tuple[list[Problem], set[KeyPath]]:
    """Every violation of the schema, and the paths of the values that are wrong."""
    problems: list[Problem] = []
    wrong: set[KeyPath] = set()
    for error in validation_errors(document.data):
        path = tuple(error.absolute_path)
        if error.validator == "additionalProperties":
            for problem in _unknown_keys(document, path, error):
                problems.append(problem)
            continue
        if error.validator == "propertyNames":
            continue  # only ever an empty or endless name, reported by the error inside it
        if path in wrong:
            continue  # a value of the wrong type also breaks the other keywords
        wrong.add(path)
        place = document.place(path)
        problems.append(Problem(place, document.key(path), _message(error, place)))
    return problems, wrong


def _unknown_keys(document: Document, path: KeyPath, error: ValidationError) -> Iterator[Problem]:
    schema, instance = error.schema, error.instance
    assert isinstance(schema, dict) and isinstance(instance, dict)
    for name in instance:
        if name in properties(schema):
            continue
        here = (*path, name)
        yield Problem(document.key_place(here), document.key(here), "unknown key; " + _key_remedy(name, schema))


def _key_remedy(name: str, schema: Schema) -> str:
    known = canonical_keys(schema)
    if (match := nearest(name, known)) is not None and match.casefold() == name.casefold():
        return f"did you mean {match}?"
    elsewhere = next(places_of_key(name), None)
    if elsewhere is not None:
        parent = key_text(elsewhere[:-1])
        return f"{name} belongs under {parent}" if parent else f"{name} belongs at the top of the recipe"
    return f"did you mean {match}?" if match else f"known here are {listing(known)}"


def _message(error: ValidationError, place: Place) -> str:
    assert isinstance(error.schema, dict)
    schema = resolved(error.schema)
    value = error.instance
    if error.validator == "type":
        return f"{found(value, place)}; write {expected(schema)}" + _yaml_hint(value, place, schema)
    if error.validator == "enum":
        return _enum_message(value, place, schema)
    if error.validator == "format":
        return str(error.cause)
    if error.validator == "pattern":
        return f'"{_short(str(value))}" has characters that cannot stand here; write {expected(schema)}'
    if error.validator in ("minimum", "exclusiveMinimum"):
        return f"{value} is too small; write {expected(schema)}"
    if error.validator == "maximum":
        return f"{value} is too large; write {expected(schema, upper=True)}"
    if error.validator in ("minItems", "maxItems", "minProperties", "minLength", "maxLength"):
        return _size_message(error, schema)
    if error.validator == "uniqueItems":
        return "an item is given twice; delete one of the two"
    raise AssertionError(f"no message for the schema keyword {error.validator}")


def _enum_message(value: Any, place: Place, schema: Schema) -> str:
    words = [as_typed(word) for word in schema["enum"]]
    if not isinstance(value, str):
        return f"{found(value, place)}; write one of {listing(words)}"
    match = nearest(value, words)
    return f'"{_short(value)}" is unknown; ' + (f"did you mean {match}?" if match else f"write one of {listing(words)}")


def _size_message(error: ValidationError, schema: Schema) -> str:
    assert isinstance(error.instance, (str, list, dict))
    size = len(error.instance)
    unit = {"array": "items", "object": "keys"}.get(_json_type(error.instance), "characters")
    if size == 0:
        return f"this is empty; write {expected(schema)}"
    bound = {"min": "at least", "max": "at most"}[str(error.validator)[:3]]
    return f"{size} {unit} are given, {bound} {error.validator_value} are needed; write {expected(schema)}"


def found(value: Any, place: Place) -> str:
    """What stands there, e.g. `the text "4" is given`."""
    kind = _json_type(value)
    if kind == "null":
        return "nothing is given"
    if kind in ("object", "array"):
        return f"{_NOUNS[kind]} is given"
    if kind == "string":
        return f'the text "{_short(value)}" is given'
    shown = place.text if place.text else as_typed(value)
    if kind == "boolean" and shown.casefold() != as_typed(value):
        return f"{shown} is given, which YAML reads as {as_typed(value)}"
    return f"the number {_short(shown)} is given" if kind in ("integer", "number") else f"{shown} is given"


def expected(schema: Schema, upper: bool = False) -> str:
    """What a value has to be, from the schema: `a whole number of at least 1, such as 4`.

    A very large upper bound is only named when `upper` says that it matters.
    """
    if "enum" in schema:
        return "one of " + listing(as_typed(word) for word in schema["enum"])
    kinds = [kind for kind in _types(schema) if kind != "null"]
    text = " or ".join(_noun(kind, schema) for kind in kinds) + _bounds(schema, upper)
    examples = schema.get("examples")
    return f"{text}, such as {as_typed(examples[0])}" if examples else text


def _noun(kind: str, schema: Schema) -> str:
    if kind == "string":
        return _FORMATS.get(schema.get("format", ""), _NOUNS[kind])
    if kind == "object" and (keys := canonical_keys(schema)):
        return f"a mapping of {listing(keys)}"
    if kind == "array" and "minItems" in schema and schema["minItems"] == schema.get("maxItems"):
        return f"a list of {schema['minItems']} values"
    return _NOUNS[kind]


def _bounds(schema: Schema, upper: bool) -> str:
    if "exclusiveMinimum" in schema:
        text = f" greater than {schema['exclusiveMinimum']}"
        return f"{text} and at most {schema['maximum']}" if upper else text
    if "minimum" in schema:
        small = schema["maximum"] <= _LARGE
        return (
            f" from {schema['minimum']} to {schema['maximum']}"
            if small or upper
            else f" of at least {schema['minimum']}"
        )
    return ""


def _types(schema: Schema) -> list[str]:
    kinds: str | list[str] = schema["type"]
    return kinds if isinstance(kinds, list) else [kinds]


def _yaml_hint(value: Any, place: Place, schema: Schema) -> str:
    """A word on what YAML did to the value, where that is the likely reason."""
    kinds = _types(schema)
    if isinstance(value, str) and {"integer", "number"} & set(kinds) and value.strip().isdigit():
        return ", without quotes"
    if schema.get("format") == "percent":
        return ", with the per cent sign and in quotes"
    if "string" in kinds and isinstance(value, (bool, int, float)) and place.text:
        return f' (text that looks like something else needs quotes: "{_short(place.text)}")'
    return ""


def _json_type(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    kinds: list[tuple[type, str]] = [(int, "integer"), (float, "number"), (str, "string"), (list, "array")]
    return next((name for kind, name in kinds if isinstance(value, kind)), "object")


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
