"""`kbuild check`: everything that can be known without building."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from kbuild.cli.common import add_allow_code, add_recipe, print_table, shape_text

if TYPE_CHECKING:
    from kbuild.flow.build import Build


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    add_recipe(parser, many=True)
    add_allow_code(parser)


def run(given: argparse.Namespace) -> int:
    """Check each recipe as far as the fixed-point graph and its data; print what the design will be."""
    from kbuild.config import load_recipe
    from kbuild.flow.build import Build

    for path in given.recipe:
        for recipe in load_recipe(path, given.overrides):
            build = Build(recipe, allow_code=given.allow_code)
            with build.cache.in_use():
                _check(build)
    return 0


def _check(build: Build) -> None:
    from kbuild.flow.data_check import check_data
    from kbuild.flow.estimate import estimate
    from kbuild.flow.stages.optimize import STAGE as OPTIMIZE
    from kbuild.flow.stages.validate import STAGE as VALIDATE

    recipe = build.recipe
    check_data(build)
    found = estimate(build.graph("optimize"))
    print(f"{recipe.name}: {recipe.backend}, {recipe.part}, {recipe.io_type}, {recipe.clock_period:g} ns")
    print_table(
        ("layer", "class", "shape", "type", "multiplications", "constant bits"),
        [
            (line.layer, line.class_name, shape_text(line.shape), line.type, line.multiplications, line.constant_bits)
            for line in found.layers
        ],
    )
    print(
        f"{found.multiplications} multiplications a sample, {found.constant_bits} bits of constants, "
        f"inputs of {found.input_bits} bits, outputs of {found.output_bits} bits"
    )
    notes = [line for stage in (VALIDATE, OPTIMIZE) for line in stage.remarks(build.artifact(stage.name))]
    for line in (*notes, *_tools(build)):
        print(line)
    print(f"{recipe.name}: the recipe is right")


def _tools(build: Build) -> list[str]:
    """What would be skipped or would fail for want of a tool."""
    from kbuild.errors import MissingTool
    from kbuild.flow.engines import identities

    found = []
    try:
        identities(build.recipe.backend)
    except MissingTool as error:
        found.append(f"simulate would fail: {error}")
    try:
        reason = build.skip("synthesize")
        if reason is not None:
            found.append(f"synthesize would be skipped: {reason}")
    except MissingTool as error:
        found.append(f"synthesize would fail: {error}")
    return found
