"""jsonschema's errors → sentences made from the schema's own keywords: what is wrong; what would be right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kbuild.config.places import KeyPath, Place, Problem, key_text
from kbuild.config.schema import Schema, canonical_keys, places_of_key, properties, resolved, validation_errors
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
    schema = resolved(error.schema) if isinstance(error.schema, dict) else {}
    value = error.instance
    if error.validator == "type":
        return f"{found(value, place)}; write {expected(schema)}" + _yaml_hint(value, place, schema)
    if error.validator == "enum":
        return _enum_message(value, place, schema)
    if error.validator == "format":
        return str(error.cause)
    if error.validator == "pattern":
        return f'"{value}" has signs that cannot stand here; write {expected(schema)}'
    if error.validator in ("minimum", "exclusiveMinimum"):
        return f"{value} is too small; write {expected(schema)}"
    if error.validator == "maximum":
        return f"{value} is too large; write {expected(schema)}"
    if error.validator in ("minItems", "maxItems", "minProperties", "minLength", "maxLength"):
        return _size_message(error, schema)
    if error.validator == "uniqueItems":
        return "an item is given twice; delete one of the two"
    raise AssertionError(f"no message for the schema keyword {error.validator}")


def _enum_message(value: Any, place: Place, schema: Schema) -> str:
    words = [_yaml(word) for word in schema["enum"]]
    if not isinstance(value, str):
        return f"{found(value, place)}; write one of {listing(words)}"
    match = nearest(value, words)
    return f'"{value}" is unknown; ' + (f"did you mean {match}?" if match else f"write one of {listing(words)}")


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
    shown = place.text if place.text else _yaml(value)
    if kind == "boolean" and shown.casefold() != _yaml(value):
        return f"{shown} is given, which YAML reads as {_yaml(value)}"
    return f"the number {_short(shown)} is given" if kind in ("integer", "number") else f"{shown} is given"


def expected(schema: Schema) -> str:
    """What a value has to be, from the schema: `a whole number of at least 1, such as 4`."""
    if "enum" in schema:
        return "one of " + listing(_yaml(word) for word in schema["enum"])
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    text = " or ".join(_NOUNS[kind] for kind in kinds if kind != "null") + _bounds(schema)
    if "minItems" in schema and schema["minItems"] == schema.get("maxItems"):
        text += f" of {schema['minItems']}"
    examples = schema.get("examples")
    return f"{text}, such as {_yaml(examples[0])}" if examples else text


def _bounds(schema: Schema) -> str:
    if "exclusiveMinimum" in schema:
        return f" greater than {schema['exclusiveMinimum']} and at most {schema['maximum']}"
    if "minimum" in schema:
        return f" from {schema['minimum']} to {schema['maximum']}"
    return ""


def _yaml_hint(value: Any, place: Place, schema: Schema) -> str:
    """A word on what YAML did to the value, where that is the likely reason."""
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if isinstance(value, str) and {"integer", "number"} & set(kinds) and value.strip().isdigit():
        return "; without quotes" if place.text == value else ""
    if "string" in kinds and isinstance(value, (bool, int, float)) and place.text:
        return f'; text that looks like something else needs quotes: "{_short(place.text)}"'
    return ""


def _json_type(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    kinds: list[tuple[type, str]] = [(int, "integer"), (float, "number"), (str, "string"), (list, "array")]
    return next((name for kind, name in kinds if isinstance(value, kind)), "object")


def _yaml(value: Any) -> str:
    """A value as one would type it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(_yaml(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_yaml(item)}" for key, item in value.items()) + "}"
    return str(value)


def _short(text: str) -> str:
    clean = "".join(sign if sign.isprintable() else "�" for sign in text)
    return clean if len(clean) <= 60 else clean[:57] + "..."
