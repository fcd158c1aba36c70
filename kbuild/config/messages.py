"""jsonschema's errors → sentences made from the schema's own keywords: what is wrong; what would be right."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from kbuild.config.places import KeyPath, Place, Problem, key_text
from kbuild.config.schema import (
    Schema,
    accepts,
    as_typed,
    canonical_keys,
    places_of_key,
    properties,
    resolved,
    validation_errors,
)
from kbuild.config.suggestions import listing, nearest
from kbuild.config.yaml_positions import Document, plain_scalar

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

_PASSES = "kbuild's passes are not chosen; delete it"
# Keys that hls4ml knows and kbuild has no use for.
_NOT_HERE = {
    **dict.fromkeys(("SkipOptimizers", "Optimizers", "Flows"), _PASSES),
    "FIFO_opt": "FIFOs are always as deep as they need to be; delete it",
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
        if "propertyNames" in error.absolute_schema_path:
            here = (*path, str(error.instance))
            size = "empty" if not error.instance else "too long"
            problems.append(Problem(document.key_place(here), document.key(path), f"a name is {size}; write a name"))
            continue
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
        message = "unknown key; " + key_remedy(name, path, schema)
        yield Problem(document.key_place(here), document.key(here), message)


def key_remedy(name: str, path: KeyPath, schema: Schema) -> str:
    """What to do about an unknown key of the mapping at `path`."""
    if name in _NOT_HERE:
        return _NOT_HERE[name]
    known = canonical_keys(schema)
    if (match := nearest(name, known)) is not None and match.casefold() == name.casefold():
        return f"did you mean {match}?"
    elsewhere = max(places_of_key(name), key=lambda other: _shared(other, path), default=None)
    if elsewhere is not None:
        parent = key_text(elsewhere[:-1])
        return f"{name} belongs under {parent}" if parent else f"{name} belongs at the top of the recipe"
    return f"did you mean {match}?" if match else f"known here are {listing(known)}"


def _shared(one: KeyPath, other: KeyPath) -> int:
    """How many leading parts two key paths share."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _message(error: ValidationError, place: Place) -> str:
    assert isinstance(error.schema, dict)
    schema = resolved(error.schema)
    value = error.instance
    if error.validator == "type":
        return f"{found(value, place)}; write {expected(schema)}" + _quotes_hint(value, place, schema)
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
    if size == 0:
        return f"this is empty; write {expected(schema)}"
    unit = {"array": "item", "object": "key"}.get(_json_type(error.instance), "character")
    count = f"{size} {unit}" + ("s" if size > 1 else "")
    few = str(error.validator).startswith("min")
    bound = f"at least {error.validator_value} are needed" if few else f"at most {error.validator_value} are allowed"
    return f"{count} given, {bound}; write {expected(schema)}"


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
    if kind == "object" and "examples" not in schema and (keys := canonical_keys(schema)):
        return f"a mapping with keys such as {', '.join(keys[:3])}"
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


def _quotes_hint(value: Any, place: Place, schema: Schema) -> str:
    """A word on quotes, where only they are wrong."""
    if isinstance(value, str):
        plain = plain_scalar(value)
        return ", without quotes" if not isinstance(plain, str) and accepts(schema, plain) else ""
    if place.text and accepts(schema, place.text):
        return f', or the text with quotes: "{_short(place.text)}"'
    if schema.get("format") == "percent":
        return ", with the per cent sign and in quotes"
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
