"""Kernel calls of recurrent cells and other loops. Nodes that return different states of one computation share it."""

from __future__ import annotations

from collections.abc import Sequence

from kbuild.dataclass import dataclass, replace
from kbuild.emit.hls import cells, scan
from kbuild.emit.hls.design import Array, Call, Config, Step, config_name, numbered, value_name
from kbuild.emit.hls.loops import Body, over_arrays
from kbuild.ir import Graph, Node, Op
from kbuild.ops.loop import Loop
from kbuild.ops.rnn import Recurrent
from kbuild.ops.scan import Scan


def recurrent(node: Node, op: Loop, inputs: Sequence[Node]) -> Step:
    """The computation of one node."""
    return _computation((node,), inputs)


def shared(graph: Graph) -> dict[str, Step]:
    """The steps, by name, of all nodes that are one computation with other nodes."""
    together: dict[tuple[Op, tuple[str, ...]], list[Node]] = {}
    for node in graph:
        if isinstance(node.op, Loop):
            computed = replace(node.op, output=0, return_sequences=False, flip=False)
            together.setdefault((computed, node.inputs), []).append(node)
    found: dict[str, Step] = {}
    for nodes in together.values():
        if len(nodes) > 1:
            found[nodes[0].name] = _computation(nodes, graph.inputs_of(nodes[0]))
            found |= {node.name: Step("recurrent.h", (_share(node, nodes),)) for node in nodes[1:]}
    return found


# ---- states: where they are kept, and what the nodes read of them


@dataclass(frozen=True)
class _Kept:
    """Where the kernel writes the state of a number: `kept` of its values, one after each step, or the last one."""

    array: Array
    kept: int
    flip: int
    own: bool  # written by the kernel to the node's own array


def _kept(number: int, nodes: Sequence[Node]) -> _Kept:
    """The state's array: that of the first node where no other node reads this state, else an intermediate one."""
    first = nodes[0]
    op = _op(first)
    wanted = [node for node in nodes if _op(node).output == number]
    if wanted == [first]:
        array = Array(value_name(first.name), "", first.fixed(), 0)
        return _Kept(array, first.shape[0] if op.return_sequences else 1, int(op.flip), own=True)
    lengths = [node.shape[0] for node in wanted if _op(node).return_sequences]
    kept = max(lengths, default=1)
    sizes = op.state_sizes()
    array = Array(f"partial_{number}_{first.name}", f"partial_type_{number}_{first.name}",
                  op.state_types()[number].plain(), kept * sizes[number])  # fmt: skip
    return _Kept(array, kept, 0, own=False)


def _share(node: Node, nodes: Sequence[Node]) -> Call:
    """A node's value out of what the first of the nodes keeps."""
    op = _op(node)
    kept = _kept(op.output, nodes)
    integers = {"kept": kept.kept, "units": node.shape[-1], "flip": int(op.flip),
                "returned": node.shape[0] if op.return_sequences else 1}
    return Call("states", Config(config_name(node.name), integers, {}), (kept.array.name,), value_name(node.name))


def _op(node: Node) -> Loop:
    assert isinstance(node.op, Loop)
    return node.op


# ---- the computation


def _computation(nodes: Sequence[Node], inputs: Sequence[Node]) -> Step:
    """The step of the first of the nodes: the loop, and the node's own value."""
    node, op = nodes[0], _op(nodes[0])
    kept = [_kept(number, nodes) for number, _ in enumerate(op.state_sizes())]
    integers: dict[str, int] = {}
    for number, each in enumerate(kept):
        integers |= {f"kept{number}": each.kept, f"flip{number}": each.flip}
    body = body_of(node, op, inputs[0])
    calls = [Call(None, over_arrays(node, op, body, inputs, integers), tuple(value_name(x.name) for x in inputs),
                  kept[0].array.name, tuple(constant.name for constant in body.constants),
                  tuple(each.array.name for each in kept[1:]))]  # fmt: skip
    if not kept[op.output].own:
        calls.append(_share(node, nodes))
    temporaries = tuple(each.array for each in kept if not each.own)
    return Step("recurrent.h", numbered(calls), body.constants, temporaries, inside=body.steps)


def body_of(node: Node, op: Loop, x: Node) -> Body:
    """One step of the loop over the sequence x."""
    if isinstance(op, Scan):
        return scan.body(op)
    assert isinstance(op, Recurrent)
    return cells.body(node, op, x)
