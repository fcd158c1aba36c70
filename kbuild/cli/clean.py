"""`kbuild clean`: remove what a build left in OutputDir."""

from __future__ import annotations

import argparse

from kbuild.cli.common import add_recipe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    add_recipe(parser, many=True)


def run(given: argparse.Namespace) -> int:
    """Remove kbuild's files; say what stays because it is not kbuild's."""
    from kbuild.config import load_recipe
    from kbuild.errors import RecipeError
    from kbuild.flow.output import LOCK_FILE, Output

    for path in given.recipe:
        for recipe in load_recipe(path, given.overrides):
            output = Output(recipe.output_dir)
            if not output.folder.exists():
                print(f"{recipe.name}: {output.folder} is not there")
            elif not (output.folder / LOCK_FILE).is_file() and not output.entries():
                raise RecipeError(f"{output.folder} has no {LOCK_FILE}, so kbuild did not make it; nothing is removed")
            else:
                left = output.remove()
                kept = f"; {len(left)} files that kbuild did not write stay, e.g. {left[0]}" if left else ""
                print(f"{recipe.name}: {output.folder} is clean{kept}")
    return 0
