"""The typed graph between the front end and the emitters: nodes, constants, rules, a text form, files."""

from kbuild.ir.graph import Graph, GraphError, Layer, Node, verify
from kbuild.ir.op import Evaluation, Interval, Op, OverflowCount, Shape
from kbuild.ir.tensor import Tensor

__all__ = [
    "Evaluation",
    "Graph",
    "GraphError",
    "Interval",
    "Layer",
    "Node",
    "Op",
    "OverflowCount",
    "Shape",
    "Tensor",
    "verify",
]
