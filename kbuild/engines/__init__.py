"""Engines: an emitted design, built and run on batches of integers as the emulator runs a graph."""
