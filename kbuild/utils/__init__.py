"""Helpers around a conversion: `config_from_keras_model`, `plot_model`."""

from kbuild.api.generate import config_from_keras_model
from kbuild.api.plot import plot_model

__all__ = ["config_from_keras_model", "plot_model"]
