"""Figures that show whether a model's types fit: `numerical`, `compare`, and `get_ymodel_keras`."""

from kbuild.api.profiling import compare, get_ymodel_keras, numerical

__all__ = ["compare", "get_ymodel_keras", "numerical"]
