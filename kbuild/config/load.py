"""Recipe file or dictionary → `Recipe`, with every error of it at once."""

from __future__ import annotations

import math
import numbers
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kbuild.config.build import build_recipe, output_dir, recipe_name
from kbuild.config.checks import semantic_problems, shared_output_problems
from kbuild.config.messages import schema_problems
from kbuild.config.places import KeyPath, Place, Problem, raise_problems
from kbuild.config.recipe import Recipe
from kbuild.config.schema import Schema, properties, recipe_schema, resolved
from kbuild.config.spelling import normalise
from kbuild.config.sweep import apply_overrides
from kbuild.config.yaml_positions import MAX_BYTES, MAX_DEPTH, Document, parse_documents, read_text


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> list[Recipe]:
    """The recipes of a YAML file, one for each document.

    `overrides` are `key.path=value` strings (the value is YAML), applied to every document before it is checked.
    Raises `RecipeError` with all errors of the file, a line each: `file:line:column: key.path: what; remedy`.
    """
    path = Path(path)
    label = str(path)
    text = read_text(_read(path, label), label)
    problems: list[Problem] = []
    documents = parse_documents(text, label, problems)
    base_dir = Path(os.path.abspath(path)).parent
    for document in documents:
        apply_overrides(document, overrides, problems)
        problems += check_document(document, base_dir)
    if not problems:
        problems += shared_output_problems([(document, output_dir(document.data, base_dir)) for document in documents])
    raise_problems(problems)
    name = recipe_name(Path(os.path.abspath(path)))
    names = [name] if len(documents) == 1 else [f"{name}-{number}" for number in range(1, len(documents) + 1)]
    return [
        build_recipe(document, base_dir, own_name, path, None)
        for document, own_name in zip(documents, names, strict=True)
    ]


def recipe_from_dict(mapping: Mapping[str, Any], base_dir: Path) -> Recipe:
    """The recipe that a dictionary of the same keys describes; paths are relative to `base_dir`.

    A value of None is as if it were not given. A `KerasModel` that is no path is a live model and is kept as it is.
    Raises `RecipeError` as `load_recipe` does; errors name the key path alone.
    """
    base_dir = Path(os.path.abspath(base_dir))
    model = mapping.get("KerasModel")
    live = model is not None and not isinstance(model, (str, os.PathLike))
    skipped = {"KerasModel"} if live else set()
    given = {str(key): value for key, value in mapping.items() if value is not None and key not in skipped}
    document = Document("", {}, Place())
    document.data = _plain(given, document, ())
    problems: list[Problem] = []
    normalise(document, problems)
    raise_problems([*problems, *check_document(document, base_dir, live)])
    return build_recipe(document, base_dir, _dict_name(document), None, model if live else None)


def mapping_of(path: Path) -> dict[str, Any]:
    """The keys of a YAML file with one document, unchecked, in their canonical spelling and with absolute paths.

    `recipe_from_dict` takes it. Raises `RecipeError` for a file that is no such YAML.
    """
    path, problems = Path(path), list[Problem]()
    documents = parse_documents(read_text(_read(path, str(path)), str(path)), str(path), problems)
    if not problems and len(documents) != 1:
        problems.append(Problem(Place(str(path)), "", f"the file holds {len(documents)} recipes; give a file with one"))
    raise_problems(problems)
    folder = Path(os.path.abspath(path)).parent
    found: dict[str, Any] = _with_absolute_paths(documents[0].data, resolved(recipe_schema()), folder)
    return found


def _with_absolute_paths(value: Any, schema: Schema, folder: Path) -> Any:
    if isinstance(value, str) and schema.get("format") == "path":
        return str(folder / value)
    if isinstance(value, dict):
        steps = {key: properties(schema).get(key, schema.get("additionalProperties")) for key in value}
        known = {key: resolved(step) if isinstance(step, dict) else {} for key, step in steps.items()}
        return {key: _with_absolute_paths(inner, known[key], folder) for key, inner in value.items()}
    return value


def check_document(document: Document, base_dir: Path, live: bool = False) -> list[Problem]:
    """Everything that is wrong with a document in its canonical spelling."""
    found, wrong = schema_problems(document)
    return [*found, *semantic_problems(document, base_dir, wrong, live)]


def _dict_name(document: Document) -> str:
    name = document.data.get("ProjectName")
    return name if isinstance(name, str) else "myproject"


def _read(path: Path, label: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        message = "there is no such file; write the path of a recipe, or make one with kbuild init"
    except IsADirectoryError:
        message = "this is a folder; write the path of the recipe in it"
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "unusable path"
        message = f"the file cannot be read ({reason}); check its permissions"
    raise_problems([Problem(Place(label), "", message)])
    raise AssertionError


def _plain(value: Any, document: Document, path: KeyPath) -> Any:
    """Python objects → what YAML could have given; anything else becomes its text, which no key accepts."""
    if path:
        document.values[path] = Place()
    if len(path) > MAX_DEPTH:
        raise_problems([Problem(Place(), "", f"values are nested more than {MAX_DEPTH} deep; a recipe needs 6")])
    if isinstance(value, Mapping):
        return {str(key): _plain(inner, document, (*path, str(key))) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner, document, (*path, index)) for index, inner in enumerate(value)]
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real) and math.isfinite(value):
        return float(value)
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)
