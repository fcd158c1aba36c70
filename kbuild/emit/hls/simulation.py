"""The C simulation: the kernel calls of the firmware in a shared library whose weights are loaded at run time.

The text depends on the graph's structure and types only, so that new weights do not compile anything; but the adders
of distributed arithmetic are code. All state is in the objects the caller makes: one `Constants` a model, one `Values`
a running call.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from kbuild.dataclass import dataclass, replace
from kbuild.emit.hls.design import Array, Constant, Step, arrays, spell
from kbuild.emit.hls.files import kernel_texts, text_of, type_headers
from kbuild.emit.hls.steps import steps
from kbuild.emit.hls.stream import simulation as stream
from kbuild.emit.hls.stream.network import connected
from kbuild.ir import Graph
from kbuild.ops.contraction import Contraction
from kbuild.ops.rnn import Recurrent


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
        headers: tuple[str, ...] = ("exchange.h", "streams.h")
        kernels = kernel_texts(made, stream.HEADERS)
    else:
        made = [step for _, step in steps(graph)]
        texts, headers = {"csim.cpp": _main(graph, made)}, ("exchange.h",)
        kernels = kernel_texts(made)
    further = sorted({step.source for step in made if step.source is not None})
    structure = hashlib.sha256("\n".join([*texts.values(), *further]).encode()).hexdigest()[:32]
    files = dict(texts)
    files["csim.cpp"] += f'\nextern "C" const char* kbuild_structure() {{ return "{structure}"; }}\n'
    files |= {name: text_of("csim", name) for name in headers}
    files |= {f"kernels/{name}": text for name, text in kernels.items()}
    files |= {f"ap_types/{name}": text_of("fixed", name) for name in type_headers()}
    return Simulation(files, structure, tuple(constant for step in made for constant in step.constants))


def with_loaded_weights(graph: Graph) -> Graph:
    """The graph without distributed arithmetic, whose code has the weights in it. It computes the same."""
    return graph.with_nodes(
        replace(node, op=replace(node.op, strategy="latency"))
        if isinstance(node.op, Contraction | Recurrent) and node.op.strategy == "distributed_arithmetic" else node
        for node in graph
    )  # fmt: skip


def sources(graph: Graph, io_type: str = "io_parallel") -> dict[str, str]:
    """The C++ of the simulation by path."""
    return simulation(graph, io_type).files


def _main(graph: Graph, made: Sequence[Step]) -> str:
    values = arrays(graph, made)
    constants = [constant for step in made for constant in step.constants]
    parts = [
        "// C simulation. The weights are loaded at run time.",
        '#include "ap_types/ap_fixed.h"',
        *(f'#include "kernels/{name}"' for name in sorted({step.header for step in made})),
        '#include "exchange.h"',
        "",
        *(f"typedef {spell(value.type)} {value.type_name};" for value in values),
        "",
        *(call.config.text() for step in made for call in step.calls),
        "",
        "struct Constants {",
        *(f"    {constant.spell()} {constant.name}[{constant.size}];" for constant in constants),
        "};",
        "",
        "struct Values {",
        *(f"    {value.type_name} {value.name}[{value.size}];" for value in values),
        "};",
        "",
        "static void run(const Constants& constants, Values& values) {",
        *(f"    {call.text('values.', 'constants.')}" for step in made for call in step.calls),
        "}",
        "",
        *stream.loading(constants),
        *_run(graph, values),
    ]
    return "\n".join(parts) + "\n"


def _run(graph: Graph, values: Sequence[Array]) -> list[str]:
    """`inputs` by index in order, `kept` by index of the node, null if not wanted; null is returned."""
    inputs = [index for index, node in enumerate(graph) if node.op.kind == "input"]
    return [
        "const char* kbuild_run(const void* from, const int64_t* const* inputs, int64_t* const* kept, int64_t first,",
        "                       int64_t last) {",
        "    const Constants& constants = *static_cast<const Constants*>(from);",
        "    Values* const values = new Values;",
        "    for (int64_t i = first; i < last; ++i) {",
        *(f"        kbuild::read_words(values->{values[v].name}, {values[v].size}, inputs[{i}] + i * "
          f"{values[v].size * values[v].limbs});" for i, v in enumerate(inputs)),
        "        run(constants, *values);",
        *(f"        if (kept[{i}]) kbuild::write_words(values->{v.name}, {v.size}, kept[{i}] + i * "
          f"{v.size * v.limbs});" for i, v in enumerate(values[: len(graph.nodes)])),
        "    }",
        "    delete values;",
        "    return nullptr;",
        "}",
        "}",
    ]
