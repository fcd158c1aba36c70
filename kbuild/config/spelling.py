"""Other accepted spellings → the canonical ones, as the schema's `x-` keywords say; before validation."""

from __future__ import annotations

from typing import Any

from kbuild.config.places import KeyPath, Problem, key_text
from kbuild.config.schema import Schema, properties, recipe_schema, resolved
from kbuild.config.yaml_positions import Data, Document


def normalise(document: Document, problems: list[Problem]) -> None:
    """Rewrite the document's data in place; places follow the values, `written` keeps what was typed."""
    _Normaliser(document, problems).mapping(document.data, resolved(recipe_schema()), ())


def canonical_path(path: tuple[str, ...]) -> tuple[str, ...]:
    """A key path with other spellings replaced: `XilinxPart` → `Part`, `….exp_table_t` → `….Precision.exp_table`."""
    found: list[str] = []
    schema = resolved(recipe_schema())
    for part in path:
        step = properties(schema).get(part, schema.get("additionalProperties"))
        found += step["x-means"].split(".") if isinstance(step, dict) and "x-means" in step else [part]
        schema = resolved(step) if isinstance(step, dict) else {}
    return tuple(found)


class _Normaliser:
    def __init__(self, document: Document, problems: list[Problem]) -> None:
        self._document = document
        self._problems = problems

    def mapping(self, data: Data, schema: Schema, path: KeyPath) -> None:
        for name in list(data):
            means = properties(schema).get(name, {}).get("x-means")
            if means is not None:
                self._rename(data, path, name, means)
        for name, value in data.items():
            step = properties(schema).get(name, schema.get("additionalProperties"))
            if isinstance(step, dict):
                data[name] = self._value(value, resolved(step), (*path, name))

    def _value(self, value: Any, schema: Schema, path: KeyPath) -> Any:
        if isinstance(value, dict):
            self.mapping(value, schema, path)
        elif isinstance(value, list) and isinstance(schema.get("items"), dict):
            items = resolved(schema["items"])
            return [self._value(item, items, (*path, index)) for index, item in enumerate(value)]
        elif isinstance(value, str) and schema.get("x-anyCase"):
            return _canonical_word(value, schema)
        return value

    def _rename(self, data: Data, path: KeyPath, name: str, means: str) -> None:
        old = (*path, name)
        value = data.pop(name)
        parent, _, leaf = means.rpartition(".")
        target = data
        new: KeyPath = (*path, leaf)
        if parent:  # a variable's own key, such as exp_table_t, belongs into Precision
            target = precision_mapping(self._document, data, (*path, parent))
            new = (*path, parent, leaf)
        if target.get(leaf, "auto") != "auto":  # what a generated configuration has is no answer yet
            place = self._document.key_place(old)
            message = f"this means {self._document.key(new)}, which is given too; delete one of the two"
            self._problems.append(Problem(place, key_text(old), message))
            return
        target[leaf] = value
        self._move(old, new)

    def _move(self, old: KeyPath, new: KeyPath) -> None:
        for table in (self._document.keys, self._document.values):
            for path in [path for path in table if path[: len(old)] == old]:
                table[new + path[len(old) :]] = table.pop(path)
        self._document.written[new] = old


def precision_mapping(document: Document, data: Data, path: KeyPath) -> Data:
    """`Precision: T` in `data`, at `path` of the document → `Precision: {default: T}`, which means the same."""
    name = str(path[-1])
    value = data.get(name)
    if isinstance(value, dict):
        return value
    inner: Data = {}
    if value is not None:
        inner["default"] = value
        default = (*path, "default")
        document.values[default] = document.place(path)
        document.keys[default] = document.key_place(path)
        document.written[default] = document.written.get(path, path)
    data[name] = inner
    return inner


def _canonical_word(word: str, schema: Schema) -> str:
    spellings = {**{str(known): str(known) for known in schema["enum"]}, **schema.get("x-spellings", {})}
    by_case = {spelling.casefold(): meant for spelling, meant in spellings.items()}
    return str(by_case.get(word.casefold(), word))
