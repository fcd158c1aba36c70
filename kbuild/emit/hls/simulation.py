"""The C simulation: the kernel calls of the firmware in a shared library whose weights are loaded at run time.

The text depends on the graph's structure and types only, so that new weights do not compile anything; but the adders
of distributed arithmetic are code. All state is in the objects the caller makes: one `Constants` a model, one `Values`
a running call.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from kbuild.dataclass import dataclass, replace
from kbuild.emit.hls import tables
from kbuild.emit.hls.design import Constant, Step, arrays, spell
from kbuild.emit.hls.files import kernel_texts, text_of, type_headers
from kbuild.emit.hls.steps import steps
from kbuild.emit.hls.stream import simulation as stream
from kbuild.emit.hls.stream.network import connected
from kbuild.ir import Graph
from kbuild.ops.multipliers import Multiplying

MAIN = stream.MAIN  # the file with the library's functions


@dataclass(frozen=True)
class Simulation:
    """What is compiled, by path (`csim.cpp`, perhaps more, and headers), and the constants to load, in order."""

    files: dict[str, str]
    structure: str  # what `kbuild_structure` of the library returns: equal for graphs that may share a library
    constants: tuple[Constant, ...]


def simulation(graph: Graph, io_type: str = "io_parallel") -> Simulation:
    """The C simulation of a fixed graph."""
    if io_type == "io_stream":
        network = connected(graph)
        made, texts = network.steps(), stream.files(graph, network)
        headers: tuple[str, ...] = ("library.h", "streams.h", "streaming.h")
        kernels = kernel_texts(made, stream.HEADERS)
    else:
        made = [step for _, step in steps(graph)]
        texts, headers = {MAIN: _main(graph, made)}, ("library.h", "parallel.h")
        kernels = kernel_texts(made)
    further = sorted({step.source for step in made if step.source is not None})
    structure = hashlib.sha256("\n".join([*texts.values(), *further]).encode()).hexdigest()[:32]
    files = dict(texts)
    files[MAIN] += f'\nextern "C" const char* kbuild_structure() {{ return "{structure}"; }}\n'
    files |= {name: text_of("csim", name) for name in headers}
    files |= {f"kernels/{name}": text for name, text in kernels.items()}
    files |= {f"ap_types/{name}": text_of("fixed", name) for name in type_headers()}
    return Simulation(files, structure, tuple(constant for step in made for constant in step.constants))


def with_loaded_weights(graph: Graph) -> Graph:
    """The graph without distributed arithmetic, whose code has the weights in it. It computes the same."""
    return graph.with_nodes(
        replace(node, op=node.op.reusing("latency", *node.op.reuse_factors))
        if isinstance(node.op, Multiplying) and node.op.strategy == "distributed_arithmetic" else node
        for node in graph
    )  # fmt: skip


def sources(graph: Graph, io_type: str = "io_parallel") -> dict[str, str]:
    """The C++ of the simulation by path."""
    return simulation(graph, io_type).files


def _main(graph: Graph, made: Sequence[Step]) -> str:
    values = arrays(graph, made)
    constants = [constant for step in made for constant in step.constants]
    inputs = [index for index, node in enumerate(graph) if node.op.kind == "input"]
    return "\n".join([
        "// C simulation. The weights are loaded at run time.",
        '#include "ap_types/ap_fixed.h"',
        *(f'#include "kernels/{name}"' for name in sorted({step.header for step in made})),
        '#include "parallel.h"',
        "",
        *(f"typedef {spell(value.type)} {value.type_name};" for value in values),
        "",
        *(call.config.text() for step in made for call in step.calls),
        "",
        *tables.constants_struct(constants),
        "",
        "struct Values {",
        *(f"    {value.type_name} {value.name}[{value.size}];" for value in values),
        "};",
        "",
        "static void run(const Constants& constants, Values& values) {",
        *(f"    {call.text('values.', 'constants.')}" for step in made for call in step.calls),
        "}",
        "",
        *tables.constants_table(constants),
        *tables.table("kbuild::array", "nodes",
                      (tables.array("Values", value.name) for value in values[: len(graph.nodes)])),
        *tables.table("int", "inputs", inputs),
        "static void run_on(const void* constants, void* values) {",
        "    run(*static_cast<const Constants*>(constants), *static_cast<Values*>(values));",
        "}",
        f"const kbuild::parallel_design kbuild::design = {{::run_on, sizeof(Values), ::nodes, {len(graph.nodes)}, "
        f"::inputs, {len(inputs)}}};",
    ]) + "\n"  # fmt: skip
