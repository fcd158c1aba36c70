"""What values the inputs and the layers take: from calibration data, declared ranges, or the input's type."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from kbuild.emulate import chunks, float_values
from kbuild.fixed import FixedType, FloatArray, Overflow, Quantization, type_for
from kbuild.ir import Graph, Node, Op
from kbuild.ops.contraction import Contraction
from kbuild.ops.gather import Gather, index_type
from kbuild.ops.input import Input
from kbuild.ops.step import Step
from kbuild.ops.walk import compute_float
from kbuild.passes import exactness
from kbuild.passes.context import VALUE_WIDTH, Context
from kbuild.passes.normalized import Bounds, bounds_within, normalized_bounds

if TYPE_CHECKING:
    from kbuild.ops.round import Round

DEFAULT_INPUT = FixedType(16, 6, True, Quantization.RND, Overflow.SAT)
MARGIN = 1.25  # room beyond the largest calibration value: other data will exceed it a little
CALIBRATION_SAMPLES = 4096
CALIBRATION_PRODUCTS = 1 << 31  # so that a large model calibrates in seconds, on fewer samples
SYNTHETIC_SAMPLES = 512
SYNTHETIC_PRODUCTS = 1 << 29  # random inputs teach little: the wider a layer, the fewer of them it needs
LEAST_SAMPLES = 64
_PROBES = 4096  # values of the data that are looked at before all of them


def input_type(graph: Graph, node: Node, context: Context) -> FixedType:
    """The type of a model input: the user's, else that of the quantizer that reads it, else from its data, else from
    its declared range, else its integers, as many as the value width holds, else from what the model normalizes it
    by, else fixed<16,6>; of a quantizer that only rounds, it has the LSB.

    An input of indices, or of a number that is only compared with counts, has the type that holds them all, whichever
    of them are in the data.
    """
    given = context.type_of(node, "result")
    if given is not None:
        return given
    declared = exactness.input_type(graph, node, context)
    if declared is not None:
        return declared
    rows = rows_read(graph, node)
    if rows is not None:
        return index_type(rows)
    rounding = exactness.input_rounding(graph, node, context)
    if rounding is not None:
        return _rounded_type(rounding, node, context)
    data = context.calibration.get(node.name)
    if data is not None and data.size:
        return data_type(data)
    if node.name in context.ranges:
        low, high = context.ranges[node.name]
        return range_type(low, high, VALUE_WIDTH)
    natural = node.op.natural if isinstance(node.op, Input) else None
    if natural is not None:
        width = min(natural.width, VALUE_WIDTH)
        return FixedType(width, width, natural.signed, Quantization.TRN_ZERO, Overflow.SAT)
    bounds = normalized_bounds(graph, node)
    if bounds is not None:
        return range_type(float(bounds[0].min(initial=0)), float(bounds[1].max(initial=0)), VALUE_WIDTH)
    return DEFAULT_INPUT


def is_declared(graph: Graph, node: Node, context: Context) -> bool:
    """Whether a model input has its type from a quantizer."""
    return context.type_of(node, "result") is None and exactness.input_type(graph, node, context) is not None


def _rounded_type(rounding: Round, node: Node, context: Context) -> FixedType:
    """Of an input that is only rounded: the LSB is that of the rounding, or that of the data where it is no finer; the
    integer bits are those of the data, else of the declared range, else of fixed<16,6>. It saturates."""
    fraction, data = rounding.finest, context.calibration.get(node.name)
    mode = rounding.input_mode
    if data is not None and data.size:
        of = data_type(data)
        on_grid = _on_grid(data, of.fraction)
        if on_grid and of.fraction <= fraction:
            return of
        room = 1.0 if on_grid else MARGIN
        low, high = float(data.min()) * room, float(data.max()) * room
    elif node.name in context.ranges:
        low, high = context.ranges[node.name]
    else:
        integer = DEFAULT_INPUT.integer
        return FixedType(max(integer + fraction, 1), integer, True, mode, Overflow.SAT)
    half = 0.5 if mode is Quantization.RND else 0.0
    least, most = (math.floor(math.ldexp(end, fraction) + half) for end in (low, high))
    return type_for(min(least, 0), max(most, 0), fraction).with_modes(mode, Overflow.SAT)


def rows_read(graph: Graph, node: Node) -> int | None:
    """One more than the largest number that matters of a value that is only an index of tables, or compared with
    positive whole numbers; None where it has another use."""
    found = 0
    for user in graph.users[node.name]:
        moved = user.op.kind in ("identity", "reshape", "transpose", "repeat") and user.name not in graph.outputs
        rows = numbers(user.op) or (rows_read(graph, user) if moved else None)
        if rows is None:
            return None
        found = max(found, rows)
    return found or None


def numbers(op: Op) -> int | None:
    """How many whole numbers from 0 on an op tells apart, as an index or by comparing with each; None for others."""
    if isinstance(op, Gather):
        return op.rows
    if not isinstance(op, Step):
        return None
    counts = op.thresholds.floats()
    whole = np.array_equal(counts, np.floor(counts)) and counts.min() >= 1
    return int(counts.max()) + 1 if whole else None


def data_type(data: FloatArray) -> FixedType:
    """The smallest type, of at most the value width, for the values themselves.

    Data on a coarse grid (pixels, counts) keep exactly that grid; others get all fraction bits that fit.
    """
    low, high = float(data.min()), float(data.max())
    fraction = _exact_fraction(data)
    if fraction is not None:
        exact = type_for(int(np.ldexp(low, fraction)), int(np.ldexp(high, fraction)), fraction)
        if exact.width <= VALUE_WIDTH:
            return exact.with_modes(Quantization.RND, Overflow.SAT)
    return range_type(low * MARGIN, high * MARGIN, VALUE_WIDTH)


def _exact_fraction(data: FloatArray) -> int | None:
    """The least number of fraction bits that all the values need, if at most the value width."""
    some = data.reshape(-1)[:: max(data.size // _PROBES, 1)]  # which rule out most of the fractions
    return next(
        (f for f in range(-VALUE_WIDTH, VALUE_WIDTH + 1) if _on_grid(some, f) and _on_grid(data, f)),
        None,
    )


def _on_grid(data: FloatArray, fraction: int) -> bool:
    scaled = np.ldexp(data, fraction)
    return bool(np.abs(scaled).max() < 2.0**VALUE_WIDTH) and np.array_equal(scaled, np.floor(scaled))


def range_type(low: float, high: float, width: int) -> FixedType:
    """The type of this width with the finest LSB that holds low..high; rounds to nearest and saturates."""
    signed = low < 0
    integer = integer_bits(low, high)
    return FixedType(width, integer, signed, Quantization.RND, Overflow.SAT)


def integer_bits(low: float, high: float) -> int:
    """The least number of integer bits, the sign included where low < 0, such that low..high is in range."""
    largest = max(abs(low), abs(high), 2.0**-64)
    bits = int(np.frexp(largest)[1])  # largest < 2**bits
    return bits + (1 if low < 0 else 0)


def synthetic_inputs(
    graph: Graph, bounds: Mapping[str, Bounds], samples: int, seed: int = 0
) -> dict[str, FloatArray]:
    """Seeded uniform samples of each input within the bounds of its elements, by input node name."""
    rng = np.random.default_rng(seed)
    return {
        node.name: rng.uniform(bounds[node.name][0], bounds[node.name][1], (samples, *node.shape))
        for node in graph.inputs
    }


def input_bounds(graph: Graph, node: Node, of: FixedType, context: Context) -> Bounds:
    """The ranges that elements of an input are assumed to have: declared, or as the model normalizes them, or that of
    its type."""
    declared = context.ranges.get(node.name)
    if declared is None:
        return bounds_within(graph, node, of)
    return np.full(node.shape, declared[0]), np.full(node.shape, declared[1])


def observed(graph: Graph, types: Mapping[str, FixedType], context: Context) -> dict[str, tuple[float, float]]:
    """Smallest and largest float64 value of each node over the calibration data, or over synthetic inputs without it.

    `types` are the types of the inputs. Where data are missing for some inputs, all are synthetic.
    """
    if all(node.name in context.calibration for node in graph.inputs):
        inputs = _spread({node.name: context.calibration[node.name] for node in graph.inputs},
                         _affordable(graph, CALIBRATION_SAMPLES, CALIBRATION_PRODUCTS))  # fmt: skip
    else:
        bounds = {node.name: input_bounds(graph, node, types[node.name], context) for node in graph.inputs}
        inputs = synthetic_inputs(graph, bounds, _affordable(graph, SYNTHETIC_SAMPLES, SYNTHETIC_PRODUCTS))
    found: dict[str, tuple[float, float]] = {}
    for chunk in chunks(graph, inputs):
        for name, value in _everywhere(graph, chunk):
            low, high = found.get(name, (np.inf, -np.inf))
            found[name] = min(low, float(value.min())), max(high, float(value.max()))
    return found


def _everywhere(graph: Graph, inputs: Mapping[str, FloatArray]) -> Iterator[tuple[str, FloatArray]]:
    """Name and float64 value of every node, and of those inside of nodes in every step."""
    inside: list[tuple[str, FloatArray]] = []

    def compute(node: Node, arguments: Sequence[FloatArray]) -> FloatArray:
        if node.op.kind == "scan":
            from kbuild.ops.scan import Scan

            assert isinstance(node.op, Scan)
            inside.extend(node.op.values_inside(arguments))
        return compute_float(node, arguments)

    for found in float_values(graph, inputs, compute):
        yield found
        yield from inside
        inside.clear()


def _spread(data: Mapping[str, FloatArray], wanted: int) -> dict[str, FloatArray]:
    """About `wanted` samples from all over the data: data are often sorted."""
    step = max(min(len(x) for x in data.values()) // wanted, 1)
    return {name: x[::step] for name, x in data.items()}


def _affordable(graph: Graph, most: int, products: int) -> int:
    """How many samples, `most` at most, a model of this size runs on within so many products."""
    each = sum(n.op.terms * math.prod(n.shape) for n in graph.everywhere() if isinstance(n.op, Contraction))
    return max(min(most, products // max(each, 1)), LEAST_SAMPLES)
