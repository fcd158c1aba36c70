"""A project for Vivado HLS or Vitis HLS: firmware, testbench, scripts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from kbuild.dataclass import dataclass
from kbuild.emit.hls.design import Step, arrays, spell, type_name, value_name
from kbuild.emit.hls.files import kernel_texts, text_of, type_headers
from kbuild.emit.hls.ports import inputs_of, outputs_of
from kbuild.emit.hls.steps import steps
from kbuild.emit.hls.testbench import stream_testbench, testbench
from kbuild.emit.hls.weights import header
from kbuild.emit.target import Target
from kbuild.errors import RecipeError, UnsupportedModel
from kbuild.ir import Graph, Node
from kbuild.ops.multipliers import Multiplying

_PART = re.compile(r"[A-Za-z0-9_.-]+")
# Kinds of ops that do one position, step or row after the other.
_LOOPS = ("conv", "pool", "simple_rnn", "lstm", "gru", "normalize", "gather")
_COPIED = ("build_prj.tcl", "vivado_synth.tcl")


def emit(graph: Graph, target: Target) -> dict[str, str | bytes]:
    """The project's files by path. Raises UnsupportedModel for what these tools cannot be given."""
    _check(graph, target)
    name = target.project_name
    design = _streams(graph, target) if target.io_type == "io_stream" else _parallel(graph, name)
    _check_name(name, design)
    files: dict[str, str | bytes] = {
        f"firmware/{name}.h": _header(name, design),
        "firmware/defines.h": _defines(design),
        "firmware/parameters.h": _parameters(design.steps),
        **design.files,
        "project.tcl": _settings(target),
        "settings.tcl": text_of(target.backend.lower(), "settings.tcl"),
        "Makefile": text_of("hls", "project", "Makefile").replace("@PROJECT@", name),
    }
    constants = [constant for step in design.steps for constant in step.constants]
    files |= {f"firmware/weights/{constant.name}.h": header(constant) for constant in constants}
    kernels = kernel_texts(design.steps, design.headers)
    files |= {f"firmware/kernels/{kernel}": text for kernel, text in kernels.items()}
    files |= {f"firmware/ap_types/{path}": text_of("fixed", path) for path in type_headers()}
    files |= {path: text_of("hls", "project", path) for path in _COPIED}
    return files


@dataclass(frozen=True)
class _Design:
    """What differs between values on wires and values in streams: names of values and types, the parameters of the top
    function, typedefs, the kernel calls, further kernel headers, and files of the firmware and testbench."""

    names: frozenset[str]
    parameters: str
    types: tuple[str, ...]
    steps: tuple[Step, ...]
    headers: tuple[str, ...]
    files: Mapping[str, str]


def _parallel(graph: Graph, name: str) -> _Design:
    nodes = steps(graph)
    made = tuple(step for _, step in nodes)
    values = arrays(graph, made)
    return _Design(
        frozenset(word for value in values for word in (value.name, value.type_name)),
        ", ".join(port.declaration for port in (*inputs_of(graph), *outputs_of(graph))),
        tuple(f"typedef {spell(value.type)} {value.type_name};" for value in values),
        made,
        ("integer.h",),
        {f"firmware/{name}.cpp": _top(graph, name, nodes), f"tb/{name}_test.cpp": testbench(graph, name),
         "tb/testbench.h": _testbench_header("testbench.h")},
    )  # fmt: skip


def _streams(graph: Graph, target: Target) -> _Design:
    from kbuild.emit.hls.stream import project as stream
    from kbuild.emit.hls.stream.network import network

    name, made = target.project_name, network(graph)
    return _Design(
        frozenset({*stream.names(made), *(type_name(node.name) for node in graph)}),
        stream.parameters(made),
        ('#include "hls_stream.h"', "", '#include "kernels/stream/packet.h"', "", *stream.types(graph, made)),
        tuple(made.steps()),
        ("integer.h", "stream/packets.h"),
        {f"firmware/{name}.cpp": stream.top(name, target.backend, made),
         "firmware/processes.h": stream.processes(made),
         f"tb/{name}_test.cpp": stream_testbench(made, name),
         "tb/testbench.h": _testbench_header("testbench.h"),
         "tb/testbench_stream.h": _testbench_header("testbench_stream.h")},
    )  # fmt: skip


def _testbench_header(name: str) -> str:
    return text_of("hls", name).replace('"kernels/', '"../firmware/kernels/')


def _check(graph: Graph, target: Target) -> None:
    if not _PART.fullmatch(target.part):
        raise UnsupportedModel(f"'{target.part}' is not the name of a part")


