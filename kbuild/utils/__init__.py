"""Helpers around a conversion: `config_from_keras_model`, `plot_model`."""

from kbuild.api.generate import config_from_keras_model
from kbuild.api.plot import plot_model
from kbuild.utils import config, plot

__all__ = ["config", "config_from_keras_model", "plot", "plot_model"]
