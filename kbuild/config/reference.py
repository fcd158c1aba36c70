"""docs/recipe.md from the schema: `python -m kbuild.config.reference > docs/recipe.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from kbuild.config.places import KeyPath, key_text
from kbuild.config.schema import Schema, as_typed, canonical_keys, properties, recipe_schema, resolved

_INTRODUCTION = """\
# The recipe

<!-- Generated from schemas/recipe.schema.json by `python -m kbuild.config.reference`; edit the schema instead. -->

A recipe is one YAML file. Paths in it are relative to the file. The smallest recipe names a model:

```yaml
KerasH5: model.h5
```

The keys are those of hls4ml's configuration files, with a few more, so that an existing file works as it is. A key
or a value that is not known, a file that is missing, a part that the backend cannot target: every mistake in the file
is reported at once, each with its line and column, and nothing is built.

Several documents in one file (`---` between them) are several recipes. Anchors, aliases and merge keys (`<<`) work; a
key given twice is an error. Where case is the only difference, enumerated values are understood.
`kbuild build recipe.yml --set HLSConfig.Model.ReuseFactor=4` replaces one value for one run.
"""

_LEVELS = """\
Settings are resolved once for each layer: what is said under `LayerName` wins over `LayerType`, that over `Model`, and
that over the default. Within one level a variable named in `Precision` wins over the type given for all; a type given
for all at a stronger level wins over a variable named at a weaker one. A layer type is the Keras class name, or a more
general one, over which it wins: a `QDense` and a `QBatchNormDense` are `Dense` too. An activation fused into a layer,
such as the `relu` of `fc1`, is a layer of its own with the name `fc1_relu`; `fc1_linear` is `fc1` where it has none.
A step inside a `GarNet` is a layer of its own too, such as `gar_1_edges` (`kbuild show` lists them); types under
`LayerType` and `Model` are for its weights only, and its values have types of their own unless it is named.

The spellings of older files are understood under a layer's name or type: `table_size` for `TableSize`, `exp_table_t`
for `Precision.exp_table`, and so on for every key and variable. There `Strategy: Stable` of a softmax means its
`Implementation`.
"""


def reference() -> str:
    """The whole page as Markdown."""
    root = resolved(recipe_schema())
    lines = [_INTRODUCTION, "## Keys", "", *_table(root, ()), ""]
    for path, schema in _sections(root, ()):
        lines += [f"## {key_text(path)}", "", _sentence(schema), ""]
        if path == ("HLSConfig",):
            lines += [_LEVELS]
        lines += [*_table(schema, path), ""]
    return "\n".join(lines).rstrip() + "\n"


def _sections(schema: Schema, path: KeyPath) -> Iterator[tuple[KeyPath, Schema]]:
    """Every mapping of the recipe, outermost first; a layer's settings once."""
    for name in canonical_keys(schema):
        inner = resolved(properties(schema)[name])
        here = (*path, name)
        if properties(inner):
            yield here, inner
            yield from _sections(inner, here)
        elif name == "LayerName":
            yield (*here, "NAME"), resolved(inner["additionalProperties"])


def _table(schema: Schema, path: KeyPath) -> list[str]:
    rows = ["| key | value | default | meaning |", "| --- | --- | --- | --- |"]
    for name in canonical_keys(schema):
        sub = resolved(properties(schema)[name])
        cells = (_key(name, schema), _value(sub), _default(sub), _meaning(name, sub, path))
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return rows


def _key(name: str, schema: Schema) -> str:
    others = [other for other, sub in properties(schema).items() if sub.get("x-means") == name and other[0].isupper()]
    return f"`{name}`" + (f" (also {_code(others)})" if others else "")


def _value(schema: Schema) -> str:
    if "enum" in schema:
        return _code(as_typed(word) for word in schema["enum"])
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    words = {
        "string": {"path": "path", "precision": "type", "percent": "percentage"}.get(schema.get("format", ""), "text"),
        "integer": "whole number" + _bounds(schema),
        "number": "number" + _bounds(schema),
        "boolean": "`true` or `false`",
        "object": "mapping",
        "array": "list",
    }
    return " or ".join(words[kind] for kind in kinds if kind != "null")


def _bounds(schema: Schema) -> str:
    if "exclusiveMinimum" in schema:
        return f" > {schema['exclusiveMinimum']}"
    if "minimum" in schema:
        return f" {schema['minimum']} … {schema['maximum']}"
    return ""


def _default(schema: Schema) -> str:
    if "x-default" in schema:
        return str(schema["x-default"])
    by_backend: dict[str, list[str]] = {}
    for backend, value in schema.get("x-defaultByBackend", {}).items():
        by_backend.setdefault(as_typed(value), []).append(backend)
    parts = [f"{', '.join(backends)}: `{value}`" for value, backends in by_backend.items()]
    if schema.get("default") is not None:
        parts.append(("others: " if parts else "") + f"`{as_typed(schema['default'])}`")
    return "; ".join(parts)


def _meaning(name: str, schema: Schema, path: KeyPath) -> str:
    text = _sentence(schema)
    if properties(schema):
        section = ("HLSConfig", "Model", name) if path[-1:] == ("NAME",) else (*path, name)
        return f"{text} See [{key_text(section)}](#{_anchor(section)})."
    if name in ("LayerName", "LayerType") and path == ("HLSConfig",):
        layer = ("HLSConfig", "LayerName", "NAME")
        return f"{text} See [a layer's settings](#{_anchor(layer)})."
    examples = schema.get("examples")
    return f"{text} Example: `{as_typed(examples[0])}`." if examples and "enum" not in schema else text


def _sentence(schema: Schema) -> str:
    text = str(schema["description"])
    text = text[0].upper() + text[1:]
    return text if text.endswith(".") else text + "."


def _anchor(path: KeyPath) -> str:
    """The anchor that Markdown renderers make of a heading: lower case, letters, digits and dashes."""
    return "".join(sign for sign in key_text(path).lower() if sign.isalnum() or sign in "-_")


def _code(words: Any) -> str:
    return " ".join(f"`{word}`" for word in words)


if __name__ == "__main__":
    sys.stdout.write(reference())
