"""GarNet and GarNetStack, the distance-weighted graph networks of https://arxiv.org/abs/2008.03601.

A vertex v of a graph has features x_v, and a weight exp(-d_va^2) on its edge to each aggregator a, where d = S(x) is a
dense layer. An aggregator collects the mean of FLR(x_v), a dense layer too, by the weights of its edges, and returns it
along them; Fout is a dense layer of what a vertex gets from all aggregators.

Since all that is linear, Fout is applied to the aggregators, before the way back: with aggregators A, features P of
each and outputs F that is A * P * F products, not V * A * P * F. Where the outputs of all vertices are added and
nothing bends them, the weights of the edges are added instead.

There are two classes of this name, that of caloGraphNN and that of hls4ml.contrib, and a file does not tell which it
was. What they do not compute alike is refused.
"""

from __future__ import annotations

import numpy as np

from kbuild.dataclass import dataclass, field
from kbuild.fixed import FloatArray
from kbuild.frontend.keras.config import Config
from kbuild.frontend.keras.handler import Handler, LayerCall
from kbuild.frontend.keras.layers.activation import add_activation, function_name
from kbuild.frontend.keras.layers.qkeras import add_quantized_activation, quantized
from kbuild.frontend.keras.quantizers.qkeras import read_quantizer
from kbuild.frontend.keras.safety import quoted
from kbuild.ir import Node, Op, Shape, Tensor
from kbuild.ops.affine import Affine
from kbuild.ops.concatenate import Concatenate
from kbuild.ops.einsum import Einsum
from kbuild.ops.lut import Lut
from kbuild.ops.merge import Merge
from kbuild.ops.pad import Pad
from kbuild.ops.reduce import Reduce
from kbuild.ops.relu import Relu
from kbuild.ops.repeat import Repeat
from kbuild.ops.reshape import Reshape
from kbuild.ops.step import Step

_TRANSFORMS = ("FLR", "S", "Fout")
_COUNTS = ("n_aggregators", "n_propagate", "n_filters")
_NUMBERED = "xn"  # the input format, where none is given
_PRESENCE = 3  # the feature that is zero where there is no vertex, in the format x
_TERNARY = "ternary(alpha=1.0, threshold=0.5)"
_SAME_TWICE = ("linear", "relu", "relu6")  # activations that change nothing when applied again
_LINEAR = "linear"


@dataclass(frozen=True)
class _Sizes:
    """Of one GarNet: aggregators, features that each of them collects, outputs; `number` is what the names of its parts
    end with."""

    number: str
    aggregators: int
    propagated: int
    outputs: int


@dataclass(frozen=True)
class _Vertices:
    """There: 1 for each vertex that is there, else 0, [V, 1]; the factors of a mean of what is there, none for one of
    all V."""

    there: Node
    factors: tuple[Node, ...] = field(default=())


def _add(call: LayerCall, part: str, op: Op, *inputs: Node) -> Node:
    """A node of a step inside the layer."""
    return call.inner(part).add(op, *inputs)


# ---- settings ----------------------------------------------------------------------------------------------------


def _sizes(config: Config) -> list[_Sizes]:
    """Of a GarNet, or of those of a stack, one after the other."""
    if config.class_name == "GarNet":
        found = [_Sizes("", *(config.integer(key) for key in _COUNTS))]
    else:
        rows = [[n or 0 for n in config.integers(key)] for key in _COUNTS]
        if len({len(row) for row in rows}) > 1 or not rows[0]:
            raise config.error(f"{', '.join(_COUNTS)} have {', '.join(str(len(row)) for row in rows)} numbers")
        found = [_Sizes(str(number), *each) for number, each in enumerate(zip(*rows, strict=True))]
    if any(min(sizes.aggregators, sizes.propagated, sizes.outputs) < 1 for sizes in found):
        raise config.error(f"{', '.join(_COUNTS)} are not all positive")
    return found


def _weights(config: Config) -> tuple[str, ...]:
    parts = [f"{part}{sizes.number}" for sizes in _sizes(config) for part in _TRANSFORMS]
    return tuple(f"{part}_{kind}" for part in parts for kind in ("kernel", "bias"))


def _is_set(config: Config, key: str) -> bool:
    return config.has(key) and config.flag(key, False)


def _check(call: LayerCall) -> None:
    """Refuse what Keras does not compute either, or not sample by sample."""
    config = call.config
    if not _is_set(config, "simplified"):
        raise call.error(
            "simplified is false, with which Keras cannot call the layer either: its kernel Fout has fewer rows than "
            "it is given features; train with simplified=True"
        )
    if config.raw("collapse") not in (None, "mean", "sum", "max"):
        raise call.error(f"collapse is {quoted(config.raw('collapse'))}; there are mean, sum and max")
    if _is_set(config, "mean_by_nvert"):
        if config.text("input_format", _NUMBERED) == "x":
            raise call.error(
                "mean_by_nvert with the input format x divides by the vertices of all samples of a batch together; "
                "use the format xn"
            )
        if config.raw("collapse") == "mean":
            raise call.error(
                "mean_by_nvert with collapse mean divides the last sum by the setting itself, not by the number of "
                "vertices; use collapse sum, or leave mean_by_nvert out"
            )


