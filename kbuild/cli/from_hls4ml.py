"""`kbuild init --from-hls4ml`: a configuration of hls4ml as a recipe, and what was wrong in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kbuild.config import recipe_from_dict
from kbuild.config.capability import check_recipe
from kbuild.config.checks import semantic_problems
from kbuild.config.messages import schema_problems
from kbuild.config.places import KeyPath, Problem, key_text, raise_problems
from kbuild.config.schema import properties, recipe_schema, resolved
from kbuild.config.spelling import normalise
from kbuild.config.yaml_positions import Data, Document, parse_documents, read_text
from kbuild.errors import RecipeError

_UNUSED = ("Version", "Stamp")


def rewritten(old: Path, folder: Path) -> tuple[str, list[str]]:
    """The recipe's text, with paths relative to `folder`, and a sentence for each thing that was changed or is wrong.

    What the schema refuses is left out. Raises RecipeError for a file that is no configuration at all.
    """
    document, problems = _read(old)
    remarks = [problem.line() for problem in problems]
    for new, typed in document.written.items():
        if typed != new and _value(document.data, new) is not None:
            remarks.append(f"{key_text(typed)} is written {key_text(new)}")
    for _ in range(2):  # a mapping that is left without what was wrong in it may be wrong itself
        found, wrong = schema_problems(document)
        remarks += [f"{problem.line()} (left out)" for problem in found]
        for path in [*wrong, *_unknown(document.data, resolved(recipe_schema()), ())]:
            _remove(document.data, path)
    remarks += [f"{p.line()} (still so)" for p in semantic_problems(document, old.absolute().parent, set(), False)]
    for key in _UNUSED:
        document.data.pop(key, None)
    remarks += [f"{line} (still so)" for line in _unsupported(document.data, old.absolute().parent)]
    _relocate(document.data, resolved(recipe_schema()), old.absolute().parent, folder)
    return _text(old, document.data), list(dict.fromkeys(remarks))


def _unsupported(data: Data, folder: Path) -> list[str]:
    """What kbuild knows and cannot do yet; nothing where the recipe is wrong in another way."""
    try:
        recipe = recipe_from_dict(data, folder)
    except RecipeError:
        return []
    try:
        check_recipe(recipe)
    except RecipeError as error:
        return str(error).splitlines()
    return []


def _read(old: Path) -> tuple[Document, list[Problem]]:
    try:
        raw = old.read_bytes()
    except OSError as error:
        raise RecipeError(f"{old}: the file cannot be read ({error.strerror})") from error
    problems: list[Problem] = []
    documents = parse_documents(read_text(raw, str(old)), str(old), problems)
    if len(documents) != 1:
        raise_problems(problems)
        raise RecipeError(f"{old}: the file holds {len(documents)} configurations; give a file with one")
    normalise(documents[0], problems)
    return documents[0], problems


def _unknown(data: Data, schema: Any, path: KeyPath) -> Iterator[KeyPath]:
    """Paths of keys that the schema does not know."""
    for name, value in data.items():
        step = properties(schema).get(name, schema.get("additionalProperties"))
        if not isinstance(step, dict):
            yield (*path, name)
        elif isinstance(value, dict):
            yield from _unknown(value, resolved(step), (*path, name))


def _value(data: Any, path: KeyPath) -> Any:
    for part in path:
        data = data.get(part) if isinstance(data, dict) else None
    return data


def _remove(data: Data, path: KeyPath) -> None:
    above = _value(data, path[:-1])
    if isinstance(above, dict):
        above.pop(str(path[-1]), None)


def _relocate(data: Data, schema: Any, old: Path, new: Path) -> None:
    """Paths relative to one folder → relative to another."""
    for name, value in data.items():
        step = resolved(properties(schema).get(name, {}))
        if isinstance(value, dict):
            _relocate(value, step, old, new)
        elif isinstance(value, str) and step.get("format") == "path":
            data[name] = Path(os.path.relpath(old / value, new)).as_posix()


def _text(old: Path, data: Data) -> str:
    import yaml

    head = f"# From {old.name}. Paths are relative to this file. `kbuild check` says whether it is right.\n"
    return head + str(yaml.safe_dump(data, sort_keys=False, allow_unicode=True))
