"""Keys of hls4ml's files that are read, checked, and used by no backend that is here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kbuild.config.recipe import Recipe
from kbuild.config.schema import Schema, properties, recipe_schema, resolved


def remarks(recipe: Recipe) -> tuple[str, ...]:
    """A sentence about those that ask for something: a value that is the default asks for nothing."""
    found = list(_asking(recipe.vendor, resolved(recipe_schema())))
    if not found:
        return ()
    return (f"{', '.join(found)} {'has' if len(found) == 1 else 'have'} no effect with Backend: {recipe.backend}",)


def _asking(given: Mapping[str, Any], schema: Schema, before: str = "") -> Iterator[str]:
    for key, value in given.items():
        known = resolved(properties(schema).get(key, {}))
        if isinstance(value, Mapping):
            yield from _asking(value, known, f"{before}{key}.")
        elif value is not None and value != known.get("default"):
            yield f"{before}{key}"
