"""Give every constant and every value its type: the user's where given, else chosen from the ranges that are known.

One sweep from the inputs. Weights become integers; the accumulator is exact; a result that is not exact within the
value width gets integer bits for the values it is known to take and fraction bits for the rest. It wraps only where no
value can leave the range, and saturates otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from functools import cache, partial

import numpy as np

from kbuild.dataclass import dataclass, field, field_names, replace
from kbuild.errors import RecipeError
from kbuild.fixed import FixedType, IntArray, Overflow, Quantization, contains, from_float, type_for, union_type
from kbuild.ir import Graph, Interval, Node, Op, Tensor
from kbuild.ops.affine import Affine
from kbuild.ops.constant import Constant
from kbuild.ops.contraction import Contraction
from kbuild.ops.einsum import Einsum
from kbuild.ops.gather import Gather, index_type
from kbuild.ops.identity import Identity
from kbuild.ops.lut import GIVEN, Lut
from kbuild.ops.quantize import Quantize
from kbuild.ops.relu import Relu
from kbuild.ops.softmax import Softmax
from kbuild.ops.step import Step
from kbuild.passes import exactness
from kbuild.passes.context import Context
from kbuild.passes.ranges import MARGIN, input_type, integer_bits, is_declared, numbers, observed
from kbuild.passes.softmax_tables import Exponents, softmax_tables
from kbuild.passes.tables import STEEP, TABLE_WIDTH, Span, lut_table

_FIRST = 1 << 12


@dataclass(frozen=True)
class Resolver:
    """What the rule of an op may use: its node, its inputs' types and bounds, the context, and what was seen.

    `ranges` gives the ranges seen of all nodes, and of the states of recurrent layers (`recurrent.state_name`). It runs
    the graph: where all types are given nobody asks.
    """

    node: Node
    types: tuple[FixedType, ...]
    intervals: tuple[Interval, ...]
    context: Context
    ranges: Callable[[], Mapping[str, Span]]
    exact: bool = False  # values keep every bit, since the model has quantizers of its own
    declared: FixedType | None = None  # the type that the model itself declares for the value
    fine: bool = False  # a quantizer of the model rounds the value, so that its last bits matter
    known: dict[Op, Interval] = field(default_factory=dict)

    def interval_of(self, op: Op) -> Interval:
        """Bounds of the typed op's result before its cast; worked out once, since it reads every weight."""
        if op not in self.known:
            self.known[op] = op.interval(self.intervals)
        return self.known[op]

    @property
    def seen(self) -> Span:
        """The range seen of the node's values."""
        return self.ranges()[self.node.name]

    @property
    def width(self) -> int:
        """The widest automatic type."""
        return self.context.width_of(self.node)

    @property
    def table_size(self) -> int | None:
        """The user's `TableSize`."""
        settings = self.context.settings_of(self.node)
        return None if settings is None else settings.table_size.value

    def given(self, variable: str) -> FixedType | None:
        """The user's type, None for `auto`."""
        return self.context.type_of(self.node, variable)

    def constant(self, tensor: Tensor, variable: str) -> Tensor:
        """A float constant as integers of the given type, or of the best one of the value width."""
        given = self.given(variable)
        if given is not None:
            return Tensor(tensor.floats()).quantized(given)
        return tensor if tensor.type is not None else quantized_constant(tensor, self.width)

    def factor(self, tensor: Tensor, variable: str) -> Tensor:
        """As `constant`, for a factor of single elements, which beside exact values is as fine as they need."""
        widest = exactness.CONSTANT_WIDTH if self.exact and self.fine else self.width
        if self.given(variable) is not None or tensor.type is not None:
            return self.constant(tensor, variable)
        return quantized_constant(tensor, max(widest, self.width))

    def result(self, op: Op) -> FixedType:
        """The user's type, else the model's, else the exact one where it is narrow enough, else a fitted one."""
        given = self.given("result") or self.declared
        if given is not None:
            return given
        widest = self.width
        if self.exact and (self.context.bit_exact or exactness.keeps_constants(self.node.op, op, self.fine)):
            widest = max(widest, exactness.EXACT_WIDTH)
        exact = op.infer_type(self.types)
        widest = max(widest, self._kept(exact))
        if not op.is_finite(self.types):  # a quotient: all the bits that there are
            fraction = max(exact.fraction, self.width - exact.integer) + 1
            exact = FixedType(exact.integer + fraction, exact.integer, exact.signed)
        elif exact.width <= widest:
            return exact.plain()
        # of what grows beyond all that is kept, as a state that is never quantized, more than float32 has
        width = exactness.CONSTANT_WIDTH if widest == exactness.EXACT_WIDTH else self.width
        return fitted_type(exact, max(width, self.width, self._kept(exact)), _span(self.interval_of(op)), self.seen)

    def _kept(self, exact: FixedType) -> int:
        """Bits of the widest input, where the result is made of inputs as they are: a wide type that the user gave."""
        settings = self.context.settings_of(self.node)
        limited = settings is not None and settings.maximum.value is not None
        if limited or not self.types or not contains(union_type(*self.types), exact):
            return 0
        return max(of.width for of in self.types)


