"""Which of the recipe's data feed what: calibration, validation, reference, labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kbuild.fixed import FloatArray
from kbuild.flow.data import Source, load_values, random_values

if TYPE_CHECKING:
    from kbuild.config import Recipe
    from kbuild.flow.build import Build
    from kbuild.ir import Graph


def source_of(recipe: Recipe, path: Path, *key: str) -> Source:
    """A file with where the recipe names it."""
    return Source(path, f"{recipe.at(*key).prefix()}{'.'.join(key)}")


def input_source(recipe: Recipe) -> Source | None:
    """The inputs to simulate: Validation.Data, else InputData, else None (random ones)."""
    if recipe.validation.data is not None:
        return source_of(recipe, recipe.validation.data, "Validation", "Data")
    if recipe.input_data is not None:
        return source_of(recipe, recipe.input_data, "InputData")
    return None


def reference_source(recipe: Recipe) -> Source | None:
    """Predictions made elsewhere: Validation.Reference, else OutputPredictions."""
    if recipe.validation.reference is not None:
        return source_of(recipe, recipe.validation.reference, "Validation", "Reference")
    if recipe.output_predictions is not None:
        return source_of(recipe, recipe.output_predictions, "OutputPredictions")
    return None


def labels_source(recipe: Recipe) -> Source | None:
    """True classes."""
    if recipe.validation.labels is None:
        return None
    return source_of(recipe, recipe.validation.labels, "Validation", "Labels")


def calibration_inputs(build: Build) -> dict[str, FloatArray]:
    """Calibration.Data, else InputData, by input node name; empty when there is neither."""
    recipe = build.recipe
    if recipe.calibration.data is not None:
        source = source_of(recipe, recipe.calibration.data, "Calibration", "Data")
    elif recipe.input_data is not None:
        source = source_of(recipe, recipe.input_data, "InputData")
    else:
        return {}
    return load_values(source, build.graph("parse").inputs, "input")


def calibration_ranges(recipe: Recipe, graph: Graph) -> dict[str, tuple[float, float]]:
    """Declared ranges by input node name. Raises RecipeError for a range of something that is no input."""
    from kbuild.errors import RecipeError

    declared = recipe.calibration.ranges
    names = [node.layer.name for node in graph.inputs]
    unknown = [name for name in declared if name and name not in names]
    if unknown:
        place = recipe.at("Calibration", "Ranges", unknown[0]).prefix()
        raise RecipeError(
            f"{place}Calibration.Ranges: the model has no input {', '.join(unknown)}; its inputs are {', '.join(names)}"
        )
    found = {}
    for node in graph.inputs:
        span = declared.get(node.layer.name) or declared.get("")
        if span is not None:
            found[node.name] = span
    return found


def simulation_inputs(build: Build) -> dict[str, FloatArray]:
    """What the engines run on, by input node name."""
    source = input_source(build.recipe)
    graph = build.graph("optimize")
    if source is None:
        return random_values(graph, build.recipe.calibration.ranges)
    return load_values(source, graph.inputs, "input")
