"""Converted models: `HlsModel`, and what helps to choose their types (`profiling`)."""

from kbuild.api.model import HlsModel
from kbuild.model import profiling

__all__ = ["HlsModel", "profiling"]