def run(graph: Graph, context: Context) -> Graph:
    """The graph with types and integer constants. Raises RecipeError where a table cannot be made as asked."""
    types = {node.name: input_type(graph, node, context) for node in graph.inputs}

    @cache
    def ranges() -> Mapping[str, Span]:
        return observed(_with_states(graph), types, context)

    given = {node.name: (types[node.name], type_interval(node, types[node.name])) for node in graph.inputs}
    declared = [node.name for node in graph.inputs if is_declared(graph, node, context)]
    return resolved(graph, given, context, ranges, exactness.is_exact(graph, context), declared_inputs=declared)


def resolved(
    graph: Graph,
    inputs: Mapping[str, tuple[FixedType, Interval]],
    context: Context,
    ranges: Callable[[], Mapping[str, Span]],
    exact: bool,
    rounded: Collection[str] = (),
    declared_inputs: Collection[str] = (),
) -> Graph:
    """A graph, which may be one inside another, whose inputs have these types and bounds, with types everywhere.

    rounded: names of outputs that only quantizers read; declared_inputs: of inputs that have their type from one.
    """
    intervals: dict[str, Interval] = {}
    done: dict[str, Node] = {}
    for node in graph:
        if node.op.kind == "input":
            of, sound = inputs[node.name]
            typed = replace(node, type=of, declared=node.name in declared_inputs)
        else:
            sources = tuple(done[name].fixed() for name in node.inputs)
            arguments = tuple(intervals[name] for name in node.inputs)
            declared = exactness.declared_type(graph, node, context, partial(node.op.interval, arguments))
            fine = node.name in rounded or exactness.is_quantized_later(graph, node)
            resolver = Resolver(node, sources, arguments, context, ranges, exact, declared, fine)
            op, of = _rule(node.op)(node.op, resolver)
            own = resolver.given("result") is None and (of == declared or isinstance(node.op, Quantize))
            typed, sound = replace(node, op=op, type=of, declared=own), resolver.interval_of(op)
        done[node.name], intervals[node.name] = typed, after_cast(sound, of)
    return _without_repeated_casts(graph, graph.with_nodes(done.values()))


def _without_repeated_casts(before: Graph, graph: Graph) -> Graph:
    """Quantizers whose input already has their range and LSB do nothing."""
    for node in graph:
        if node.op.kind == "identity" and before[node.name].op.kind in ("quantize", "round"):
            source, of = graph[graph[node.name].inputs[0]].fixed(), node.fixed()
            if source == of or (source.plain() == of.plain() and contains(of, source)):  # SAT_SYM lacks one of them
                graph = graph.bypass(graph[node.name])
    return graph


def quantized_constant(tensor: Tensor, width: int) -> Tensor:
    """The values in the smallest type that holds them exactly; else in `width` bits, to nearest, never wrapping."""
    values = tensor.floats()
    ends = float(values.min()), float(values.max())
    low, high = min(ends[0], 0.0), max(ends[1], 0.0)
    if low == high:
        return Tensor(np.zeros(values.shape, np.int64), FixedType(1, 1, signed=False))
    fraction = width - integer_bits(low, high)
    nearest = FixedType(width, width - fraction, low < 0, Quantization.RND, Overflow.SAT)
    q = from_float(values, nearest, ends)
    least, largest = (int(end) for end in from_float(ends, nearest))  # the order of values is that of their integers
    spare = _spare_bits(q)
    of = type_for(least >> spare, largest >> spare, fraction - spare)
    return Tensor(q >> spare if spare else q, of.with_modes(Quantization.RND, Overflow.SAT))


def _spare_bits(q: IntArray) -> int:
    """How many low bits are zero in every integer; mostly one of the first tells that none are."""
    used = int(np.bitwise_or.reduce(q.reshape(-1)[:_FIRST]))
    if not used & 1:
        used = int(np.bitwise_or.reduce(q, axis=None))
    return max((used & -used).bit_length() - 1, 0)


def fitted_type(exact: FixedType, width: int, sound: Span, seen: Span) -> FixedType:
    """At most `width` bits: integer bits for what was seen, with a margin, or for all that can be, if that is less."""
    low, high = max(sound[0], min(seen[0] * MARGIN, 0.0)), min(sound[1], max(seen[1] * MARGIN, 0.0))
    if high <= low:
        low, high = sound
    integer = integer_bits(low, high)
    fraction = min(exact.fraction, width - integer)
    of = FixedType(max(fraction + integer, 1), integer, low < 0)
    quantization = Quantization.RND if fraction < exact.fraction else Quantization.TRN
    least, largest = (float(end) for end in of.range)
    safe = least <= sound[0] and sound[1] <= largest - float(of.lsb)
    return of.with_modes(quantization, Overflow.WRAP if safe else Overflow.SAT)


