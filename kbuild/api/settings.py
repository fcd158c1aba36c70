"""The settings of a converted model, as given and as resolved."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kbuild.config import LayerSettings, Recipe
from kbuild.config.sweep import split_key

if TYPE_CHECKING:
    from kbuild.api.layers import Layer


class Config:
    """`hls_model.config`."""

    def __init__(self, recipe: Recipe, layers: Mapping[str, LayerSettings]) -> None:
        self.recipe, self._layers = recipe, layers

    @property
    def config(self) -> dict[str, Any]:
        """The recipe as a dictionary: what was given, and the defaults."""
        found: dict[str, Any] = {}
        for key, setting in self.recipe.settings.items():
            *above, last = split_key(key)
            here = found
            for name in above:
                here = here.setdefault(name, {})
            here[last] = setting.value
        return found

    def get_config_value(self, key: str, default: Any = None) -> Any:
        """The value of a key at the top of the recipe."""
        return self.config.get(key, default)

    def get_project_name(self) -> str:
        """`ProjectName`."""
        return self.recipe.project_name

    def get_output_dir(self) -> Path:
        """`OutputDir`, absolute."""
        return self.recipe.output_dir

    def get_layer_settings(self, layer: Layer | str) -> LayerSettings:
        """Every setting of a layer with where it comes from. Raises KeyError."""
        return self._layers[layer if isinstance(layer, str) else layer.name]

    def get_precision(self, layer: Layer | str, variable: str = "result") -> str:
        """The type that the recipe gives to a variable of a layer, `auto` where it is derived."""
        return str(self.get_layer_settings(layer).type_of(variable) or "auto")

    def get_reuse_factor(self, layer: Layer | str) -> int:
        """`ReuseFactor` of a layer."""
        return self.get_layer_settings(layer).reuse_factor.value

    def get_strategy(self, layer: Layer | str) -> str:
        """`Strategy` of a layer."""
        return self.get_layer_settings(layer).strategy.value
