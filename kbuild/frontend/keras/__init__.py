"""Saved Keras models → float graph. Reads `.h5`, `.json` with `.h5`, and `.keras`, without Keras."""

from kbuild.frontend.keras.layers import Support, supported_layers
from kbuild.frontend.keras.reader import read_model

__all__ = ["Support", "read_model", "supported_layers"]
