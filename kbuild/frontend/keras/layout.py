"""Layouts: layers see channels last. Whatever else the model says is a transposition, which is moved out of the way.

A layer with `data_format: channels_first` becomes a transposition of its input, the layer, and a transposition back. So
the graph is right as it stands; `move_transposes` then moves them towards the outputs, through everything that works
element by element, where most meet their inverse. Those of the model's inputs and outputs remain.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np

from kbuild.dataclass import replace
from kbuild.fixed import IntArray
from kbuild.frontend.keras.handler import LayerCall
from kbuild.frontend.keras.names import Names
from kbuild.ir import Graph, Node, Op, Shape, Tensor
from kbuild.ops.affine import Affine
from kbuild.ops.concatenate import Concatenate
from kbuild.ops.dense import Dense
from kbuild.ops.identity import Identity
from kbuild.ops.lut import Lut
from kbuild.ops.merge import Merge
from kbuild.ops.relu import Relu
from kbuild.ops.reshape import Reshape
from kbuild.ops.transpose import Transpose

Axes = tuple[int, ...]
Build = Callable[[LayerCall], Node]

FORMATS = ("channels_last", "channels_first")
_UNARY = (Identity, Lut, Relu, Affine)


def channels_last(build: Build) -> Build:
    """The same for a layer with a `data_format`: `build` sees values with the channels in the last axis."""

    def wrapped(call: LayerCall) -> Node:
        given = call.config.text("data_format", FORMATS[0]) if call.config.has("data_format") else FORMATS[0]
        if given not in FORMATS:
            raise call.error(f"data_format is {given[:20]}, not channels_last or channels_first")
        if given == FORMATS[0] or len(call.shape) < 2:
            return build(call)
        return over_last_axis(call, 0, build)

    return wrapped


def over_last_axis(call: LayerCall, axis: int, build: Build) -> Node:
    """What `build` makes of the input with `axis` moved to the end; moved back where the rank is still the same."""
    rank = len(call.shape)
    if axis == rank - 1:
        return build(call)
    axes = (*range(axis), *range(axis + 1, rank), axis)
    made = build(call.on(call.add_transpose(call.input, axes)))
    return call.add_transpose(made, _inverse(axes)) if len(made.shape) == rank else made


def _inverse(axes: Axes) -> Axes:
    return tuple(axes.index(axis) for axis in range(len(axes)))


def move_transposes(graph: Graph, layout: Collection[str]) -> Graph:
    """An equal graph with as few of the transpositions named in `layout` as possible."""
    return _Mover(graph, layout).run() if layout else graph


class _Mover:
    """New nodes, and for each old one the new node and the order of its axes in which it equals the old.

    An old value with the axes `a` is the transposition by `a` of the new one. A flattened one has instead the order
    of its elements: old[j] = new[order[j]].
    """

    def __init__(self, graph: Graph, layout: Collection[str]) -> None:
        self.graph, self.layout = graph, layout
        self.nodes: dict[str, Node] = {}
        self.axes: dict[str, tuple[str, Axes | None]] = {}
        self.orders: dict[str, IntArray] = {}
        self.made: dict[tuple[str, Axes], str] = {}
        self.names = Names(ignore_case=True)
        for node in graph.everywhere():
            if node.name not in layout:
                self.names.take(node.name)

    def run(self) -> Graph:
        for node in self.graph:
            self.axes[node.name] = self._moved(node)
        outputs = tuple(self._plain(name) for name in self.graph.outputs)
        return replace(self.graph, nodes=tuple(self.nodes.values()), outputs=outputs)

    def _moved(self, node: Node) -> tuple[str, Axes | None]:
        sources = [self.axes[name] for name in node.inputs]
        if node.name in self.layout:
            assert isinstance(node.op, Transpose)
            name, axes = sources[0]
            return name, _simple(_then(axes, node.op.axes))
        axes = sources[0][1] if sources else None
        same = axes is not None and all(other == axes for _, other in sources)
        order = self.orders.get(sources[0][0]) if sources else None
        if order is not None:
            return self._reordered(node, order)
        if axes is None or not same:
            return self._add(node, node.op, [self._plain(name) for name in node.inputs], node.shape)
        if isinstance(node.op, Reshape) and self._ends_in_dense(node):
            old = np.arange(np.prod(node.shape)).reshape(self.nodes[sources[0][0]].shape)
            added = self._add(node, node.op, [sources[0][0]], node.shape)
            self.orders[node.name] = old.transpose(axes).ravel()
            return added
        op = _permuted(node.op, axes)
        if op is None:
            return self._add(node, node.op, [self._plain(name) for name in node.inputs], node.shape)
        if isinstance(node.op, Transpose):
            return self._add(node, op, [sources[0][0]], node.shape)
        shape = tuple(node.shape[i] for i in _inverse(axes))
        return self._add(node, op, [name for name, _ in sources], shape)[0], axes

    def _reordered(self, node: Node, order: IntArray) -> tuple[str, Axes | None]:
        """A node that reads a flattened value whose elements stand in another order."""
        sources = [self.axes[name][0] for name in node.inputs]
        op, back = node.op, np.argsort(order)
        if isinstance(op, Dense):
            return self._add(node, replace(op, weight=Tensor(op.weight.floats()[back])), sources, node.shape)
        self.orders[node.name] = order
        return self._add(
            node, _indexed(op, lambda values: values[back] if len(values) > 1 else values), sources, node.shape
        )

    def _ends_in_dense(self, node: Node) -> bool:
        """Whether the flattened value is read only by dense layers, perhaps after functions of single elements."""
        waiting = [node]
        while waiting:
            value = waiting.pop()
            users = self.graph.users[value.name]
            if len(value.shape) != 1 or value.name in self.graph.outputs or not users:
                return False
            if not all(isinstance(user.op, Dense | Identity | Lut | Relu | Affine) for user in users):
                return False
            waiting += [user for user in users if not isinstance(user.op, Dense)]
        return True

    def _plain(self, name: str) -> str:
        """The name of a node with the old value itself."""
        source, axes = self.axes[name]
        if axes is None:
            return source
        if (source, axes) not in self.made:
            node = self.nodes[source]
            shape = tuple(node.shape[axis] for axis in axes)
            still = [axis for axis in axes if node.shape[axis] > 1]
            op: Op = Reshape(shape) if still == sorted(still) else Transpose(axes)
            added = replace(node, name=self.names.take(f"{source}_transposed"), op=op, inputs=(source,), shape=shape)
            self.nodes[added.name] = added
            self.made[source, axes] = added.name
        return self.made[source, axes]

    def _add(self, node: Node, op: Op, inputs: list[str], shape: Shape) -> tuple[str, Axes | None]:
        self.nodes[node.name] = replace(node, op=op, inputs=tuple(inputs), shape=shape)
        return node.name, None


def _then(first: Axes | None, second: Axes) -> Axes:
    """The axes of one transposition after another."""
    return second if first is None else tuple(first[axis] for axis in second)


def _simple(axes: Axes) -> Axes | None:
    return None if axes == tuple(range(len(axes))) else axes


def _permuted(op: Op, axes: Axes) -> Op | None:
    """The op on values that are not yet transposed by `axes`: its result is to be transposed; None where there is none.

    A transposition of the user's takes the axes into itself: its result is final.
    """
    if isinstance(op, Transpose):
        return Transpose(_then(axes, op.axes))
    if isinstance(op, Merge):
        return op
    if isinstance(op, Concatenate):
        return Concatenate(axes[op.axis])
    if isinstance(op, _UNARY):
        return _indexed(op, lambda values: values.transpose(_inverse(axes)) if values.ndim else values)
    return None


def _indexed(op: Op, arrange: Callable[[IntArray], IntArray]) -> Op:
    """A function of single elements with its constants arranged anew."""
    if isinstance(op, Affine):
        return replace(op, scale=Tensor(arrange(op.scale.floats())), bias=Tensor(arrange(op.bias.floats())))
    if isinstance(op, Relu) and op.slope is not None:
        return replace(op, slope=Tensor(arrange(op.slope.floats())))
    return op
