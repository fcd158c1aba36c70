"""Converted models: `HlsModel`, and what helps to choose their types (`profiling`)."""

from kbuild.api.model import HlsModel

__all__ = ["HlsModel"]