# ---- the rules of the ops: the op with its constants, and the type of its result ---------------------------------

Rule = Callable[[Op, Resolver], tuple[Op, FixedType]]


def _plain(op: Op, resolver: Resolver) -> tuple[Op, FixedType]:
    return op, resolver.result(op)


def _custom(op: Op, resolver: Resolver) -> tuple[Op, FixedType]:
    """An op that is not kbuild's own: each of its tensors is a variable of its field's name."""
    tensors = {name: value for name in field_names(op) if isinstance(value := vars(op)[name], Tensor)}
    typed = replace(op, **{name: resolver.constant(tensor, name) for name, tensor in tensors.items()})
    return typed, resolver.result(typed)


def _contraction(op: Op, resolver: Resolver) -> tuple[Op, FixedType]:
    assert isinstance(op, Contraction)
    bias = None if op.bias is None else resolver.constant(op.bias, "bias")
    typed = replace(op, weight=resolver.constant(op.weight, "weight"), bias=bias)
    typed = replace(typed, accum=resolver.given("accum") or typed.sum_type(resolver.types[0]))
    return typed, resolver.result(typed)


def _affine(op: Op, resolver: Resolver) -> tuple[Op, FixedType]:
    assert isinstance(op, Affine)
    typed = replace(op, scale=resolver.factor(op.scale, "scale"), bias=resolver.factor(op.bias, "bias"))
    return typed, resolver.result(typed)


def _relu(op: Op, resolver: Resolver) -> tuple[Op, FixedType]:
    assert isinstance(op, Relu)
    slope = None if op.slope is None else resolver.factor(op.slope, "slope")
    threshold = None if op.threshold is None else resolver.factor(op.threshold, "threshold")
    top = None if op.max_value is None else resolver.factor(op.max_value, "max_value")
    typed = replace(op, slope=slope, threshold=threshold, max_value=top)
    return typed, resolver.result(typed)


def _constant(op: Op, resolver: Resolver) -> tuple[Op, FixedType]:
    assert isinstance(op, Constant)
    typed = replace(op, value=resolver.constant(op.value, "weight"))
    return typed, resolver.result(typed)


def _gather(op: Op, resolver: Resolver) -> tuple[Op, FixedType]:
    assert isinstance(op, Gather)
    _check_numbers(resolver, op.rows, "index", "the last row is")
    typed = replace(op, weight=resolver.constant(op.weight, "embeddings"))
    return typed, resolver.result(typed)


def _check_numbers(resolver: Resolver, count: int, noun: str, largest: str) -> None:
    """Refuse an input that does not hold all of the numbers 0 .. count - 1."""
    of = resolver.types[0]
    if of.range[1] < count - 1:
        raise RecipeError(
            f"layer {resolver.node.layer.name}: its input of type {of} holds no {noun} above {int(of.range[1])}, and "
            f"{largest} {count - 1}; give the input the type {index_type(count)}"
        )


def _einsum(op: Op, resolver: Resolver) -> tuple[Op, FixedType]:
    assert isinstance(op, Einsum)
    weight = None if op.weight is None else resolver.constant(op.weight, "weight")
    bias = None if op.bias is None else resolver.constant(op.bias, "bias")
    typed, shapes = replace(op, weight=weight, bias=bias), [x.low.shape for x in resolver.intervals]
    typed = replace(typed, accum=resolver.given("accum") or typed.sum_type(resolver.types, shapes))
    return typed, resolver.result(typed)


def _lut(op: Op, resolver: Resolver) -> tuple[Op, FixedType]:
    assert isinstance(op, Lut)
    if op.function == GIVEN:
        return op, resolver.result(op)
    span = _span(resolver.intervals[0])
    given, size = resolver.given("table"), resolver.table_size
    declared = resolver.declared if given is None else None
    width = TABLE_WIDTH
    if resolver.exact and resolver.fine:
        size, width = size or exactness.TABLE_SIZE, exactness.CONSTANT_WIDTH
    typed = lut_table(op, resolver.types[0], span, size, given or declared, declared is not None, width,
                      taken=(-math.inf, math.inf) if resolver.exact else _taken(op, resolver))  # fmt: skip
    if declared is not None and typed.shift > 0 and resolver.table_size is None:
        from kbuild.passes.quantized_functions import steps_of  # few models need it

        steps = steps_of(op, resolver.types[0], span, declared)
        if steps is not None:
            return steps, declared
    return typed, resolver.result(typed)


