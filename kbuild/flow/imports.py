"""`Imports`: modules with handlers of layers, whose code runs only where the user has said so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kbuild.config import Recipe
from kbuild.config.places import Problem, raise_problems


def load_imports(recipe: Recipe, allow_code: bool) -> list[Path]:
    """Import the modules of a recipe; return those of their files that lie beside it.

    Raises RecipeError where the recipe has some and code is not allowed, and for a module that does not load.
    """
    if not recipe.imports:
        return []
    if not allow_code:
        message = "this is code, and runs only where it is allowed; add --allow-code (in Python allow_code=True)"
        raise_problems([Problem(recipe.at("Imports"), "Imports", message)])
    from kbuild.frontend.keras.extensions import load_module

    for name in recipe.imports:
        load_module(name, recipe.base_dir)
    return list(_own_files(recipe))


def _own_files(recipe: Recipe) -> Iterator[Path]:
    for name in recipe.imports:
        path = recipe.base_dir.joinpath(*name.split(".")).with_suffix(".py")
        if path.is_file():
            yield path
