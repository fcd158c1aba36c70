"""What code written for hls4ml imports from the module of this name."""

from kbuild.api.plot import plot_model

__all__ = ["plot_model"]
