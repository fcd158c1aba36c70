"""kbuild: from a trained Keras model to verified FPGA hardware, from one YAML file."""

from kbuild.errors import KbuildError, MissingTool, RecipeError, StageError, UnsupportedModel

__version__ = "0.1.0"

__all__ = ["KbuildError", "MissingTool", "RecipeError", "StageError", "UnsupportedModel", "__version__"]
