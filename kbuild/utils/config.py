"""What code written for hls4ml imports from the module of this name."""

from kbuild.api.convert import create_config
from kbuild.api.generate import config_from_keras_model

__all__ = ["config_from_keras_model", "create_config"]
