"""The firmware of a design with streams: its ports, types, processes and top function."""

from __future__ import annotations

from kbuild.emit.hls.design import spell, type_name
from kbuild.emit.hls.stream.process import Network
from kbuild.emit.hls.stream.processes import is_alias
from kbuild.emit.hls.stream.text import call, function, packet_types
from kbuild.fixed import FixedType
from kbuild.ir import Graph

# How the elements of a packet are made one word of a FIFO. A port of Vitis is packed by its interface.
_PACKED = {"Vivado": "DATA_PACK variable={}", "Vitis": "AGGREGATE variable={} compact=bit"}
_PACKED_PORT = {"Vivado": "DATA_PACK variable={}", "Vitis": None}


def types(graph: Graph, network: Network) -> list[str]:
    """The C++ types of all values and packets. A value in the FIFO of another has its type, rounding modes included."""
    found: dict[str, FixedType] = {}
    for node in graph:
        inputs = graph.inputs_of(node)
        found[node.name] = found[inputs[0].name] if is_alias(node, inputs) else node.fixed()
    values = [(type_name(name), of) for name, of in found.items()]
    values += [(array.type_name, array.type) for step in network.steps() for array in step.temporaries]
    return [*(f"typedef {spell(of)} {name};" for name, of in values), "", *packet_types(network)]


def names(network: Network) -> set[str]:
    """All names in the C++ but those of types, configurations and constants."""
    found = {fifo.name for fifo in network.fifos} | {fifo.packet for fifo in network.fifos}
    found |= {process.name for process in network.processes}
    return found | {array.name for step in network.steps() for array in step.temporaries}


def parameters(network: Network) -> str:
    """The parameters of the top function."""
    return ", ".join(f"hls::stream<{fifo.packet}>& {fifo.name}" for fifo in network.ports())


def processes(network: Network) -> str:
    """`firmware/processes.h`."""
    guard = "KBUILD_PROCESSES_H"
    fifos = network.by_name()
    constants = [constant.name for step in network.steps() for constant in step.constants]
    return "\n".join([
        "// Every layer is a process: it reads packets from FIFOs and writes packets to others, and waits where one is",
        "// empty or full.",
        f"#ifndef {guard}", f"#define {guard}", "",
        '#include "parameters.h"', '#include "kernels/stream/packets.h"',
        *(f'#include "weights/{constant}.h"' for constant in constants), "",
        *(function(process, fifos) + "\n" for process in network.processes),
        "#endif",
    ]) + "\n"  # fmt: skip


def top(name: str, backend: str, network: Network) -> str:
    """`firmware/<name>.cpp`."""
    packed, packed_port = _PACKED[backend], _PACKED_PORT[backend]
    body = []
    for fifo in network.ports():
        body.append(f"#pragma HLS INTERFACE axis port={fifo.name}")
        body += [f"#pragma HLS {packed_port.format(fifo.name)}"] if packed_port else []
    body += ["#pragma HLS DATAFLOW", ""]
    for fifo in network.fifos:
        if not fifo.is_port:
            body += [f'    static hls::stream<{fifo.packet}> {fifo.name}("{fifo.name}");',
                     f"#pragma HLS STREAM variable={fifo.name} depth={fifo.depth}",
                     f"#pragma HLS {packed.format(fifo.name)}"]  # fmt: skip
    body += ["", *(f"    {call(process)}" for process in network.processes)]
    return "\n".join([f'#include "{name}.h"', "", '#include "processes.h"', "",
                      f"void {name}({parameters(network)}) {{", *body, "}"]) + "\n"  # fmt: skip

