"""From Keras models and recipes to hardware, and handlers of layers that kbuild does not know."""

from kbuild.api.convert import (
    convert_from_config,
    convert_from_keras_model,
    create_config,
    keras_to_hls,
    parse_yaml_config,
)
from kbuild.api.extensions import (
    KerasV3LayerHandler,
    register_keras_v2_layer_handler,
    register_keras_v3_layer_handler,
)
from kbuild.api.handlers import Handler, LayerCall, layer_handler, register_layer_handler, register_operation
from kbuild.converters import keras_v2_to_hls

__all__ = [
    "Handler",
    "KerasV3LayerHandler",
    "LayerCall",
    "convert_from_config",
    "convert_from_keras_model",
    "create_config",
    "keras_to_hls",
    "keras_v2_to_hls",
    "layer_handler",
    "parse_yaml_config",
    "register_keras_v2_layer_handler",
    "register_keras_v3_layer_handler",
    "register_layer_handler",
    "register_operation",
]
