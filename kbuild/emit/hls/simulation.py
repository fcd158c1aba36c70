"""The C simulation: the kernel calls of the firmware in a shared library whose weights are loaded at run time.

The text depends on the graph's structure and types only, so that new weights do not compile anything. All state is in
the objects the caller makes: one `Constants` a model, one `Values` a running call.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from kbuild.emit.hls.design import Array, Constant, Step, arrays, spell
from kbuild.emit.hls.files import kernel_files, text_of, type_headers
from kbuild.emit.hls.steps import steps
from kbuild.ir import Graph


def sources(graph: Graph) -> dict[str, str]:
    """The C++ of the simulation by path: `csim.cpp` and the headers it includes."""
    made = [step for _, step in steps(graph)]
    text = _main(graph, made)
    named = f'\nextern "C" const char* kbuild_structure() {{ return "{_digest(text)}"; }}\n'
    files = {"csim.cpp": text + named, "exchange.h": text_of("csim", "exchange.h")}
    files |= {f"kernels/{name}": text_of("hls", name) for name in kernel_files(made)}
    return files | {f"ap_types/{name}": text_of("fixed", name) for name in type_headers()}


def structure(graph: Graph) -> str:
    """What `kbuild_structure` of the graph's library returns: equal for graphs that may share a library."""
    return _digest(_main(graph, [step for _, step in steps(graph)]))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


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
        *_interface(graph, values, constants),
    ]
    return "\n".join(parts) + "\n"


def _interface(graph: Graph, values: Sequence[Array], constants: Sequence[Constant]) -> list[str]:
    """The C functions: `constants` and `inputs` by index in order, `kept` by index of the node, null if not wanted."""
    inputs = [index for index, node in enumerate(graph) if node.op.kind == "input"]
    return [
        'extern "C" {',
        "void* kbuild_new() { return new Constants; }",
        "void kbuild_delete(void* constants) { delete static_cast<Constants*>(constants); }",
        "void kbuild_load(void* to, int index, const int64_t* words) {",
        "    Constants& constants = *static_cast<Constants*>(to);",
        "    switch (index) {",
        *(f"        case {i}: kbuild::read_words(constants.{c.name}, {c.size}, words); break;"
          for i, c in enumerate(constants)),
        "    }",
        "    (void)constants, (void)words;",
        "}",
        "void kbuild_run(const void* from, const int64_t* const* inputs, int64_t* const* kept, int64_t first,",
        "                int64_t last) {",
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
        "}",
        "}",
    ]
