"""Whether data certainly obey a schema, found out at once: a right recipe need not wait for jsonschema's import.

A "no" decides nothing. What is not plainly right goes to jsonschema, which can also tell what is wrong.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from kbuild.dataclass import dataclass

# Keyword → the kind of value that it is about, and the rule for (value, what the keyword says).
_RULES: Mapping[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "pattern": ("string", lambda text, pattern: re.search(pattern, text) is not None),
    "minLength": ("string", lambda text, bound: len(text) >= bound),
    "maxLength": ("string", lambda text, bound: len(text) <= bound),
    "minimum": ("number", operator.ge),
    "exclusiveMinimum": ("number", operator.gt),
    "maximum": ("number", operator.le),
    "minItems": ("array", lambda items, bound: len(items) >= bound),
    "maxItems": ("array", lambda items, bound: len(items) <= bound),
    "uniqueItems": ("array", lambda items, _: all(_is(item, "string") for item in items) and _differ(items)),
    "minProperties": ("object", lambda mapping, bound: len(mapping) >= bound),
}
_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "array": (list,),
    "object": (dict,),
}
_SILENT = frozenset(
    ("$schema", "$id", "$defs", "$comment", "title", "description", "examples", "default", "deprecated")
)


@dataclass(frozen=True)
class Conformance:
    """Checks against `root`, which references lead into. A format is a function; it may also raise ValueError."""

    root: Mapping[str, Any]
    formats: Mapping[str, Callable[[object], bool]]

    def certain(self, value: object, schema: Mapping[str, Any]) -> bool:
        """True only where jsonschema finds nothing wrong with `value` either."""
        return all(self._obeys(value, keyword, wanted, schema) for keyword, wanted in schema.items())

    def _obeys(self, value: Any, keyword: str, wanted: Any, schema: Mapping[str, Any]) -> bool:
        if keyword in _RULES:
            kind, rule = _RULES[keyword]
            return not _is(value, kind) or rule(value, wanted)
        if keyword == "$ref":
            return self.certain(value, self.root["$defs"][wanted.removeprefix("#/$defs/")])
        if keyword == "type":
            return any(_is(value, kind) for kind in ([wanted] if isinstance(wanted, str) else wanted))
        if keyword == "enum":
            return any(type(value) is type(word) and value == word for word in wanted)
        if keyword == "format":
            return self._has_format(value, wanted)
        if keyword == "items":
            return not _is(value, "array") or all(self.certain(item, wanted) for item in value)
        if keyword in ("properties", "additionalProperties", "propertyNames"):
            return not _is(value, "object") or self._keys_obey(value, keyword, wanted, schema)
        return keyword in _SILENT or keyword.startswith("x-")

    def _has_format(self, value: object, name: str) -> bool:
        try:
            return self.formats[name](value)
        except ValueError:
            return False

    def _keys_obey(self, value: Mapping[str, Any], keyword: str, wanted: Any, schema: Mapping[str, Any]) -> bool:
        if keyword == "propertyNames":
            return all(self.certain(name, wanted) for name in value)
        if keyword == "properties":
            return all(self.certain(value[name], wanted[name]) for name in value.keys() & wanted.keys())
        others = value.keys() - schema.get("properties", {}).keys()
        return all(wanted is not False and self.certain(value[name], wanted) for name in others)


def _is(value: object, kind: str) -> bool:
    """JSON Schema's types: a boolean is no number, and 4.0 is an integer."""
    if kind == "null":
        return value is None
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer":
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return isinstance(value, _TYPES.get(kind, ()))


def _differ(texts: list[str]) -> bool:
    return len(set(texts)) == len(texts)