def _quantizer(config: Config) -> str | None:
    """What quantizes the weights of FLR and the kernel of Fout: by the bits that are given, else caloGraphNN's."""
    if not _is_set(config, "quantize_transforms"):
        return None
    if not config.has("total_bits"):
        return _TERNARY
    return f"quantized_bits({config.integer('total_bits')},{config.integer('int_bits')},0,alpha=1)"


# ---- the graph ---------------------------------------------------------------------------------------------------


def _inputs(call: LayerCall) -> tuple[Node, Node | None]:
    """Features [V, D], and the number of vertices [1] where it is an input."""
    form = call.config.text("input_format", _NUMBERED)
    expected = {"x": 1, "xn": 2, "xen": 3}.get(form)
    if expected is None:
        raise call.error(f"input_format is {quoted(form)}; there are x, xn and xen")
    if len(call.inputs) != expected:
        raise call.error(f"is called with {len(call.inputs)} inputs; the format {form} has {expected}")
    data = call.inputs[0]
    if len(data.shape) != 2:
        raise call.error(f"its first input has the shape {data.shape}, not (vertices, features)")
    if form == "x":
        return data, None
    if form == "xen":
        energies = call.inputs[1]
        if energies.shape not in ((data.shape[0],), (data.shape[0], 1)):
            raise call.error(f"its second input has the shape {energies.shape}; it has one value for each vertex")
        column = _add(call, "features", Reshape((data.shape[0], 1)), energies)
        data = _add(call, "features", Concatenate(1), data, column)
    if call.inputs[-1].shape != (1,):
        raise call.error(f"its last input has the shape {call.inputs[-1].shape}; it is one number of vertices")
    return data, call.inputs[-1]


def _vertices(call: LayerCall, data: Node, number: Node | None) -> _Vertices:
    """Which vertices are there: those whose index is below the number, or whose feature 3 is not zero."""
    count, features = data.shape
    if number is None:
        if features <= _PRESENCE:
            raise call.error(f"has {features} features; in the format x feature {_PRESENCE} tells what is there")
        crop = (0, 0), (-_PRESENCE, _PRESENCE + 1 - features)
        zero, above = 0.0, float(np.nextafter(0.0, 1.0))  # 1 below zero, 0 from zero up, 1 above it
        steps = Step(Tensor(np.array([zero, above])), Tensor(np.array([1.0, 0.0, 1.0])))
        return _Vertices(_add(call, "mask", steps, _add(call, "mask", Pad(crop), data)))
    repeated = _add(call, "mask", Repeat((count,)), number)
    indices = np.arange(count, dtype=np.float64)[:, np.newaxis]
    below = _add(call, "mask", Step(Tensor(indices + 1), Tensor(np.array([0.0, 1.0]))), repeated)
    there = _add(call, "mask", Reshape((count, 1)), below)
    if not _is_set(call.config, "mean_by_nvert"):
        return _Vertices(there)
    total = _add(call, "count", Reduce("sum", (0,), count), there)
    # A power of two and the rest, each a short table: 1 / n as one would lose the bits of the largest n.
    factors = (_add(call, part, Lut(f"reciprocal_{part}"), total) for part in ("significand", "exponent"))
    return _Vertices(there, tuple(factors))


def _dense(call: LayerCall, name: str, source: Node, outputs: int, quantizer: str | None = None) -> Node:
    """A dense layer of each vertex: source [V, D] -> [V, outputs]. One vertex after the other has the multipliers."""
    kernel = _quantized(call, f"{name}_kernel", (source.shape[-1], outputs), quantizer)
    bias = _quantized(call, f"{name}_bias", (outputs,), quantizer)
    return _add(call, name, Einsum("vd,df->vf", Tensor(kernel), Tensor(bias)), source)


def _quantized(call: LayerCall, name: str, shape: Shape, text: str | None) -> FloatArray:
    """A weight, as its quantizer makes it."""
    values = call.weight(name, shape)
    if text is None:
        return values
    quantizer = read_quantizer(_with(call, quantize_transforms=text).config, "quantize_transforms")
    if quantizer is None:
        return values
    largest = np.abs(values).max()
    if text == _TERNARY and largest > 1 and len(shape) > 1:  # QKeras clips its kernels
        raise call.error(
            f"quantize_transforms without total_bits means ternary weights; {name} holds {largest:.3g}, which no "
            "ternary weight is trained to. Save total_bits and int_bits with the layer"
        )
    found, scale = quantized(call, name, quantizer, values)
    return np.asarray(found * scale)


def _with(call: LayerCall, **values: object) -> LayerCall:
    config = call.config
    return call.configured(Config(config.layer, config.class_name, {**config.values, **values}, config.keras))


