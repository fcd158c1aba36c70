"""From Keras models and recipes to hardware: `convert_from_keras_model`, `convert_from_config`."""

from kbuild.api.convert import convert_from_config, convert_from_keras_model

__all__ = ["convert_from_config", "convert_from_keras_model"]
