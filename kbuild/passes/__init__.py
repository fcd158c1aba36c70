"""Rewrites of the graph, one file each; `pipeline.py` has their order."""
