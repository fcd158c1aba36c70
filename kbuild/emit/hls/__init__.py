"""HLS C++ for Vivado HLS and Vitis HLS, and the C simulation of any graph."""

from kbuild.emit.hls.project import emit
from kbuild.emit.hls.testbench import vectors

__all__ = ["emit", "vectors"]
