"""What extensions written for hls4ml import from the module of this name."""

from kbuild.api.extensions import (
    get_weights_data,
    keras_handler,
    parse_default_keras_layer,
    register_keras_v2_layer_handler,
)

__all__ = ["get_weights_data", "keras_handler", "parse_default_keras_layer", "register_keras_v2_layer_handler"]
