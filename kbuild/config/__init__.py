"""The recipe: one YAML file, checked as a whole, as frozen dataclasses; and the settings of each layer."""

from kbuild.config.load import load_recipe, mapping_of, recipe_from_dict
from kbuild.config.lock import lock_text
from kbuild.config.parts import Part, Resources, find_part, known_parts
from kbuild.config.places import Place, Problem
from kbuild.config.recipe import (
    Budget,
    Calibration,
    HlsConfig,
    LayerRules,
    Recipe,
    Setting,
    SweepAxis,
    Synthesis,
    Validation,
)
from kbuild.config.settings import LayerInfo, LayerSettings, resolve_settings

__all__ = [
    "Budget",
    "Calibration",
    "HlsConfig",
    "LayerInfo",
    "LayerRules",
    "LayerSettings",
    "Part",
    "Place",
    "Problem",
    "Recipe",
    "Resources",
    "Setting",
    "SweepAxis",
    "Synthesis",
    "Validation",
    "find_part",
    "known_parts",
    "load_recipe",
    "lock_text",
    "mapping_of",
    "recipe_from_dict",
    "resolve_settings",
]
