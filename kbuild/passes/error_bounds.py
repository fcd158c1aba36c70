"""How far each operation of a fixed graph may be from what it stands for, on the same inputs.

Where a model is kept exact, most are not off at all. The others are those of real functions, of float constants without
a short binary form, and results of more bits than are kept. A bound is in the unit of the values; it holds as long as
none of them leaves the range of its type, which the simulation counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from kbuild.dataclass import dataclass
from kbuild.fixed import FixedType, FloatArray, IntArray, Quantization, to_float
from kbuild.ir import Graph, Interval, Layer, Node, Op, OverflowCount, Tensor
from kbuild.ops.affine import Affine
from kbuild.ops.constant import Constant
from kbuild.ops.contraction import Contraction
from kbuild.ops.einsum import Einsum
from kbuild.ops.gather import Gather
from kbuild.ops.lookup import centers
from kbuild.ops.lut import GIVEN, Lut
from kbuild.ops.quantize import Quantize
from kbuild.ops.relu import Relu
from kbuild.ops.rnn import Recurrent
from kbuild.ops.round import Round
from kbuild.ops.scan import Scan
from kbuild.ops.softmax import Softmax
from kbuild.ops.step import Step
from kbuild.passes.resolve_precision import after_cast, type_interval
from kbuild.passes.softmax_tables import Exponents, Refined

_FLOOR = (Quantization.TRN, Quantization.TRN_ZERO)
_ALL = 1 << 16  # inputs of a table that are all tried; of more, so many in each cell
_IN_CELL = 16
_OUTSIDE = 1024


@dataclass(frozen=True)
class Inexact:
    """A node that is not exact, why, and a bound on the error that it adds; None where no bound is derived."""

    node: Node
    reason: str
    bound: float | None


@dataclass(frozen=True)
class Source:
    """An input of a node, and bounds of its values."""

    node: Node
    interval: Interval

    @property
    def type(self) -> FixedType:
        """The type of its values."""
        return self.node.fixed()

    @property
    def largest(self) -> float:
        """The largest magnitude."""
        return float(max(np.abs(self.interval.low).max(initial=0.0), np.abs(self.interval.high).max(initial=0.0)))

    @property
    def ends(self) -> tuple[int, int]:
        """The first and the last integer."""
        of, (low, high) = self.type, (self.interval.low.min(initial=0.0), self.interval.high.max(initial=0.0))
        first, last = (float(end) * 2.0**of.fraction for end in (low, high))
        return max(math.floor(first), of.min), min(math.ceil(last), of.max)


def sentences(found: Sequence[Inexact]) -> tuple[str, ...]:
    """What to tell of each layer with nodes that are not exact."""
    layers: dict[Layer, list[Inexact]] = {}
    for one in found:
        layers.setdefault(one.node.layer, []).append(one)
    return tuple(_sentence(layer, ones) for layer, ones in layers.items())


def _sentence(layer: Layer, found: list[Inexact]) -> str:
    reasons = ", ".join(dict.fromkeys(one.reason for one in found))
    bounds = [one.bound for one in found if one.bound is not None]
    within = f"it is within {max(bounds):.3g} of the exact value" if bounds else "no bound is known"
    if len(bounds) > 1:
        within = f"each of its {len(bounds)} operations of this kind is within {max(bounds):.3g} of the exact value"
    if bounds and len(bounds) < len(found):
        within += ", and of others no bound is known"
    return f"the layer {layer.name} ({layer.class_name}) is not exact: {reasons}; {within}"


def inexact(before: Graph, after: Graph) -> Iterator[Inexact]:
    """The nodes of a fixed graph that are not exact, given the graph before its types were resolved."""
    intervals: dict[str, Interval] = {}
    for node in after:
        arguments = [intervals[name] for name in node.inputs]
        if node.op.kind == "input":
            intervals[node.name] = type_interval(node, node.fixed())
            continue
        sources = [Source(after[name], interval) for name, interval in zip(node.inputs, arguments, strict=True)]
        original, inside = before[node.name].op.inside(), node.op.inside()
        if original is not None and inside is not None:
            yield from inexact(original, inside)
        found = _of_node(before[node.name].op, node, sources, is_rounded_by_model(before, node))
        sound, beside = node.op.interval(arguments), found.bound or 0.0 if found else 0.0
        intervals[node.name] = after_cast(Interval(sound.low - beside, sound.high + beside), node.fixed())
        if found is not None:
            yield found


def is_rounded_by_model(before: Graph, node: Node) -> bool:
    """Whether the cast of the fixed node is that of a quantizer of the model, which alone reads it."""
    readers = before.users[node.name]
    reader = readers[0].op if len(readers) == 1 and node.name not in before.outputs else None
    return reader is not None and _is_cast_of(reader, node.fixed())


def _is_cast_of(quantizer: Op, of: FixedType) -> bool:
    """Whether a cast to the type is what the quantizer does."""
    if isinstance(quantizer, Round):
        return (quantizer.uniform, quantizer.mode) == (of.fraction, of.quantization)
    return isinstance(quantizer, Quantize) and quantizer.uniform == of


def _of_node(original: Op, node: Node, sources: list[Source], quantized: bool) -> Inexact | None:
    types = [source.type for source in sources]
    if isinstance(original, Quantize | Round):
        declared = isinstance(node.op, Quantize) or _is_cast_of(original, node.fixed())
        return None if declared else Inexact(node, f"the recipe gives it the type {node.fixed()}", None)
    if isinstance(original, Lut) and isinstance(node.op, Lut):
        return _of_table(original, node, node.op, sources[0], quantized)
    if isinstance(node.op, Softmax):
        return _of_softmax(node, node.op, sources[0])
    if isinstance(node.op, Scan) and (rounded := _states(node.op)):
        return Inexact(node, "its states are rounded in each step", rounded + _cast(node, types))
    if isinstance(node.op, Recurrent) or node.op.kind == "normalize":
        return Inexact(node, "its functions are tables, one after the other", None)
    largest = max((source.largest for source in sources), default=0.0)
    constants = _constants(original, node.op, largest)
    sums = _sums(node, sources)
    own = constants + sums
    rounding = _cast(node, types)
    if own == 0.0 and (rounding == 0.0 or quantized):
        return None
    last = _result(node)
    if quantized:
        rounding, last = float(node.fixed().lsb), f"a value near a tie may end one step of {node.fixed()} beside it"
    why = [("its constants are rounded", constants), ("its accumulator is narrow", sums), (last, rounding)]
    return Inexact(node, ", ".join(reason for reason, error in why if error), own + rounding)


def _result(node: Node) -> str:
    return f"its result is rounded to {node.fixed()}"


def _cast(node: Node, types: list[FixedType]) -> float:
    """What the cast to the result may change."""
    exact, result = node.op.infer_type(types), node.fixed()
    if node.op.is_finite(types) and exact.fraction <= result.fraction:
        return 0.0
    return float(result.lsb) * (1.0 if result.quantization in _FLOOR else 0.5)


def _states(op: Scan) -> float:
    """What the casts to the types of the states may change in one step.

    A type that truncates holds all that so many steps add up to (`passes/steps.py`).
    """
    pairs = [(after.fixed(), before.fixed()) for after, before in zip(op.after, op.before, strict=True)]
    rounded = [to for of, to in pairs if to.fraction < of.fraction and to.quantization not in _FLOOR]
    return max((float(to.lsb) / 2 for to in rounded), default=0.0)


def _lost(original: Tensor | None, made: Tensor | None) -> FloatArray:
    """By how much each of the constants is off."""
    if original is None or made is None or original is made:
        return np.zeros(1)
    return np.asarray(np.abs(original.floats() - made.floats()))


def _constants(original: Op, made: Op, largest: float) -> float:
    """What constants that were rounded may change, for inputs up to `largest`."""
    if isinstance(original, Contraction) and isinstance(made, Contraction):
        weights = _lost(original.weight, made.weight)
        return float((weights.reshape(-1, weights.shape[-1]).sum(axis=0) * largest).max() + _lost_bias(original, made))
    if isinstance(original, Einsum) and isinstance(made, Einsum):
        weights = _lost(original.weight, made.weight)
        return float(weights.sum() * largest + _lost(original.bias, made.bias).max())
    if isinstance(original, Affine) and isinstance(made, Affine):
        return float(_lost(original.scale, made.scale).max() * largest + _lost(original.bias, made.bias).max())
    if isinstance(original, Constant) and isinstance(made, Constant):
        return float(_lost(original.value, made.value).max())
    if isinstance(original, Gather) and isinstance(made, Gather):
        return float(_lost(original.weight, made.weight).max())
    if isinstance(original, Step) and isinstance(made, Step):
        return float(_lost(original.values, made.values).max())
    if isinstance(original, Relu) and isinstance(made, Relu):
        slope = float(_lost(original.slope, made.slope).max()) * largest
        limit = float(_lost(original.max_value, made.max_value).max())
        moved = float(_lost(original.threshold, made.threshold).max())
        return slope + limit + (largest if moved else 0.0)
    return 0.0


def _lost_bias(original: Contraction, made: Contraction) -> float:
    return float(_lost(original.bias, made.bias).max())


def _sums(node: Node, sources: list[Source]) -> float:
    """What an accumulator that is narrower than its products may change: a rounding of each."""
    op, types = node.op, [source.type for source in sources]
    if isinstance(op, Contraction) and op.accum is not None:
        terms = op.weight.data.size // op.weight.shape[-1] + 1
        return _rounded(op.accum, op.sum_type(types[0]).fraction, terms)
    if isinstance(op, Einsum) and op.accum is not None:
        second = types[1] if op.weight is None else op.weight.fixed()
        terms = op.terms([source.node.shape for source in sources])
        return _rounded(op.accum, types[0].fraction + second.fraction, terms)
    return 0.0


def _rounded(accum: FixedType, fraction: int, terms: int) -> float:
    return 0.0 if accum.fraction >= fraction else terms * float(accum.lsb)


# Tables


def _of_table(original: Lut, node: Node, op: Lut, source: Source, quantized: bool) -> Inexact | None:
    """The entries against the function: on every input, or on many of each cell and of those beyond the table."""
    of, result = source.type, node.fixed()
    if op.function == GIVEN:
        rounding = _cast(node, [of])
        return None if rounding == 0.0 or quantized else Inexact(node, _result(node), rounding)
    q = _tried(op, *source.ends)
    wanted = original.eval_float([to_float(q, of)[np.newaxis]])[0]
    found = to_float(op.eval([q[np.newaxis]], [of], result, OverflowCount())[0], result)
    every = len(q) > source.ends[1] - source.ends[0]
    if quantized and np.array_equal(found, to_float(Tensor(wanted).quantized(result).data, result)):
        return None if every else Inexact(node, _table(op), float(result.lsb))
    on_line = op.line is not None and q >= op.end  # there the line comes ever closer, and only its cast differs
    inside = wanted[~on_line] if op.line is not None else wanted
    between = 0.0 if every else float(np.abs(np.diff(inside)).max(initial=0.0))
    bound = float(np.abs(found - wanted).max()) + max(between, 0.0 if op.line is None else float(result.lsb))
    return None if bound == 0.0 else Inexact(node, _table(op), bound)


def _table(op: Lut) -> str:
    return f"a table of {op.made().data.size} entries for {op.function}"


def _tried(op: Lut, low: int, high: int) -> IntArray:
    """Inputs from low to high."""
    if high - low < _ALL:
        return np.arange(low, high + 1)
    size = op.made().data.size
    ends = op.offset, op.offset + (size << op.shift)
    inside = np.linspace(*ends, size * min(_IN_CELL, 1 << op.shift) + 1)
    outside = [np.linspace(low, min(ends[0], high), _OUTSIDE), np.linspace(max(ends[1], low), high, _OUTSIDE)]
    return np.unique(np.clip(np.concatenate([inside, *outside]), low, high).astype(np.int64))


def _of_softmax(node: Node, op: Softmax, source: Source) -> Inexact | None:
    """Of the stable one: see `softmax_tables`, here for the tables as they are."""
    if op.implementation == "argmax":
        return None
    exp, inverse = op.tables()
    reason = f"tables of {exp.data.size} and {inverse.data.size} entries"
    if op.implementation != "stable":
        return Inexact(node, reason, None)
    of, (low, high), length = source.type, source.ends, node.shape[-1]
    last = float(node.fixed().lsb) * (2.0 if op.distinct else 1.0)  # the cast, and what makes the largest distinct
    if op.exp_low is not None:
        span = (low * float(of.lsb), high * float(of.lsb))
        tables = Refined(Exponents(op.implementation, of, span, length), op.refinement()[2].width - 2)
        return Inexact(node, reason, min(tables.error_bound + last, 1.0))
    entries, cell = exp.floats(), min((2.0**op.exp_shift - 1) * float(of.lsb), 1.0)
    middles = centers(0, op.exp_shift, len(entries), of.fraction)
    rounding = float(np.abs(entries - np.exp(-middles)).max()) * (1 + length)
    beyond = high - low >= len(entries) << op.exp_shift
    tail = float(entries[-1]) * length if beyond else 0.0
    top = op.top(length)
    exact = np.ldexp(1.0 / centers(1 << top, op.inv_shift, inverse.data.size, 0), exp.fixed().fraction)
    reciprocal = 0.5 / inverse.data.size + float(np.abs(inverse.floats() / exact - 1).max())
    own = (0.25 * math.expm1(cell) + (rounding + tail) / max(float(entries[0]), float(exp.fixed().lsb))) * 1.01
    return Inexact(node, reason, min(own + reciprocal * 1.01 + last, 1.0))
