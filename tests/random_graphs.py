"""Random fixed graphs over all operations, types and modes, for comparing engines with the emulator.

Types, shapes, constants and tables are drawn without regard to what a model would have, so that every cast, every
overflow and every odd width happens.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from kbuild.fixed import FixedType, IntArray, Overflow, Quantization, compact
from kbuild.ir import Graph, Layer, Node, Op, Shape, Tensor, verify
from kbuild.ops.affine import Affine
from kbuild.ops.concatenate import Concatenate
from kbuild.ops.constant import Constant
from kbuild.ops.conv import Conv
from kbuild.ops.dense import Dense
from kbuild.ops.einsum import Einsum
from kbuild.ops.functions import FUNCTIONS
from kbuild.ops.gather import Gather
from kbuild.ops.gru import Gru
from kbuild.ops.identity import Identity
from kbuild.ops.input import Input
from kbuild.ops.interpolate import Interpolate
from kbuild.ops.loop import Loop
from kbuild.ops.lstm import Lstm
from kbuild.ops.lut import Lut
from kbuild.ops.merge import KINDS, Merge
from kbuild.ops.multipliers import STRATEGIES
from kbuild.ops.normalize import STATISTICS, Normalize
from kbuild.ops.pad import Pad
from kbuild.ops.pool import KINDS as POOLINGS
from kbuild.ops.pool import Pool
from kbuild.ops.quantize import Quantize
from kbuild.ops.reduce import KINDS as REDUCTIONS
from kbuild.ops.reduce import Reduce
from kbuild.ops.relu import Relu
from kbuild.ops.repeat import Repeat
from kbuild.ops.reshape import Reshape
from kbuild.ops.rnn import Recurrent, SimpleRnn
from kbuild.ops.scan import Scan
from kbuild.ops.softmax import ALLOWED, IMPLEMENTATIONS, Softmax
from kbuild.ops.step import Step
from kbuild.ops.transpose import Transpose

Random = np.random.Generator
ADDERS = "distributed_arithmetic"

NARROW = (1, 32)
ANY = (1, 150)


@dataclass
class Builder:
    """A graph in the making: `widths` bounds the widths of types, `strategies` those of dense.

    outside: how many places the point may lie outside the bits of a type.
    """

    rng: Random
    widths: tuple[int, int] = NARROW
    strategies: Sequence[str] = STRATEGIES
    outside: int = 2
    nodes: list[Node] = field(default_factory=list)
    prefix: str = ""  # of the names of nodes

    def type(self, modes: bool = True) -> FixedType:
        """A type of any width, sign and position of the point; mostly of common widths."""
        rng, (low, high) = self.rng, self.widths
        width = int(rng.integers(low, high + 1))
        if rng.random() < 0.6:
            width = int(np.clip(rng.integers(4, 20), low, high))
        outside = self.outside if rng.random() < 0.3 else 0
        integer = int(rng.integers(-outside, width + 1 + outside))
        signed = bool(rng.random() < 0.75)
        if not modes:
            return FixedType(width, integer, signed)
        overflow = list(Overflow)[rng.integers(4)]
        if width == 1 and signed and overflow is Overflow.SAT_SYM:
            overflow = Overflow.SAT  # the symmetric range of one signed bit is empty but for zero
        return FixedType(width, integer, signed, list(Quantization)[rng.integers(7)], overflow)

    def tensor(self, shape: Shape, of: FixedType | None = None, low: int | None = None) -> Tensor:
        """Integers over the whole range of a type, with its ends and zeros among them."""
        of = of or self.type(modes=False)
        values = integers(self.rng, shape, of)
        return Tensor(values if low is None else np.maximum(values, low), of)

    def add(self, op: Op, inputs: Sequence[Node] = (), type: FixedType | None = None) -> Node:
        """One more node, of a random type unless given."""
        shape = op.infer_shape([node.shape for node in inputs])
        name = f"{self.prefix}{op.kind}{len(self.nodes)}"
        node = Node(name, op, tuple(n.name for n in inputs), shape, Layer(name, op.kind), type or self.type())
        self.nodes.append(node)
        return node

    def pick(self, suits: Callable[[Node], bool] = lambda node: True) -> Node | None:
        """A node that suits, later ones more often."""
        found = [node for node in self.nodes if suits(node)]
        if not found:
            return None
        return found[max(self.rng.integers(len(found), size=2))]

    def shape(self) -> Shape:
        """Rank 1 to 3, few elements."""
        rank = int(self.rng.integers(1, 4))
        return tuple(int(n) for n in self.rng.choice([1, 2, 3, 4, 5], size=rank))

    def broadcastable(self, shape: Shape) -> Shape:
        """A shape of the same rank that broadcasts to it."""
        return tuple(n if self.rng.random() < 0.6 else 1 for n in shape)


def integers(rng: Random, shape: Shape, of: FixedType) -> IntArray:
    """Random integers that a type holds: uniform, small ones, zeros and both ends."""
    size = int(np.prod(shape))
    values = []
    for choice in rng.random(size):
        bits = of.width if choice < 0.6 else int(rng.integers(1, of.width + 1))
        raw = int.from_bytes(rng.bytes(-(-bits // 8)), "little") % (1 << bits)
        value = raw - (1 << (bits - 1)) if of.signed else raw
        value = of.min if choice > 0.97 else of.max if choice > 0.94 else value
        values.append(max(value, of.floor))  # a symmetric range lacks the least integer of its bits
    return compact(np.array(values, dtype=object).reshape(shape))


def _dense(b: Builder) -> None:
    x = b.pick()
    assert x is not None
    k, n = x.shape[-1], int(b.rng.integers(1, 7))
    weight = b.tensor((k, n))
    bias = b.tensor((n,)) if b.rng.random() < 0.7 else None
    accum = b.type() if b.rng.random() < 0.8 else None
    strategy, reuse = _strategy(b, k, n)
    op = Dense(weight, bias, accum, strategy, reuse)
    if accum is None:
        op = Dense(weight, bias, op.sum_type(x.fixed()), strategy, reuse)
    b.add(op, [x])


def _wide(b: Builder) -> bool:
    """Whether constants are so wide that adders for them would be long code."""
    return b.widths[1] > 64


def _strategy(b: Builder, k: int, n: int) -> tuple[str, int]:
    """A strategy for a matrix [k, n], and a reuse factor that it allows."""
    strategy = str(b.rng.choice([name for name in b.strategies if not (_wide(b) and name == ADDERS)]))
    divisors = [d for d in range(1, k + 1) if k % d == 0] + [k * d for d in range(1, n + 1) if n % d == 0]
    return strategy, int(b.rng.choice(divisors)) if strategy == "resource" else 1


def _affine(b: Builder) -> None:
    x = b.pick()
    assert x is not None
    b.add(Affine(b.tensor(b.broadcastable(x.shape)), b.tensor(b.broadcastable(x.shape))), [x])


def _relu(b: Builder) -> None:
    x = b.pick()
    assert x is not None
    slope = b.tensor(b.broadcastable(x.shape)) if b.rng.random() < 0.5 else None
    threshold = b.tensor(()) if b.rng.random() < 0.4 else None
    top = b.tensor(()) if b.rng.random() < 0.4 else None
    b.add(Relu(slope, threshold, top), [x])


def _offset(b: Builder, of: FixedType) -> int:
    return of.min if b.rng.random() < 0.5 else int(integers(b.rng, (1,), of)[0])


def _lut(b: Builder) -> None:
    x = b.pick()
    assert x is not None
    of, size = x.fixed(), 1 << int(b.rng.integers(0, 9))
    shift = int(b.rng.integers(0, max(of.width, 2)))
    function, entries, offset = str(b.rng.choice(list(FUNCTIONS))), b.tensor((size,)), _offset(b, of)
    own = Builder(np.random.default_rng(size + shift + of.width))  # what is drawn after it does not depend on it
    line = own.tensor(()) if own.rng.random() < 0.4 else None
    b.add(Lut(function, (), entries, offset, shift, line), [x])


def _softmax(b: Builder) -> None:
    x = b.pick()
    assert x is not None
    implementation = str(b.rng.choice(IMPLEMENTATIONS))
    own = Builder(np.random.default_rng(sum(x.shape)))  # so that what is drawn after it does not depend on it
    mask = own.rng.integers(0, 2, size=x.shape[int(own.rng.integers(0, len(x.shape))) :])
    mask[..., int(own.rng.integers(0, x.shape[-1]))] = 1
    mask = Tensor(mask, ALLOWED) if own.rng.random() < 0.5 else None
    if implementation == "argmax":
        b.add(Softmax("argmax", mask=mask), [x])
        return
    of, sizes = x.fixed(), [1 << int(n) for n in b.rng.integers(0, 9, size=2)]
    exp = b.tensor((sizes[0],), FixedType(int(b.rng.integers(1, 20)), int(b.rng.integers(-2, 20)), signed=False))
    inv = b.tensor((sizes[1],), FixedType(int(b.rng.integers(1, 20)), int(b.rng.integers(-2, 20))), low=0)
    shift, inv_shift = int(b.rng.integers(0, max(of.width, 2))), int(b.rng.integers(0, 12))
    op = Softmax(implementation, exp, _offset(b, of), shift, inv, inv_shift, mask=mask)
    if implementation == "stable":
        own = Builder(np.random.default_rng(exp.data.sum()))  # so that what is drawn after it does not depend on it
        op = replace(op, distinct=bool(own.rng.random() < 0.5))
        op = _refined(own, op) if own.rng.random() < 0.7 else op
    b.add(op, [x])


def _refined(b: Builder, op: Softmax) -> Softmax:
    """With random tables that make sense no more than those of others do."""
    inv = op.tables()[1].fixed()
    low = b.tensor((1 << int(b.rng.integers(0, 6)),), FixedType(int(b.rng.integers(1, 18)), 0, signed=False))
    low = Tensor(np.where(np.arange(low.data.size) == 0, 0, low.data), low.type)
    slope = FixedType(int(b.rng.integers(1, 12)), 1, signed=False)
    slope = replace(slope, integer=slope.width - inv.fraction - int(b.rng.integers(0, 12)))
    numerator = FixedType(int(b.rng.integers(1, 20)), int(b.rng.integers(-2, 3)), False, overflow=Overflow.SAT)
    inverse = FixedType(int(b.rng.integers(1, 20)), inv.integer, False, Quantization.RND, Overflow.SAT)
    return replace(
        op,
        exp_low=low,
        inv_slope=b.tensor(op.tables()[1].shape, slope, low=0),
        inv_drop=int(b.rng.integers(0, op.inv_shift + 1)),
        numerator=numerator,
        inverse=inverse,
    )


def _broadcasts(shape: Shape) -> Callable[[Node], bool]:
    def suits(node: Node) -> bool:
        try:
            return int(np.prod(np.broadcast_shapes(shape, node.shape))) <= 200
        except ValueError:
            return False

    return suits


def _merge(b: Builder) -> None:
    operation = str(b.rng.choice(KINDS))
    first = b.pick()
    assert first is not None
    inputs, shape = [first], first.shape
    for _ in range(1 if operation == "subtract" else int(b.rng.integers(1, 5))):
        other = b.pick(_broadcasts(shape))
        if other is None:
            return
        inputs.append(other)
        shape = tuple(np.broadcast_shapes(shape, other.shape))
    b.add(Merge(operation), inputs)


def _concatenate(b: Builder) -> None:
    first = b.pick()
    assert first is not None
    axis = int(b.rng.integers(len(first.shape)))

    def rest(shape: Shape) -> tuple[int, Shape]:
        return len(shape), (*shape[:axis], *shape[axis + 1 :])

    inputs = [first]
    for _ in range(int(b.rng.integers(0, 4))):
        other = b.pick(lambda node: rest(node.shape) == rest(first.shape) and node.shape[axis] < 12)
        inputs += [other] if other else []
    b.add(Concatenate(axis), inputs)


def _reshape(b: Builder) -> None:
    x = b.pick()
    assert x is not None
    size = int(np.prod(x.shape))
    first = int(b.rng.choice([d for d in range(1, size + 1) if size % d == 0]))
    b.add(Reshape((size,) if b.rng.random() < 0.5 else (first, size // first)), [x])


def _identity(b: Builder) -> None:
    x = b.pick()
    assert x is not None
    b.add(Identity(), [x])


def _constant(b: Builder) -> None:
    b.add(Constant(b.tensor(b.shape())))


def _quantize(b: Builder) -> None:
    x = b.pick()
    assert x is not None
    count = int(b.rng.integers(1, 5))
    types = tuple(None if b.rng.random() < 0.15 else b.type() for _ in range(count))
    shape = b.broadcastable(x.shape)
    which = Tensor(b.rng.integers(0, count, size=shape), FixedType(3, 3, signed=False))
    b.add(Quantize(types, which if count > 1 or b.rng.random() < 0.5 else None), [x])


def _step(b: Builder) -> None:
    x = b.pick()
    assert x is not None
    count = int(b.rng.choice([1, 2, 3, 6, 20]))
    of = x.fixed() if b.rng.random() < 0.7 else b.type(modes=False)
    thresholds = b.tensor((*b.broadcastable(x.shape), count), of)
    rising = Tensor(np.sort(thresholds.data, axis=-1), of.plain())
    outer = rising.shape[:-1] if b.rng.random() < 0.3 else ()
    b.add(Step(rising, b.tensor((*outer, count + 1))), [x])


def _small(node: Node, ranks: Collection[int] = (1, 2, 3, 4)) -> bool:
    """So that a chain of ops that make values larger ends."""
    return len(node.shape) in ranks and int(np.prod(node.shape)) <= 200


def _windowed(b: Builder) -> tuple[Node, int] | None:
    """A value with channels, and how many spatial axes it has."""
    x = b.pick(lambda node: _small(node, (2, 3, 4)))
    return None if x is None else (x, len(x.shape) - 1)


def _numbers(b: Builder, low: int, high: int, count: int) -> tuple[int, ...]:
    """Random numbers low..high; the low one in half of the cases."""
    return tuple(low if b.rng.random() < 0.5 else int(n) for n in b.rng.integers(low, high + 1, size=count))


def _pairs(b: Builder, low: int, high: int, count: int) -> tuple[tuple[int, int], ...]:
    return tuple((int(p), int(q)) for p, q in b.rng.integers(low, high + 1, size=(count, 2)))


def _add_valid(b: Builder, op: Op, x: Node) -> None:
    """Parameters that leave nothing of this value are not drawn."""
    try:
        op.verify([x.shape])
    except ValueError:
        return
    b.add(op, [x])


def _conv(b: Builder) -> None:
    found = _windowed(b)
    if found is None:
        return
    x, rank = found
    channels = x.shape[-1]
    groups = int(b.rng.choice([d for d in range(1, channels + 1) if channels % d == 0]))
    outputs = groups * int(b.rng.integers(1, 4))
    weight = b.tensor((*_numbers(b, 1, 3, rank), channels // groups, outputs))
    bias = b.tensor((outputs,)) if b.rng.random() < 0.7 else None
    strategy, reuse = _strategy(b, weight.data.size // outputs, outputs)
    accum = b.type() if b.rng.random() < 0.8 else None
    op = Conv(weight, bias, accum, strategy, reuse, strides=_numbers(b, 1, 3, rank), padding=_pairs(b, 0, 2, rank),
              dilation=_numbers(b, 1, 2, rank), input_dilation=_numbers(b, 1, 3, rank), groups=groups)
    positions = int(np.prod(op.infer_shape([x.shape])[:-1]))
    factors = [n for n in range(1, positions + 1) if positions % n == 0]
    op = replace(op, parallelization_factor=1 if b.rng.random() < 0.5 else int(b.rng.choice(factors or [1])))
    op = replace(op, encoded=int(weight.data.sum()) % 5 < 2)
    _add_valid(b, op if accum else replace(op, accum=op.sum_type(x.fixed())), x)


def _pool(b: Builder) -> None:
    found = _windowed(b)
    if found is not None:
        x, rank = found
        padding = _pairs(b, 0, 2, rank) if b.rng.random() < 0.6 else ((0, 0),) * rank
        op = Pool(str(b.rng.choice(POOLINGS)), _numbers(b, 1, 4, rank), _numbers(b, 1, 3, rank), padding)
        _add_valid(b, op, x)


def _reduce(b: Builder) -> None:
    x = b.pick()
    assert x is not None
    axes = tuple(axis for axis in range(len(x.shape)) if b.rng.random() < 0.5) or (len(x.shape) - 1,)
    keepdims = len(axes) == len(x.shape) or bool(b.rng.random() < 0.5)
    count = int(np.prod([x.shape[axis] for axis in axes]))
    b.add(Reduce(str(b.rng.choice(REDUCTIONS)), axes, count, keepdims), [x])


def _pad(b: Builder) -> None:
    x = b.pick(_small)
    if x is not None:
        _add_valid(b, Pad(_pairs(b, -1, 2, len(x.shape))), x)


def _transpose(b: Builder) -> None:
    x = b.pick()
    assert x is not None
    b.add(Transpose(tuple(int(axis) for axis in b.rng.permutation(len(x.shape)))), [x])


def _repeat(b: Builder) -> None:
    x = b.pick(_small)
    if x is not None:
        b.add(Repeat(_numbers(b, 1, 3, len(x.shape))), [x])


def _interpolate(b: Builder) -> None:
    x = b.pick(_small)
    if x is not None:
        b.add(Interpolate(_numbers(b, 1, 4, len(x.shape))), [x])


ACTIVATIONS = ("linear", "relu", "tanh")  # the last stands for all functions: it has a table


def _address(b: Builder, of: FixedType) -> tuple[int, int]:
    return _offset(b, of), int(b.rng.integers(0, max(of.width, 2)))


def _tables(b: Builder, names: Sequence[str], of: FixedType) -> dict[str, Any]:
    """Tables for sums of about the type `of`."""
    found: dict[str, Any] = {}
    for name in names:
        found[f"{name}table"] = b.tensor((1 << int(b.rng.integers(0, 7)),))
        found[f"{name}address"] = _address(b, of)
    return found


def typed_cell(b: Builder, cls: type[Recurrent], features: int) -> Recurrent:
    """A cell in random types, with all its tables whether it looks into them or not."""
    rng, units = b.rng, int(b.rng.integers(1, 5))
    columns = cls.gates * units
    reuse, recurrent_reuse = _strategy(b, features, columns), _strategy(b, units, units)
    while recurrent_reuse[0] != reuse[0]:
        recurrent_reuse = _strategy(b, units, units)
    accum, recurrent_accum, state = b.type(), b.type(), b.type()
    tables = _tables(b, ("",), accum)
    fields: dict[str, Any] = {
        "weight": b.tensor((features, columns)), "recurrent_weight": b.tensor((units, columns)),
        "bias": b.tensor((columns,)) if rng.random() < 0.6 else None,
        "recurrent_bias": b.tensor((columns,)) if rng.random() < 0.5 else None,
        "activation": str(rng.choice(ACTIVATIONS)), "table": tables["table"], "table_address": tables["address"],
        "accum": accum, "recurrent_accum": recurrent_accum, "state": state, "strategy": reuse[0],
        "reuse_factor": reuse[1], "recurrent_reuse_factor": recurrent_reuse[1],
        "go_backwards": bool(rng.random() < 0.5), "return_sequences": bool(rng.random() < 0.5),
        "flip": bool(rng.random() < 0.5), "output": int(rng.integers(cls.states)),
    }  # fmt: skip
    if cls is not SimpleRnn:
        fields |= {"recurrent_activation": str(rng.choice(ACTIVATIONS)), **_tables(b, ("recurrent_",), accum)}
    if cls is Lstm:
        fields |= {"cell": b.type(), **_tables(b, ("cell_",), state)}
    if cls is Gru:
        fields |= {"reset_after": bool(rng.random() < 0.5)}
    return cls(**fields)


def _recurrent(cls: type[Recurrent]) -> Callable[[Builder], None]:
    def make(b: Builder) -> None:
        x = b.pick(lambda node: _small(node, (2,)))
        if x is None:
            return
        _add_loop(b, typed_cell(b, cls, x.shape[1]), x)

    return make


def _add_loop(b: Builder, op: Loop, x: Node) -> None:
    """Nodes of one computation, perhaps from states that are given."""
    sizes = op.state_sizes()
    starts = [b.pick(lambda node, size=size: node.shape == (size,)) for size in sizes]  # type: ignore[misc]
    given = [node for node in starts if node is not None]
    inputs = [x, *given] if len(given) == len(sizes) and b.rng.random() < 0.7 else [x]
    b.add(op, inputs)
    for _ in range(int(b.rng.integers(0, 3))):
        further = replace(op, output=int(b.rng.integers(len(sizes))), flip=bool(b.rng.random() < 0.5),
                          return_sequences=bool(b.rng.random() < 0.5))  # fmt: skip
        b.add(further, inputs)


def add_scan(b: Builder) -> None:
    """A loop over steps of random operations; every next state is a vector of sums."""
    x = b.pick(lambda node: _small(node, (2,)))
    if x is None:
        return
    rng, own = b.rng, Builder(b.rng, b.widths, b.strategies, prefix=f"in{len(b.nodes)}_")
    sizes = [int(n) for n in rng.integers(1, 5, size=int(rng.integers(1, 4)))]
    for size in (x.shape[1], *sizes):
        own.add(Input((size,)))
    names = sorted(MAKERS)
    for _ in range(int(rng.integers(0, 8))):
        MAKERS[names[rng.integers(len(names))]](own)
    after = []
    for size in sizes:
        found = own.pick(_small)
        assert found is not None
        flat = own.add(Reshape((int(np.prod(found.shape)),)), [found])
        weight = own.tensor((flat.shape[0], size))
        after.append(own.add(Dense(weight, None, own.type(), *_strategy(own, *weight.shape)), [flat]).name)
    op = Scan(body=Graph("inside", tuple(own.nodes), tuple(after)), output=int(rng.integers(len(sizes))),
              go_backwards=bool(rng.random() < 0.5), return_sequences=bool(rng.random() < 0.5),
              flip=bool(rng.random() < 0.5))  # fmt: skip
    _add_loop(b, op, x)


def _normalize(b: Builder) -> None:
    x = b.pick(_small)
    if x is None:
        return
    rng, rank = b.rng, len(x.shape)
    axes = tuple(axis for axis in range(rank) if rng.random() < 0.5) or (rank - 1,)
    at = int(rng.choice(axes))
    groups = int(rng.choice([n for n in range(1, x.shape[at] + 1) if x.shape[at] % n == 0]))
    epsilon = 0.0 if rng.random() < 0.2 else float(2.0 ** rng.integers(-30, 8) * rng.random())
    table = b.tensor((int(rng.integers(1, 60)),))
    scale = b.tensor(b.broadcastable(x.shape)) if rng.random() < 0.5 else None
    bias = b.tensor(b.broadcastable(x.shape)) if rng.random() < 0.5 else None
    b.add(Normalize(axes=axes, statistic=str(rng.choice(STATISTICS)), epsilon=epsilon, groups=groups, group_axis=at,
                    scale=scale, bias=bias, guard=2 * int(rng.integers(0, 5)), table=table,
                    table_shift=int(rng.integers(0, 2 * x.fixed().width)), accum=b.type()), [x])  # fmt: skip


def _equation(b: Builder, shape: Shape, other: Shape) -> str:
    """Letters for two shapes, some of them in both, and for their product."""
    rng, first, second = b.rng, "abcd"[: len(shape)], ""
    for at, size in enumerate(other):
        same = [c for c, n in zip(first, shape, strict=True) if n == size and c not in second]
        second += str(rng.choice(same)) if same and rng.random() < 0.7 else "wxyz"[at]
    kept = [c for c in dict.fromkeys(first + second) if (c in first) != (c in second) or rng.random() < 0.5]
    return f"{first},{second}->{''.join(rng.permutation(kept))}"


def _einsum(b: Builder) -> None:
    x = b.pick(_small)
    if x is None:
        return
    other = b.pick(_small) if b.rng.random() < 0.5 else None
    shape = b.shape() if other is None else other.shape
    weight = None if other is not None else b.tensor(shape)
    op = Einsum(_equation(b, x.shape, shape), weight, None, b.type() if b.rng.random() < 0.8 else None)
    inputs = [x] if other is None else [x, other]
    shapes, types = [node.shape for node in inputs], [node.fixed() for node in inputs]
    made = op.infer_shape(shapes)
    if int(np.prod(made)) > 300 or not made:
        return
    bias = b.tensor(b.broadcastable(made)) if b.rng.random() < 0.4 else None
    op = replace(op, bias=bias, accum=op.accum or op.sum_type(types, shapes))
    names = [name for name in op.strategies if name in b.strategies and not (_wide(b) and name == ADDERS)]
    rng = np.random.default_rng(len(b.nodes))  # of its own, which changes nothing in the rest of the graph
    strategy = str(rng.choice(names))
    (matrix,) = op.matrices(shapes, "io_parallel")
    b.add(op.reusing(strategy, int(rng.choice(matrix.legal(strategy)))), inputs)


def _gather(b: Builder) -> None:
    x = b.pick(lambda node: _small(node, (1, 2, 3)))
    if x is not None:
        b.add(Gather(b.tensor((int(b.rng.integers(1, 9)), int(b.rng.integers(1, 4))))), [x])


MAKERS: dict[str, Callable[[Builder], None]] = {
    "dense": _dense, "affine": _affine, "relu": _relu, "lut": _lut, "softmax": _softmax, "merge": _merge,
    "concatenate": _concatenate, "reshape": _reshape, "identity": _identity, "constant": _constant,
    "quantize": _quantize, "step": _step,
}  # fmt: skip
SPATIAL: dict[str, Callable[[Builder], None]] = {
    "conv": _conv, "pool": _pool, "reduce": _reduce, "pad": _pad, "transpose": _transpose, "repeat": _repeat,
    "interpolate": _interpolate,
}  # fmt: skip
SEQUENCE: dict[str, Callable[[Builder], None]] = {
    "simple_rnn": _recurrent(SimpleRnn), "lstm": _recurrent(Lstm), "gru": _recurrent(Gru),
    "normalize": _normalize, "einsum": _einsum, "gather": _gather,
}  # fmt: skip
LOOPS: dict[str, Callable[[Builder], None]] = {"scan": add_scan}


def random_graph(seed: int, nodes: int = 12, kinds: Collection[str] | None = None,
                 widths: tuple[int, int] = NARROW, strategies: Sequence[str] = STRATEGIES,
                 inputs: int = 3, spatial: bool = False, sequence: bool = False, loops: bool = False,
                 outside: int = 2) -> Graph:
    """A verified graph of about `nodes` nodes with all types resolved; every value that nothing reads is an output.

    spatial: with the ops of images, more often than others, and inputs of more axes. sequence: with recurrent cells,
    normalizations and products of values, more often than others. loops: with loops over steps of random operations.
    outside: as in `Builder`.
    """
    b = Builder(np.random.default_rng(seed), widths, strategies, outside)
    for _ in range(inputs):
        b.add(Input(b.shape()))
    makers = MAKERS | (SPATIAL if spatial else {}) | (SEQUENCE if sequence else {}) | (LOOPS if loops else {})
    names = sorted(makers if kinds is None else kinds)
    if spatial:
        for rank in (2, 3, 4):
            b.add(Input(tuple(int(n) for n in b.rng.integers(1, 8 - rank, size=rank))))
        names += [*["conv", "pool"] * 4, *SPATIAL]
    if sequence or loops:
        b.nodes += [Node(f"step{n}", Input((n, 3)), (), (n, 3), Layer(f"step{n}", "input"), b.type()) for n in (1, 4)]
        names += [*SEQUENCE] * 3 * sequence + [*LOOPS] * 6 * loops
    while len(b.nodes) < nodes:
        makers[names[b.rng.integers(len(names))]](b)
    read = {name for node in b.nodes for name in node.inputs}
    outputs = tuple(node.name for node in b.nodes if node.name not in read)
    return verify(Graph(f"random{seed}", tuple(b.nodes), outputs))


def random_inputs(graph: Graph, seed: int, samples: int) -> dict[str, IntArray]:
    """Integers for every input, samples first."""
    rng = np.random.default_rng(seed)
    return {node.name: integers(rng, (samples, *node.shape), node.fixed()) for node in graph.inputs}
