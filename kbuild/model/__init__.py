"""Converted models: `HlsModel`, and what helps to choose their types (`profiling`)."""

from kbuild.api.model import HlsModel
from kbuild.model import profiling

__all__ = ["HlsModel", "profiling"]


def __getattr__(name: str) -> object:
    """What hls4ml has here and kbuild does not, with what to do instead."""
    if name == "optimizer":
        raise AttributeError(
            "kbuild.model has no optimizer: its passes are not chosen. Rounding and saturation are part of a type, "
            "such as ap_fixed<16,6,AP_RND,AP_SAT>; those of quantized models are kept by themselves"
        )
    raise AttributeError(f"module 'kbuild.model' has no attribute {name!r}")
