"""Keys of a recipe that are known but not implemented yet: refused by name before anything is built."""

from __future__ import annotations

from kbuild.config.backends import all_backends, find_backend
from kbuild.config.places import Problem, key_text, raise_problems
from kbuild.config.recipe import LayerRules, Recipe


def check_recipe(recipe: Recipe) -> None:
    """Raise RecipeError with a line for each setting that this version of kbuild cannot honour."""
    raise_problems([*_backend(recipe), *_design(recipe), *_layers(recipe)])


def _backend(recipe: Recipe) -> list[Problem]:
    backend = find_backend(recipe.backend)
    if backend is None:
        message = f"the backend {recipe.backend} is not supported yet; there are {', '.join(all_backends())}"
        return [Problem(recipe.at("Backend"), "Backend", message)]
    if recipe.io_type in backend.io_types:
        return []
    able = [name for name, other in all_backends().items() if recipe.io_type in other.io_types]
    remedy = f"write {' or '.join(backend.io_types)}" + (f", or use {' or '.join(able)}" if able else "")
    return [Problem(recipe.at("IOType"), "IOType", f"{recipe.backend} has no {recipe.io_type} yet; {remedy}")]


def _design(recipe: Recipe) -> list[Problem]:
    model = ("HLSConfig", "Model")
    wanted: dict[tuple[str, ...], bool] = {
        (*model, "PipelineStyle"): recipe.hls.pipeline_style not in ("auto", "pipeline"),
        (*model, "PipelineInterval"): recipe.hls.pipeline_interval not in (None, 1),
        (*model, "BramFactor"): recipe.hls.bram_factor is not None,
        **{("Sweep", key_text(axis.key)): True for axis in recipe.sweep},
    }
    message = "this is not supported yet; delete it"
    return [Problem(recipe.at(*path), ".".join(path), message) for path, found in wanted.items() if found]


def _layers(recipe: Recipe) -> list[Problem]:
    hls = recipe.hls
    levels = [hls.model, *hls.layer_type.values(), *hls.layer_name.values()]
    return [problem for rules in levels for problem in _rules(rules)]


def _rules(rules: LayerRules) -> list[Problem]:
    message = "this is not supported yet; delete it"
    problems = []
    if rules.compression is not None and rules.compression.value:
        problems.append(Problem(rules.compression.place, rules.compression.key, message))
    if rules.target_cycles is not None:
        problems.append(Problem(rules.target_cycles.place, rules.target_cycles.key, message))
    return problems