def _check_name(name: str, design: _Design) -> None:
    """The top function's name must be neither a name inside the design nor that of another file of firmware/."""
    used = {*design.names, *(constant.name for step in design.steps for constant in step.constants)}
    used |= {call.config.name for step in design.steps for call in step.calls}
    if name in used or name.lower() in ("kbuild", "defines", "parameters", "processes"):
        raise RecipeError(f"ProjectName: {name} is a name inside the design as well; write another, such as {name}_net")


def _header(name: str, design: _Design) -> str:
    guard = f"KBUILD_TOP_{name}_H"
    return (f'#ifndef {guard}\n#define {guard}\n\n#include "defines.h"\n\nvoid {name}({design.parameters});\n\n'
            "#endif\n")


def _defines(design: _Design) -> str:
    guard = "KBUILD_DEFINES_H"
    types = "\n".join(design.types)
    return (f"// The types of all values.\n#ifndef {guard}\n#define {guard}\n\n"
            f'#include "ap_fixed.h"\n#include "ap_int.h"\n\n{types}\n\n#endif\n')


def _parameters(made: Sequence[Step]) -> str:
    guard = "KBUILD_PARAMETERS_H"
    includes = "\n".join(f'#include "kernels/{kernel}"' for kernel in sorted({step.header for step in made}))
    configs = "\n\n".join(call.config.text() for step in made for call in step.calls)
    return (f"// The parameters of every kernel call.\n#ifndef {guard}\n#define {guard}\n\n"
            f'#include "defines.h"\n{includes}\n\n{configs}\n\n#endif\n')


def _top(graph: Graph, name: str, made: Sequence[tuple[Node, Step]]) -> str:
    ports = [*inputs_of(graph), *outputs_of(graph)]
    constants = [constant.name for _, step in made for constant in step.constants]
    outside = {port.name for port in ports}
    values = {array.name: array for array in arrays(graph, (step for _, step in made))}
    body = [*_port_pragmas(graph), *_schedule(graph)]
    for node, step in made:
        body += ["", f"    // {node.name}: {node.op.kind}"]
        for array in (*step.temporaries, values[value_name(node.name)]):
            if array.name not in outside:
                body += [f"    {array.type_name} {array.name}[{array.size}];",
                         f"#pragma HLS ARRAY_PARTITION variable={array.name} complete dim=0"]
        body += [f"    {call.text()}" for call in step.calls]
    for port in outputs_of(graph):
        if port.name != value_name(port.node):
            loop = f"for (int i = 0; i < {port.size}; ++i)"
            body += ["", f"    {loop} {port.name}[i] = {value_name(port.node)}[i];"]
    includes = [f'#include "{name}.h"', "", '#include "parameters.h"',
                *(f'#include "weights/{constant}.h"' for constant in constants)]
    signature = f"void {name}({', '.join(port.declaration for port in ports)})"
    return "\n".join([*includes, "", f"{signature} {{", *body, "}"]) + "\n"


def _port_pragmas(graph: Graph) -> list[str]:
    inputs, outputs = inputs_of(graph), outputs_of(graph)
    return [
        *(f"#pragma HLS ARRAY_RESHAPE variable={port.name} complete dim=0" for port in inputs),
        *(f"#pragma HLS ARRAY_PARTITION variable={port.name} complete dim=0" for port in outputs),
        *(f"#pragma HLS INTERFACE ap_vld port={port.name}" for port in (*inputs, *outputs)),
    ]


def _schedule(graph: Graph) -> list[str]:
    """How the layers run: together as one pipeline; as processes where layers take many cycles and form a chain."""
    products = [node.op for node in graph if isinstance(node.op, Multiplying)]
    sequential = any(op.strategy == "resource" for op in products)
    if not sequential and not any(node.op.kind in _LOOPS for node in graph):
        return [f"#pragma HLS PIPELINE II={max((op.reuse_factor for op in products), default=1)}"]
    chain = all(len(node.inputs) <= 1 and len(graph.users[node.name]) <= 1 for node in graph)
    return ["#pragma HLS DATAFLOW"] if chain and len(graph.outputs) == 1 and len(graph.inputs) == 1 else []


def _settings(target: Target) -> str:
    return (
        "# The design and its target.\n"
        f"set backend {target.backend}\n"
        f"set project_name {target.project_name}\n"
        f"set part {target.part}\n"
        f"set clock_period {target.clock_period!r}\n"
        f"set clock_uncertainty {target.clock_uncertainty!r} ;# fraction of the period\n"
    )
