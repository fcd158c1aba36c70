"""Processes as C++ functions: the same text in the firmware and in the C simulation, but for where arrays lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kbuild.emit.hls.design import Array
from kbuild.emit.hls.stream.process import Arrays, Clone, Fifo, Network, Operand, Process

_COMPLETE = 1024  # elements of an array that become registers; of larger ones a packet lies side by side


def packet_types(network: Network) -> list[str]:
    """The C++ types of all packets."""
    types = {fifo.packet: f"kbuild::packet<type_{fifo.node}, {fifo.packing.width}>" for fifo in network.fifos}
    return [f"typedef {spelled} {name};" for name, spelled in types.items()]


def function(process: Process, fifos: Mapping[str, Fifo], simulated: bool = False) -> str:
    """The function of a process. With `simulated` constants and large arrays are in structs that it is given."""
    body = process.body
    if isinstance(body, Clone):
        lines = _clone(process, fifos)
    elif isinstance(body, Arrays):
        lines = _arrays(process, body, simulated)
    else:
        lines = [f"    {call.text('', 'constants.' if simulated else '')}" for call in body.step.calls]
    return "\n".join([f"// {process.title}", f"{_signature(process, fifos, simulated)} {{", *lines, "}"])


def call(process: Process, before: Sequence[str] = (), streams: str = "") -> str:
    """The statement that runs it, with further arguments before its streams."""
    arguments = [*before, *(streams + name for name in (*process.inputs, *process.outputs))]
    return f"{process.name}({', '.join(arguments)});"


def kept_arrays(process: Process) -> list[Array]:
    """Arrays that hold whole values: too large for the stack of a simulation."""
    body = process.body
    if not isinstance(body, Arrays) or not _whole(body):
        return []
    operands = [operand for group in body.before for operand in group] + list(body.each) + list(body.outputs)
    return [*(operand.array for operand in operands), *body.step.temporaries]


def _whole(body: Arrays) -> bool:
    operands = [*(operand for group in body.before for operand in group), *body.outputs]
    return body.passes == 1 and any(operand.packing.packets > 1 for operand in operands)


def _signature(process: Process, fifos: Mapping[str, Fifo], simulated: bool) -> str:
    streams = [f"hls::stream<{fifos[name].packet}>& in_{i}" for i, name in enumerate(process.inputs, start=1)]
    streams += [f"hls::stream<{fifos[name].packet}>& out_{i}" for i, name in enumerate(process.outputs, start=1)]
    before = ["const Constants& constants", "State& state"] if simulated else []
    return f"static void {process.name}({', '.join([*before, *streams])})"


def _clone(process: Process, fifos: Mapping[str, Fifo]) -> list[str]:
    fifo = fifos[process.inputs[0]]
    writes = [f"        out_{i}.write(packet);" for i, _ in enumerate(process.outputs, start=1)]
    read = f"        const {fifo.packet} packet = in_1.read();" if writes else "        in_1.read();"
    return [f"    for (int i = 0; i < {fifo.packing.packets}; ++i) {{", "#pragma HLS PIPELINE II=1", read, *writes,
            "    }"]  # fmt: skip


def _arrays(process: Process, body: Arrays, simulated: bool) -> list[str]:
    before = [operand for group in body.before for operand in group]
    own, side = f"state.{process.name}" if simulated and _whole(body) else None, body.step.side
    lines = [line for operand in before for line in _declared(operand.array, operand.packing.width, own, side)]
    for group in body.before:
        lines += _read_group(group)
    inner = [line for o in (*body.each, *body.outputs) for line in _declared(o.array, o.packing.width, own, side)]
    inner += [line for array in body.step.temporaries for line in _declared(array, 1, own, side)]
    inner += [_read(operand, "0") for operand in body.each]
    inner += [f"    {call.text('', 'constants.' if simulated else '')}" for call in body.step.calls]
    for operand in body.outputs:
        inner += _written(operand)
    if body.passes == 1:
        return lines + inner
    pipeline = [f"#pragma HLS PIPELINE II={body.interval}"] if body.interval else []
    return [*lines, f"    for (int pass = 0; pass < {body.passes}; ++pass) {{", *pipeline, *_indented(inner), "    }"]


def _declared(array: Array, width: int, own: str | None, side: int) -> list[str]:
    if own is not None:
        return [f"    {array.type_name}* const {array.name} = {own}.{array.name};"]
    how = "complete" if array.size <= max(_COMPLETE, side) else f"cyclic factor={max(width, side)}"
    return [f"    {array.type_name} {array.name}[{array.size}];",
            f"#pragma HLS ARRAY_PARTITION variable={array.name} {how}"]  # fmt: skip


def _read(operand: Operand, index: str) -> str:
    return f"    kbuild::read_packet(in_{operand.stream + 1}, {operand.array.name}, {index});"


def _read_group(group: Sequence[Operand]) -> list[str]:
    """One packet of each in turn, as long as it has any."""
    most = max(operand.packing.packets for operand in group)
    if most == 1:
        return [_read(operand, "0") for operand in group]
    lines = []
    for operand in group:
        packets = operand.packing.packets
        lines.append(("    " if packets == most else f"    if (i < {packets}) ") + _read(operand, "i").strip())
    return _loop(most, lines)


def _written(operand: Operand) -> list[str]:
    packets = operand.packing.packets
    write = f"    kbuild::write_packet({operand.array.name}, {{}}, out_{operand.stream + 1});"
    return [write.format(0)] if packets == 1 else _loop(packets, [write.format("i")])


def _loop(count: int, lines: Sequence[str]) -> list[str]:
    return [f"    for (int i = 0; i < {count}; ++i) {{", "#pragma HLS PIPELINE II=1", *_indented(lines), "    }"]


def _indented(lines: Sequence[str]) -> list[str]:
    return [line if line.startswith("#") else f"    {line}" for line in lines]
