"""The C simulation of a design with streams, a library as `backends/csim/streaming.h` describes."""

from __future__ import annotations

from collections.abc import Sequence

from kbuild.emit.hls import tables
from kbuild.emit.hls.design import Constant, includes
from kbuild.emit.hls.stream.process import Network
from kbuild.emit.hls.stream.project import types
from kbuild.emit.hls.stream.text import call, function, kept_arrays
from kbuild.ir import Graph

MAIN = "csim.cpp"
HEADERS = ("stream/packets.h",)
_PROCESSES, _FILES = 6, 8  # so many processes are worth a file, which has all types to read again


def files(graph: Graph, network: Network) -> dict[str, str]:
    """The C++ by path; what is compiled does not depend on weights or depths.

    `MAIN` knows the design by tables only. The processes are several files, compiled at once: they are dealt out by
    what they compute, so that each file gets a like share.
    """
    count = min(max(-(-len(network.processes) // _PROCESSES), 1), _FILES)
    constants = [constant for step in network.steps() for constant in step.constants]
    numbers = sorted(range(len(network.processes)), key=lambda i: network.processes[i].title)
    parts = [sorted(numbers[part::count]) for part in range(count)]
    found = {"csim.h": _declarations(graph, network, constants, count)}
    found |= {MAIN: _main(graph, network, constants, parts)}
    found |= {f"part_{number}.cpp": _part(network, number, part) for number, part in enumerate(parts)}
    return {path: "\n".join(lines) + "\n" for path, lines in found.items()}


def _declarations(graph: Graph, network: Network, constants: Sequence[Constant], parts: int) -> list[str]:
    """Types, constants and FIFOs."""
    return [
        "// C simulation of a design with streams. The weights are loaded at run time.",
        '#include "ap_types/ap_fixed.h"',
        '#include "ap_types/hls_stream.h"',
        '#include "kernels/stream/packets.h"',
        "",
        *types(graph, network),
        "",
        *tables.constants_struct(constants),
        "",
        *_state(network),
        "",
        *(f"void run_part_{number}(const void* constants, void* state, int process);" for number in range(parts)),
    ]


def _part(network: Network, number: int, indices: Sequence[int]) -> list[str]:
    """Some of the processes, and the function that runs one of them."""
    fifos = network.by_name()
    chosen = [(index, network.processes[index]) for index in indices]
    steps = [process.step for _, process in chosen if process.step is not None]
    return [
        '#include "csim.h"',
        *includes(steps),
        "",
        *(call.config.text() for step in steps for call in step.calls),
        "",
        *(function(process, fifos, simulated=True) + "\n" for _, process in chosen),
        f"void run_part_{number}(const void* from, void* to, int process) {{",
        "    const Constants& constants = *static_cast<const Constants*>(from);",
        "    State& state = *static_cast<State*>(to);",
        "    switch (process) {",
        *(f"        case {i}: {call(p, ('constants', 'state'), 'state.')} break;" for i, p in chosen),
        "    }",
        "    (void)constants;",
        "}",
    ]


def _state(network: Network) -> list[str]:
    """The FIFOs, and the arrays that are too large for a stack."""
    lines = ["struct State {"]
    lines += [f'    hls::stream<{fifo.packet}> {fifo.name}{{"{fifo.name}"}};' for fifo in network.fifos]
    for process in network.processes:
        arrays = kept_arrays(process)
        if arrays:
            members = " ".join(f"{array.type_name} {array.name}[{array.size}];" for array in arrays)
            lines.append(f"    struct {{ {members} }} {process.name};")
    return [*lines, "};"]


def _main(graph: Graph, network: Network, constants: Sequence[Constant], parts: Sequence[Sequence[int]]) -> list[str]:
    """The tables of the design; `parts` has the numbers of the processes in each part."""
    fifos, numbers = network.fifos, {fifo.name: number for number, fifo in enumerate(network.fifos)}
    left = {fifo.name: fifo.packing.packets for fifo in network.ports(network.outputs)}
    part_of = {process: number for number, part in enumerate(parts) for process in part}
    return [
        "#ifdef __APPLE__",
        "#define _XOPEN_SOURCE 700  // for ucontext.h",
        "#define _DARWIN_C_SOURCE",
        "#endif",
        '#include "streaming.h"',
        "",
        '#include "csim.h"',
        "",
        *tables.constants_table(constants),
        *tables.table("kbuild::fifo", "fifos", (
            f"{{{fifo.packing.packets}, {left.get(fifo.name, 0)}, {fifo.packing.packets} * sizeof({fifo.packet})}}"
            for fifo in fifos)),
        "static void (*const processes[])(const void*, void*, int) = {",
        *(f"    run_part_{part_of[process]}," for process in range(len(part_of))),
        "};",
        *tables.table("int", "nodes", (numbers[network.values[node.name]] for node in graph)),
        *tables.table("int", "inputs", (numbers[name] for name in network.inputs)),
        "static void* make_state(hls::stream_base** streams) {",
        "    State* const state = new State;",
        *(f"    streams[{number}] = &state->{fifo.name};" for number, fifo in enumerate(fifos)),
        "    return state;",
        "}",
        "static void delete_state(void* state) { delete static_cast<State*>(state); }",
        "const kbuild::stream_design kbuild::design = {",
        f"    ::make_state, ::delete_state, ::processes, {len(part_of)}, ::fifos, {len(fifos)}, ::nodes, "
        f"{len(graph.nodes)}, ::inputs, {len(network.inputs)}}};",
    ]  # fmt: skip
