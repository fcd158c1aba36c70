"""The processes that compute the nodes, not yet connected: a kernel on streams, packet by packet, or all at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from kbuild.dataclass import dataclass, replace
from kbuild.emit.hls.design import Array, Step, elements, type_name, value_name
from kbuild.emit.hls.steps import step as kernel_calls
from kbuild.emit.hls.steps import steps
from kbuild.emit.hls.stream.kernels import kernel
from kbuild.emit.hls.stream.packetwise import Plan, plan
from kbuild.emit.hls.stream.process import (
    Arrays,
    Body,
    Kernel,
    Operand,
    Packing,
    Process,
    Schedule,
    StreamKernel,
    natural,
)
from kbuild.fixed import contains
from kbuild.ir import Graph, Node
from kbuild.ops.concatenate import Concatenate
from kbuild.ops.identity import Identity
from kbuild.ops.merge import Merge
from kbuild.ops.multipliers import Multiplying
from kbuild.ops.pad import Pad
from kbuild.ops.quantize import Quantize
from kbuild.ops.relu import Relu
from kbuild.ops.repeat import Repeat
from kbuild.ops.reshape import Reshape
from kbuild.ops.step import Step as StepOp

# Cycles from a packet's arrival in a pipeline to the result's departure, more than what HLS tools make at the usual
# clocks of 100 to 250 MHz: of sums of products, tables and divisions; of one operation an element; of packets moved.
LATENCY = 12
SIMPLE = 6
MOVING = 3


@dataclass(frozen=True)
class Draft:
    """A process without its FIFOs: the values it reads, by the node that makes them, and those it writes."""

    process: Process
    reads: tuple[tuple[str, Packing], ...]
    writes: tuple[tuple[str, Packing], ...]


@dataclass
class _Values:
    """What is known of the values so far: the node in whose FIFO a value is, its packing there, and how late it is.

    Late counts the processes before it that write nothing until they have read everything.
    """

    source: dict[str, str]
    packing: dict[str, Packing]
    late: dict[str, int]

    def packings(self, nodes: Sequence[Node]) -> list[Packing]:
        return [self.packing[self.source[node.name]] for node in nodes]

    def lateness(self, nodes: Sequence[Node]) -> int:
        return max((self.late[self.source[node.name]] for node in nodes), default=0)


def is_alias(node: Node, inputs: Sequence[Node]) -> bool:
    """Whether a value is its input under another name: the same bits in the same order."""
    if not isinstance(node.op, Reshape) or node.fixed().plain() != inputs[0].fixed().plain():
        return False
    return contains(node.fixed(), inputs[0].fixed())  # the least value is none of a symmetric type


def drafts(graph: Graph) -> tuple[list[Draft], Mapping[str, str]]:
    """The processes in order, and for every node the one in whose FIFO its values are: a reshape costs nothing."""
    values = _Values({}, {}, {})
    for node in graph.inputs:
        values.source[node.name], values.late[node.name] = node.name, 0
        values.packing[node.name] = natural(node.shape)
    found = []
    for nodes, step in _computations(graph):
        inputs = graph.inputs_of(nodes[0])
        if is_alias(nodes[0], inputs):
            values.source[nodes[0].name] = values.source[inputs[0].name]
        else:
            found.append(_draft(nodes, step, inputs, values))
    return found, values.source


def _computations(graph: Graph) -> list[tuple[list[Node], Step]]:
    """Nodes with their kernel calls. A node that reads what another one keeps beside its value is computed with it."""
    found: list[tuple[list[Node], Step]] = []
    keeper: dict[str, int] = {}
    for node, step in steps(graph):
        own = {array.name for array in step.temporaries}
        others = {keeper[name] for call in step.calls for name in call.inputs if name in keeper and name not in own}
        index = others.pop() if others else len(found)
        if index == len(found):
            found.append(([node], step))
        else:
            nodes, first = found[index]
            step = replace(first, calls=(*first.calls, *step.calls), constants=(*first.constants, *step.constants),
                           temporaries=(*first.temporaries, *step.temporaries))  # fmt: skip
            found[index] = ([*nodes, node], step)
        keeper |= dict.fromkeys(own, index)
    return found


def _draft(nodes: Sequence[Node], step: Step, inputs: Sequence[Node], values: _Values) -> Draft:
    node, packings = nodes[0], values.packings(inputs)
    alone = len(nodes) == 1
    own = kernel(node, inputs, packings) if alone else None
    found = plan(node, inputs, packings) if alone and own is None else None
    if own is not None:
        draft = _of_kernel(node, own, inputs, values)
    elif found is not None:
        draft = _packetwise(node, found, inputs, values)
    else:
        draft = _buffered(nodes, step, inputs, values)
    late = values.lateness(inputs) + _is_late(draft.process.schedule)
    for name, packing in draft.writes:
        values.source[name], values.packing[name], values.late[name] = name, packing, late
    return draft


def _is_late(schedule: Schedule) -> bool:
    """Whether nothing is written before everything is read, with more than one packet to read."""
    reading, writing = np.flatnonzero(schedule.reads.any(axis=1)), np.flatnonzero(schedule.writes.any(axis=1))
    return schedule.reads.sum() > 1 and len(writing) > 0 and bool(reading[-1] <= writing[0])


def _process(node: Node, title: str, body: Body, schedule: Schedule, lag: int) -> Process:
    return Process(f"process_{node.name}", f"{node.op.kind}, {title}", (), (), body, schedule, lag)


def _of_kernel(node: Node, own: StreamKernel, inputs: Sequence[Node], values: _Values) -> Draft:
    """The same call on the process' own streams."""
    names = tuple(f"in_{i}" for i, _ in enumerate(inputs, start=1))
    step = Step(own.header, (replace(own.call, inputs=names, output="out_1"),), own.constants)
    schedule = replace(own.schedule, writes=own.schedule.writes.reshape(len(own.schedule.reads), 1))
    process = _process(node, "as it comes", Kernel(step), schedule, _lag(_latency(node), own.interval))
    reads = tuple((values.source[x.name], packing) for x, packing in zip(inputs, own.reads, strict=True))
    return Draft(process, reads, ((node.name, own.writes),))


