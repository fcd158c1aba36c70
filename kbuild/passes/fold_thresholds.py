"""Fold a scale-and-shift (BatchNormalization) into the thresholds of the step function after it.

`x * scale + bias >= t` is `x >= (t - bias) / scale`, or `<=` where the scale is negative: then the values are in the
opposite order. Nothing is rounded on the way, so this only makes the result more exact.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from kbuild.dataclass import replace
from kbuild.fixed import FloatArray
from kbuild.ir import Graph, Node, Tensor
from kbuild.ops.affine import Affine
from kbuild.ops.step import Step
from kbuild.passes.context import Context


def run(graph: Graph, context: Context) -> Graph:
    """The graph with one node, under the name of the step function, in place of each pair."""
    for name in [node.name for node in graph]:
        node = graph[name]
        if isinstance(node.op, Step) and node.op.thresholds.type is None:
            source = graph[node.inputs[0]]
            alone = len(graph.users[source.name]) == 1 and source.name not in graph.outputs
            automatic = all(context.type_of(source, variable) is None for variable in source.op.variables)
            if isinstance(source.op, Affine) and alone and automatic:
                graph = _folded(graph, source, source.op, node, node.op)
    return graph


def _folded(graph: Graph, source: Node, affine: Affine, node: Node, step: Step) -> Graph:
    scale, bias = np.broadcast_arrays(affine.scale.floats(), affine.bias.floats())
    outer = np.broadcast_shapes(scale.shape, step.thresholds.shape[:-1])
    scale, bias = np.broadcast_to(scale, outer)[..., None], np.broadcast_to(bias, outer)[..., None]
    bounds = np.broadcast_to(step.thresholds.floats(), (*outer, step.thresholds.shape[-1]))
    values = np.broadcast_to(step.values.data, (*outer, step.values.shape[-1]))
    thresholds, swapped = _divided(bounds, scale, bias)
    turned = np.where(scale < 0, values[..., ::-1], values)
    always = np.take_along_axis(values, (bias >= bounds).sum(axis=-1, keepdims=True), axis=-1)
    turned = np.where(scale == 0, always, turned)
    op = Step(Tensor(np.where(scale < 0, swapped, thresholds)), Tensor(turned, step.values.type))
    result = replace(node, op=op, inputs=source.inputs)
    return graph.with_nodes(result if n.name == node.name else n for n in graph if n.name != source.name)


def _divided(bounds: FloatArray, scale: FloatArray, bias: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The thresholds for positive scales, and for negative ones: there x <= t, which is not x >= (the next after t).

    A quotient that is no float is rounded away from the inputs that reach it: no float lies in between. A threshold may
    be the least float above a number, which a rounding to nearest would lose.
    """
    above, below = np.empty(bounds.shape), np.empty(bounds.shape)
    for place, (bound, factor, shift) in enumerate(np.broadcast(bounds, scale, bias)):
        if factor == 0:
            quotient = Fraction(0)
        else:
            quotient = (Fraction(float(bound)) - Fraction(float(shift))) / Fraction(float(factor))
        nearest = float(quotient)
        above.flat[place] = nearest if Fraction(nearest) >= quotient else np.nextafter(nearest, np.inf)
        below.flat[place] = nearest if Fraction(nearest) <= quotient else np.nextafter(nearest, -np.inf)
    return above, np.nextafter(below, np.inf)[..., ::-1]
