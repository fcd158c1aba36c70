"""Whether the recipe's data fit the model and one another: known before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from kbuild.config import Recipe
from kbuild.errors import RecipeError
from kbuild.flow.data import load_labels, load_values
from kbuild.flow.inputs import input_source, labels_source, reference_source
from kbuild.flow.metrics import is_classifier
from kbuild.ir import Graph

if TYPE_CHECKING:
    from kbuild.flow.build import Build


def files_checked(build: Build) -> Mapping[str, str | None]:
    """Digests of the files that `check_data` reads."""
    recipe = build.recipe
    sources = {
        "inputs": input_source(recipe), "reference": reference_source(recipe), "labels": labels_source(recipe),
    }  # fmt: skip
    return {name: build.file(source.path) if source else None for name, source in sources.items()}


def check_data(build: Build) -> None:
    """Raise RecipeError for data that cannot be simulated with, and for a metric that the model does not have."""
    recipe, graph = build.recipe, build.graph("parse")
    check_metric(recipe, graph)
    inputs, reference, labels = input_source(recipe), reference_source(recipe), labels_source(recipe)
    if inputs is None:
        return
    samples = len(load_values(inputs, graph.inputs, "input")[graph.inputs[0].name])
    if reference is not None:
        outputs = load_values(reference, [graph[name] for name in dict.fromkeys(graph.outputs)], "output")
        count = len(outputs[graph.outputs[0]])
        if count != samples:
            raise reference.wrong(f"has {count} samples, the inputs have {samples}")
    if labels is not None:
        load_labels(labels, samples, int(np.prod(graph[graph.outputs[0]].shape)))


def check_metric(recipe: Recipe, graph: Graph) -> None:
    """Raise RecipeError for a Minimum of something that the model does not have, and for labels without classes."""
    wanted = recipe.validation
    classifier = is_classifier([graph[name] for name in graph.outputs])
    if wanted.labels is not None and not classifier:
        place = recipe.at("Validation", "Labels").prefix()
        raise RecipeError(f"{place}Validation.Labels: the model does not have one output of several classes; delete it")
    if wanted.minimum is None:
        return
    place = recipe.at("Validation", "Minimum").prefix()
    if wanted.metric == "accuracy" and wanted.labels is None:
        raise RecipeError(f"{place}Validation.Minimum: accuracy needs the true classes; give Validation.Labels")
    if wanted.metric in ("argmax_agreement", "accuracy") and not classifier:
        raise RecipeError(
            f"{place}Validation.Minimum: {wanted.metric} is for one output of several classes; use Metric: r2"
        )
