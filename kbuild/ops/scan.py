"""`scan`: a graph for each step of a sequence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np

from kbuild.dataclass import dataclass, replace
from kbuild.fixed import FixedType, FloatArray, IntArray
from kbuild.ir import Evaluation, Graph, Interval, Node, OverflowCount, Shape, Tensor, verify
from kbuild.ops import bounds
from kbuild.ops.casting import recast_inside, recast_into
from kbuild.ops.contraction import Contraction
from kbuild.ops.loop import Loop
from kbuild.ops.multipliers import Matrix, Multiplying
from kbuild.ops.walk import Array, compute_float, counting, prepared, walk

Floats = tuple[FloatArray, ...]


@dataclass(frozen=True, kw_only=True)
class Scan(Loop, Multiplying):
    """`body` applied step by step to x [T, K]: what recurrent cells with operations of their own become.

    The body's inputs are an element x[t] [K] and the states, vectors; its outputs are the next states, none of which is
    an input itself. x[t], the initial states and the next states are cast to the types of the body's inputs. Nothing
    else happens between two steps: what a state is rounded to is its type, and all in between is in the body.
    """

    body: Graph

    settings: ClassVar[tuple[str, ...]] = (*Multiplying.settings, "RecurrentReuseFactor")
    kind: ClassVar[str] = "scan"
    arity: ClassVar[tuple[int, int | None]] = (1, None)

    def inside(self) -> Graph:
        return self.body

    def with_inside(self, graph: Graph) -> Scan:
        return replace(self, body=graph)

    @property
    def element(self) -> Node:
        """The body's input for an element of the sequence."""
        return self.body.inputs[0]

    @property
    def before(self) -> tuple[Node, ...]:
        """The body's inputs for the states."""
        return self.body.inputs[1:]

    @property
    def after(self) -> tuple[Node, ...]:
        """The nodes of the next states."""
        return tuple(self.body[name] for name in self.body.outputs)

    def state_sizes(self) -> tuple[int, ...]:
        return tuple(node.shape[0] for node in self.before)

    def state_types(self) -> tuple[FixedType, ...]:
        return tuple(node.fixed() for node in self.before)

    def recurrent_nodes(self) -> frozenset[str]:
        """Names of the nodes of the body that depend on the states."""
        found = {node.name for node in self.before}
        for node in self.body:
            if not found.isdisjoint(node.inputs):
                found.add(node.name)
        return frozenset(found)

    # ---- multipliers: those inside

    def _multiplying(self) -> tuple[tuple[Node, Contraction], ...]:
        return tuple((node, node.op) for node in self.body if isinstance(node.op, Contraction))

    @property
    def strategy(self) -> str:
        return next((op.strategy for _, op in self._multiplying()), "latency")

    @property
    def reuse_factor(self) -> int:
        return next(iter(self.reuse_factors), 1)

    @property
    def reuse_factors(self) -> tuple[int, ...]:
        return tuple(op.reuse_factor for _, op in self._multiplying())

    @property
    def constants(self) -> tuple[Tensor, ...]:
        return tuple(op.weight for _, op in self._multiplying())

    def reusing(self, strategy: str, *reuse: int) -> Scan:
        inside = zip(self._multiplying(), reuse, strict=True)
        made = {node.name: replace(node, op=op.reusing(strategy, factor)) for (node, op), factor in inside}
        return self.with_inside(self.body.with_nodes(made.get(node.name, node) for node in self.body))

    def matrices(self, shapes: Sequence[Shape], io_type: str) -> tuple[Matrix, ...]:
        later = self.recurrent_nodes()
        return tuple(
            replace(matrix, recurrent=node.name in later)
            for node, op in self._multiplying()
            for matrix in op.matrices([source.shape for source in self.body.inputs_of(node)], io_type)
        )

    def verify(self, shapes: Sequence[Shape]) -> None:
        verify(self.body)
        before, after = [node.shape for node in self.before], [node.shape for node in self.after]
        if not before or before != after or any(len(shape) != 1 for shape in before):
            raise ValueError(f"the body makes states of the shapes {after} from states of the shapes {before}")
        if any(node.op.kind == "input" for node in self.after):
            raise ValueError("a next state is an input of the body as it is")
        super().verify(shapes)
        if shapes[0][1:] != self.element.shape:
            raise ValueError(f"the body takes elements of shape {self.element.shape}, not {shapes[0][1:]}")

    def _given(self, x: Array, states: Sequence[Array]) -> Mapping[str, Array]:
        return {node.name: value for node, value in zip(self.body.inputs, (x, *states), strict=True)}

    # ---- integers

    def eval(
        self, inputs: Sequence[IntArray], types: Sequence[FixedType], result: FixedType, overflow: OverflowCount
    ) -> IntArray:
        return self.prepared(types, result)(inputs, overflow)

    def prepared(self, types: Sequence[FixedType], result: FixedType) -> Evaluation:
        evaluations, of = prepared(self.body), self.state_types()
        made = [node.fixed() for node in self.after]

        def evaluate(inputs: Sequence[IntArray], overflow: OverflowCount) -> IntArray:
            samples = len(inputs[0])
            inside = {name: OverflowCount() for name in evaluations}
            compute = counting(evaluations, inside, samples)
            x = recast_inside(inputs[0], types[0], self.element.fixed(), overflow)

            def step(t: int, states: tuple[IntArray, ...]) -> tuple[IntArray, ...]:
                values = dict(walk(self.body, self._given(x[:, t], states), compute))
                after = zip((values[name] for name in self.body.outputs), made, of, strict=True)
                return tuple(recast_inside(value, exact, to, overflow) for value, exact, to in after)

            states = tuple(np.zeros((samples, size), np.int64) for size in self.state_sizes())
            if len(inputs) > 1:
                starts = zip(inputs[1:], types[1:], of, strict=True)
                states = tuple(recast_inside(start, its, to, overflow) for start, its, to in starts)
            kept = self.kept(x.shape[1], states, step)
            overflow.add(inside=sum(self.body[name].overflows(count) for name, count in inside.items()))
            value = np.stack(kept, axis=1) if self.return_sequences else kept[-1]
            return recast_into(value, of[self.output], result, overflow)

        return evaluate

    # ---- floats

    def eval_float(self, inputs: Sequence[FloatArray]) -> FloatArray:
        def step(t: int, states: Floats) -> Floats:
            values = dict(walk(self.body, self._given(inputs[0][:, t], states), compute_float))
            return tuple(values[name] for name in self.body.outputs)

        kept = self.kept(inputs[0].shape[1], self._start(inputs), step)
        return np.stack(kept, axis=1) if self.return_sequences else kept[-1]

    def values_inside(self, inputs: Sequence[FloatArray]) -> Iterator[tuple[str, FloatArray]]:
        """Name and float64 value of every node of the body in every step."""
        states = self._start(inputs)
        for t in range(inputs[0].shape[1])[:: -1 if self.go_backwards else 1]:
            values = dict(walk(self.body, self._given(inputs[0][:, t], states), compute_float))
            yield from values.items()
            states = tuple(values[name] for name in self.body.outputs)

    def _start(self, inputs: Sequence[FloatArray]) -> Floats:
        return tuple(inputs[1:]) or tuple(np.zeros((len(inputs[0]), size)) for size in self.state_sizes())

    # ---- bounds

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        """Those of the state's type, which hold whatever the steps add up to."""
        low, high = (float(end) for end in self.state_types()[self.output].range)
        return bounds.constant(low, high, self.infer_shape([inputs[0].low.shape]))
