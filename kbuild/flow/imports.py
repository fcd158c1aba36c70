"""Code of users: the modules of `Imports`, which run only where the user has said so, and installed packages."""

from __future__ import annotations

from pathlib import Path

from kbuild import plugins
from kbuild.config import Recipe
from kbuild.config.places import Problem, raise_problems


def load_imports(recipe: Recipe, allow_code: bool) -> set[Path]:
    """Import the modules of a recipe, and what installed packages offer; return the files of all code of users.

    Raises RecipeError where the recipe has modules and code is not allowed, and for a module that does not load.
    """
    if recipe.imports and not allow_code:
        message = "this is code, and runs only where it is allowed; add --allow-code (in Python allow_code=True)"
        raise_problems([Problem(recipe.at("Imports"), "Imports", message)])
    if recipe.imports or plugins.any_offered():
        from kbuild.frontend.keras.extensions import load_installed, load_module

        load_installed()
        for name in recipe.imports:
            load_module(name, recipe.base_dir)
    return plugins.files()
