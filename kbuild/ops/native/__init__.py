"""Sums of products in compiled kernels: what they may compute, how operands are laid out, how they are called.

The kernels are `backends/emulator/kernels.cpp`. They are an acceleration: what they return equals what NumPy returns.
"""
