"""What extensions written for hls4ml import from the module of this name, which there is a function as well."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from kbuild.api.convert import keras_to_hls
from kbuild.api.extensions import (
    get_weights_data,
    keras_handler,
    parse_default_keras_layer,
    register_keras_v2_layer_handler,
)
from kbuild.api.model import HlsModel

__all__ = ["get_weights_data", "keras_handler", "parse_default_keras_layer", "register_keras_v2_layer_handler"]


class _Function(ModuleType):
    def __call__(self, config: Mapping[str, Any]) -> HlsModel:
        return keras_to_hls(config)


sys.modules[__name__].__class__ = _Function