def _packetwise(node: Node, made: Plan, inputs: Sequence[Node], values: _Values) -> Draft:
    distinct = list({x.name: (x, packing, shape)
                     for x, packing, shape in zip(inputs, made.reads, made.shapes, strict=True)}.values())  # fmt: skip
    virtual = [replace(x, shape=shape) for x, shape in zip(inputs, made.shapes, strict=True)]
    step = kernel_calls(replace(node, op=made.op, shape=made.shape), virtual)
    passes = made.writes.packets
    each: list[tuple[Node, Operand]] = []
    once: list[tuple[Node, Operand]] = []
    for i, (x, packing, shape) in enumerate(distinct):
        operand = Operand(i, _array(x, elements(shape)), Packing(1, packing.width))
        (each if packing.packets == passes else once).append((x, operand))
    result = Operand(0, _array(node, made.writes.width), Packing(1, made.writes.width))
    interval = _interval(node)
    body = Arrays(step, _in_turn(once, values), tuple(o for _, o in each), passes, (result,), interval)
    lag = _lag(_latency(node), interval) if passes > 1 else 0
    process = _process(node, "packet by packet", body, _schedule(body, len(distinct)), lag)
    reads = tuple((values.source[x.name], packing) for x, packing, _ in distinct)
    return Draft(process, reads, ((node.name, made.writes),))


def _buffered(nodes: Sequence[Node], step: Step, inputs: Sequence[Node], values: _Values) -> Draft:
    distinct = list({x.name: x for x in inputs}.values())
    packings = values.packings(distinct)
    operands = [(x, Operand(i, _array(x, packing.elements), packing))
                for i, (x, packing) in enumerate(zip(distinct, packings, strict=True))]  # fmt: skip
    writes = [(node, natural(node.shape)) for node in nodes]
    results = tuple(Operand(i, _array(node, to.elements), to) for i, (node, to) in enumerate(writes))
    body = Arrays(step, _in_turn(operands, values), (), 1, results, 0)
    process = _process(nodes[0], "the whole value at once", body, _schedule(body, len(distinct)), 0)
    reads = tuple((values.source[x.name], packing) for x, packing in zip(distinct, packings, strict=True))
    return Draft(process, reads, tuple((node.name, to) for node, to in writes))


def _array(node: Node, size: int) -> Array:
    return Array(value_name(node.name), type_name(node.name), node.fixed(), size)


def _in_turn(operands: Sequence[tuple[Node, Operand]], values: _Values) -> tuple[tuple[Operand, ...], ...]:
    """What comes late is read last, so that it need not wait in deep FIFOs; what comes together is read together."""
    groups: dict[int, list[Operand]] = {}
    for node, operand in operands:
        groups.setdefault(values.lateness([node]), []).append(operand)
    return tuple(tuple(groups[late]) for late in sorted(groups))


def _interval(node: Node) -> int:
    if isinstance(node.op, Multiplying):
        return 0 if node.op.strategy == "resource" else node.op.reuse_factor
    return 1


def _latency(node: Node) -> int:
    simple = isinstance(node.op, Relu | Merge | Quantize | StepOp | Identity | Reshape | Concatenate | Pad | Repeat)
    return SIMPLE if simple else LATENCY


def _lag(latency: int, interval: int) -> int:
    """Firings between the arrival of a packet and the departure of its result."""
    return -(-latency // interval) if interval else 0


def _schedule(body: Arrays, inputs: int) -> Schedule:
    reads, writes = [], []
    for group in body.before:
        together = np.zeros((max(o.packing.packets for o in group), inputs), np.int64)
        for operand in group:
            together[: operand.packing.packets, operand.stream] = 1
        reads.append(together)
        writes.append(np.zeros((len(together), len(body.outputs)), np.int64))
    each = np.zeros((body.passes, inputs), np.int64)
    each[:, [operand.stream for operand in body.each]] = 1
    reads.append(each)
    writes.append(np.tile([[operand.packing.packets for operand in body.outputs]], (body.passes, 1)))
    return Schedule(np.concatenate(reads), np.concatenate(writes))