def _mean(call: LayerCall, part: str, sums: Node, vertices: _Vertices) -> Node:
    """Sums over the vertices [A, P] as means."""
    if vertices.factors:
        return _add(call, part, Merge("multiply"), sums, *vertices.factors)
    one = (1,) * len(sums.shape)
    inverse = np.full(one, 1 / vertices.there.shape[0])
    return _add(call, part, Affine(Tensor(inverse), Tensor(np.zeros(one))), sums)


def _edges(call: LayerCall, data: Node, vertices: _Vertices, sizes: _Sizes) -> Node:
    """The weights of the edges [V, A]: exp(-d * d) of the vertices that are there, 0 of others."""
    distances = _dense(call, f"S{sizes.number}", data, sizes.aggregators)
    lengths = Relu(slope=Tensor(np.full((1, 1), -1.0)))  # so that the table has one side only
    part = f"edges{sizes.number}"
    weights = _add(call, part, Lut("gaussian"), _add(call, part, lengths, distances))
    return _add(call, part, Merge("multiply"), weights, vertices.there)


def _returned(call: LayerCall, data: Node, edges: Node, vertices: _Vertices, sizes: _Sizes) -> Node:
    """What each aggregator returns along an edge of weight 1, after Fout without its bias: [A, F]."""
    text = _quantizer(call.config)
    features = _dense(call, f"FLR{sizes.number}", data, sizes.propagated, text)
    part = f"aggregated{sizes.number}"
    means = _mean(call, part, _add(call, part, Einsum("va,vp->ap"), edges, features), vertices)
    name = f"Fout{sizes.number}"
    rows = sizes.aggregators, sizes.propagated
    kernel = _quantized(call, f"{name}_kernel", (rows[0] * rows[1], sizes.outputs), text)
    return _add(call, name, Einsum("ap,apf->af", Tensor(kernel.reshape(*rows, sizes.outputs))), means)


def _activated(call: LayerCall, source: Node) -> Node:
    """The output activation, in a quantized layer with bits its quantizer."""
    config = call.config
    given = config.raw("output_activation")
    if _quantizer(config) is None:
        name = function_name(call, given)
        if config.class_name == "GarNet" and name not in _SAME_TWICE:
            raise call.error(
                f"output_activation is {name}, which the GarNet of caloGraphNN applies once and that of hls4ml twice; "
                f"use {', '.join(_SAME_TWICE[:-1])} or {_SAME_TWICE[-1]}, or a GarNetStack"
            )
        return add_activation(_with(call, activation=name).on(call.inputs[0]), source)
    if config.has("total_bits"):
        kind = "bits" if given in (None, _LINEAR) else given
        given = f"quantized_{kind}({config.integer('total_bits')}, {config.integer('int_bits')})"
    return add_quantized_activation(_with(call, activation=given).on(call.inputs[0]), source)


def _collapsed(call: LayerCall, operation: str, edges: Node, returned: Node, vertices: _Vertices, bias: Tensor) -> Node:
    """The sum or mean over all vertices of a linear output: that of the edges, and of the vertices that have a bias."""
    count = edges.shape[0]
    weights = _add(call, "edges", Reduce(operation, (0,), count), edges)
    present = _add(call, "mask", Reduce(operation, (0,), count), vertices.there)
    shift = _add(call, "bias", Einsum("n,nf->f", Tensor(bias.floats()[np.newaxis])), present)
    sums = _add(call, "sums", Einsum("a,af->f"), weights, returned)
    return call.add(Merge("add"), sums, shift)


def _build(call: LayerCall) -> Node:
    _check(call)
    config, all_sizes = call.config, _sizes(call.config)
    data, number = _inputs(call)
    vertices = _vertices(call, data, number)
    collapse = config.raw("collapse")
    linear = config.raw("output_activation") in (None, _LINEAR) and _quantizer(config) in (None, _TERNARY)
    for sizes in all_sizes:
        last = sizes is all_sizes[-1]
        edges = _edges(call, data, vertices, sizes)
        returned = _returned(call, data, edges, vertices, sizes)
        bias = Tensor(call.weight(f"Fout{sizes.number}_bias", (sizes.outputs,)))
        if last and linear and collapse in ("mean", "sum"):
            return _collapsed(call, str(collapse), edges, returned, vertices, bias)
        updated = _add(call, f"updated{sizes.number}", Einsum("va,af->vf", bias=bias), edges, returned)
        data = _activated(call, updated)  # vertices that are not there have no edge in what comes next
    if collapse is None:
        return call.add(Merge("multiply"), data, vertices.there)
    masked = _add(call, "masked", Merge("multiply"), data, vertices.there)
    return call.add(Reduce(str(collapse), (0,), masked.shape[0]), masked)


_NOTE = "every input_format and collapse, mean_by_nvert, quantized transforms; simplified=True"

HANDLERS = {
    "GarNet": Handler(_build, f"{_NOTE}; output_activation linear, relu, relu6", _weights),
    "GarNetStack": Handler(_build, f"{_NOTE}; any output_activation", _weights),
}