def _taken(op: Lut, resolver: Resolver) -> Span:
    """The results of a function that matter. Its input has room for more than is seen, where an exponential is so large
    that nothing would be left of the rest. Random inputs say nothing of how large it is in truth."""
    low, high = (end * MARGIN for end in resolver.seen)
    if op.function in STEEP and not (resolver.context.calibration or resolver.context.ranges):
        most = 2.0 ** (resolver.width // 2)
        low, high = max(low, -most), min(high, most)
    return min(low, 0.0), max(high, 0.0)


def _softmax(op: Op, resolver: Resolver) -> tuple[Op, FixedType]:
    assert isinstance(op, Softmax)
    settings = resolver.context.settings_of(resolver.node)
    chosen = None if settings is None else settings.implementation.value
    typed = replace(op, implementation=chosen or op.implementation)
    length, span = resolver.node.shape[-1], _span(resolver.intervals[0])
    exponents = Exponents(typed.implementation, resolver.types[0], span, length)
    exp_table, inv_table, result = (resolver.given(name) for name in ("exp_table", "inv_table", "result"))
    try:
        return softmax_tables(
            typed, exponents, resolver.table_size, exp_table, inv_table, result, resolver.width
        )
    except ValueError as error:
        raise RecipeError(f"layer {resolver.node.layer.name}: {error}") from error


def _quantize(op: Op, resolver: Resolver) -> tuple[Op, FixedType]:
    """A quantizer is a cast; with a type for each element it stays, unless the user gave one for all."""
    assert isinstance(op, Quantize)
    of = resolver.given("result") or op.uniform
    return (op, op.infer_type(resolver.types)) if of is None else (Identity(), of)


def _step(op: Op, resolver: Resolver) -> tuple[Op, FixedType]:
    assert isinstance(op, Step)
    counts = numbers(op)
    if counts is not None and op.values.type is None:  # of no quantizer, whose input may be as narrow as it is
        _check_numbers(resolver, counts, "number", "it is compared with numbers up to")
    typed = replace(op.on(resolver.types[0]), values=resolver.factor(op.values, "values"))
    return typed, resolver.result(typed)


# Modules of their own, of which most models need none.


def _round(op: Op, resolver: Resolver) -> tuple[Op, FixedType]:
    """It becomes a quantizer that holds whatever there may be."""
    from kbuild.ops.round import Round

    assert isinstance(op, Round)
    return _quantize(op.within(resolver.intervals[0]), resolver)


def _normalize(op: Op, resolver: Resolver) -> tuple[Op, FixedType]:
    from kbuild.passes.normalizing import resolved

    return resolved(op, resolver)


def _recurrent(op: Op, resolver: Resolver) -> tuple[Op, FixedType]:
    from kbuild.passes.recurrent import resolved

    return resolved(op, resolver)


def _scan(op: Op, resolver: Resolver) -> tuple[Op, FixedType]:
    from kbuild.passes.steps import resolved

    return resolved(op, resolver)


def _with_states(graph: Graph) -> Graph:
    if not any(_RULES.get(node.op.kind) is _recurrent for node in graph):
        return graph
    from kbuild.passes.recurrent import with_states

    return with_states(graph)


_RULES: dict[str, Rule] = {
    "quantize": _quantize,
    "round": _round,
    "step": _step,
    "dense": _contraction,
    "conv": _contraction,
    "affine": _affine,
    "relu": _relu,
    "constant": _constant,
    "lut": _lut,
    "softmax": _softmax,
    "einsum": _einsum,
    "gather": _gather,
    "normalize": _normalize,
    "simple_rnn": _recurrent,
    "lstm": _recurrent,
    "gru": _recurrent,
    "scan": _scan,
}


def _rule(op: Op) -> Rule:
    return _RULES.get(op.kind, _plain if op.own else _custom)


# ---- bounds ------------------------------------------------------------------------------------------------------


def _span(interval: Interval) -> Span:
    return float(interval.low.min(initial=0.0)), float(interval.high.max(initial=0.0))


def type_interval(node: Node, of: FixedType) -> Interval:
    """Bounds of any value of the node in this type."""
    low, high = (float(end) for end in of.range)
    return Interval(np.full(node.shape, low), np.full(node.shape, high))


def after_cast(sound: Interval, of: FixedType) -> Interval:
    """Bounds after the cast to `of`: one LSB wider for the rounding, and never outside the type's range."""
    low, high = (float(end) for end in of.range)
    lsb = float(of.lsb)
    if of.overflow is not Overflow.SAT and (sound.low.min() < low or sound.high.max() > high):
        return Interval(np.full(sound.low.shape, low), np.full(sound.high.shape, high))
    return Interval(np.clip(sound.low - lsb, low, high), np.clip(sound.high + lsb, low, high))
