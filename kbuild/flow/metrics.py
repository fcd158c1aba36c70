"""How far the fixed-point results are from the floating-point ones, and what would bring them closer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from kbuild.fixed import FixedType, FloatArray, IntArray, to_float
from kbuild.ir import Graph, Node


def is_classifier(outputs: Sequence[Node]) -> bool:
    """Whether an argmax means something: a single output of more than one value, along its last axis."""
    return len(outputs) == 1 and bool(outputs[0].shape) and outputs[0].shape[-1] > 1


def remakes_input(graph: Graph) -> bool:
    """Whether an output is as large as an input and no softmax: an autoencoder's, whose argmax says nothing."""
    sizes = {math.prod(node.shape) for node in graph.inputs}
    outputs = [graph[name] for name in graph.outputs]
    return any(math.prod(node.shape) in sizes and node.op.kind != "softmax" for node in outputs)


def argmax_agreement(fixed: FloatArray, reference: FloatArray) -> float:
    """Share of the rows whose largest value is the reference's largest one, too.

    Where fixed point makes several values equal, and the reference's largest is among them, the row counts by the
    rule that hardware and NumPy have: the first of them.
    """
    return float(np.mean(np.argmax(fixed, axis=-1) == np.argmax(reference, axis=-1)))


def accuracy(values: FloatArray, labels: IntArray) -> float:
    """Share of the samples whose largest value is that of the true class."""
    return float(np.mean(np.argmax(values.reshape(len(values), -1), axis=1) == labels))


def r2(fixed: FloatArray, reference: FloatArray) -> float:
    """The coefficient of determination of all values; 1 for equal values, 0 for no better than the mean."""
    residual = float(np.sum((fixed - reference) ** 2))
    total = float(np.sum((reference - reference.mean()) ** 2))
    if total == 0.0:
        return 1.0 if residual == 0.0 else 0.0
    return 1.0 - residual / total


def flattened(values: Mapping[str, FloatArray], names: Sequence[str]) -> FloatArray:
    """The values of several outputs side by side: (samples, all values)."""
    return np.concatenate([values[name].reshape(len(values[name]), -1) for name in names], axis=1)


def floats(graph: Graph, values: Mapping[str, IntArray]) -> dict[str, FloatArray]:
    """Integers by node name as the real values they stand for."""
    return {name: to_float(value, graph[name].fixed()) for name, value in values.items()}


def enough_integer_bits(of: FixedType, low: float, high: float) -> int:
    """The integer width (sign bit included) with which low..high would not overflow in a type like `of`."""
    integer = of.integer
    while True:
        wider = FixedType(integer + of.fraction, integer, of.signed, of.quantization, of.overflow)
        smallest, largest = (float(bound) for bound in wider.range)
        if integer + of.fraction >= 1024 or (smallest <= low and high <= largest + float(of.lsb)):
            return integer
        integer += 1


def first_difference(ours: IntArray, theirs: IntArray) -> tuple[tuple[int, ...], int, int] | None:
    """Where two integer arrays differ first (sample first), and both integers; None when they are equal."""
    if ours.shape == theirs.shape and np.array_equal(ours, theirs):
        return None
    ours, theirs = np.broadcast_arrays(ours, theirs)
    place = tuple(int(i) for i in np.argwhere(ours != theirs)[0])
    return place, int(ours[place]), int(theirs[place])


def differing_samples(ours: Mapping[str, IntArray], theirs: Mapping[str, IntArray], names: Sequence[str]) -> int:
    """How many samples differ in any of the values named."""
    wrong = np.zeros(len(ours[names[0]]), dtype=bool)
    for name in names:
        wrong |= (ours[name] != theirs[name]).reshape(len(wrong), -1).any(axis=1)
    return int(wrong.sum())
