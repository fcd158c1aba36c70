"""HLS C++ for Vivado HLS and Vitis HLS, and the C simulation of any graph."""
