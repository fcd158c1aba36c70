"""The C simulation of a design with streams.

`kbuild_run` runs one process after the other, each for a whole sample, with FIFOs as large as that takes. In
`kbuild_run_bounded` all run beside each other with FIFOs of given depths: it fills `waits` (by process: 0, or the FIFO
it waits for, counted from 1, negative where it wants to write) and `peaks` (by FIFO), and stops at the first sample
that does not come to its end. Both return what went wrong in a kernel, or null.
"""

from __future__ import annotations

from collections.abc import Sequence

from kbuild.emit.hls.design import Constant
from kbuild.emit.hls.stream.process import Network
from kbuild.emit.hls.stream.project import types
from kbuild.emit.hls.stream.text import call, function, kept_arrays
from kbuild.ir import Graph

HEADERS = ("stream/packets.h",)
_PROCESSES, _FILES = 10, 4  # so many processes are worth a file, which has all types and configurations to read again
_INCLUDE = '#include "csim.h"\n'


def files(graph: Graph, network: Network) -> dict[str, str]:
    """The C++ by path; what is compiled does not depend on weights or depths.

    A large design is several files, compiled at once: `csim.cpp` and the processes, dealt out by what they compute so
    that each file gets a like share.
    """
    count = min(max(len(network.processes) // _PROCESSES, 1), _FILES)
    constants = [constant for step in network.steps() for constant in step.constants]
    before = _declarations(graph, network, constants)
    numbers = sorted(range(len(network.processes)), key=lambda i: network.processes[i].title)
    parts = [sorted(numbers[part::count]) for part in range(count)]
    texts = [_part(network, number, part) for number, part in enumerate(parts)]
    after = [*_steps(graph, network, parts), "", *loading(constants), *_RUN]
    if count == 1:
        return {"csim.cpp": "\n".join([*before, *texts[0], *after]) + "\n"}
    heads = [f"void run_part_{number}(const Constants&, State&, int);" for number in range(count)]
    found = {"csim.h": [*before, *heads], "csim.cpp": [_INCLUDE, *after]}
    found |= {f"part_{number}.cpp": [_INCLUDE, *text] for number, text in enumerate(texts)}
    return {path: "\n".join(lines) + "\n" for path, lines in found.items()}


def _declarations(graph: Graph, network: Network, constants: Sequence[Constant]) -> list[str]:
    """Types, configurations, constants and FIFOs."""
    steps = network.steps()
    return [
        "// C simulation of a design with streams. The weights are loaded at run time.",
        "#ifdef __APPLE__",
        "#define _XOPEN_SOURCE 700  // for ucontext.h",
        "#define _DARWIN_C_SOURCE",
        "#endif",
        '#include "ap_types/ap_fixed.h"',
        '#include "ap_types/hls_stream.h"',
        *(f'#include "kernels/{name}"' for name in sorted({step.header for step in steps})),
        '#include "streams.h"',
        "",
        *types(graph, network),
        "",
        *(call.config.text() for step in steps for call in step.calls),
        "",
        "struct Constants {",
        *(f"    {constant.spell()} {constant.name}[{constant.size}];" for constant in constants),
        "};",
        "",
        *_state(network),
        "",
    ]


def _part(network: Network, number: int, indices: Sequence[int]) -> list[str]:
    """Some of the processes, and the function that runs one of them."""
    fifos = network.by_name()
    chosen = [(index, network.processes[index]) for index in indices]
    return [
        *(function(process, fifos, simulated=True) + "\n" for _, process in chosen),
        f"void run_part_{number}(const Constants& constants, State& state, int index) {{",
        "    switch (index) {",
        *(f"        case {i}: {call(p, ('constants', 'state'), 'state.')} break;" for i, p in chosen),
        "    }",
        "}",
        "",
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


def _steps(graph: Graph, network: Network, parts: Sequence[Sequence[int]]) -> list[str]:
    """What a run consists of; `parts` has the numbers of the processes in each part."""
    outputs = set(network.outputs)
    fifos = network.by_name()
    names = list(network.by_name())
    kept = [network.values[node.name] for node in graph]
    return [
        f"static const int process_count = {len(network.processes)}, fifo_count = {len(names)};",
        "static void run_process(const Constants& constants, State& state, int index) {",
        "    switch (index) {",
        *(f"        case {i}: run_part_{number}(constants, state, index); break;"
          for number, part in enumerate(parts) for i in part),
        "    }",
        "}",
        "static void all_fifos(State& state, hls::stream_base** fifos) {",
        *(f"    fifos[{i}] = &state.{name};" for i, name in enumerate(names)),
        "}",
        "static void begin(State& state, const int64_t* const* inputs, int64_t sample) {",
        *(f"    state.{fifo.name}.restart({fifo.packing.packets});" for fifo in network.fifos),
        *(f"    kbuild::feed(state.{name}, {fifos[name].packing.packets}, inputs[{index}], sample);"
          for index, name in enumerate(network.inputs)),
        "}",
        "static void end(State& state, int64_t* const* kept, int64_t sample) {",
        *(f"    kbuild::check_stream(state.{fifo.name}, {fifo.packing.packets}, "
          f"{fifo.packing.packets if fifo.name in outputs else 0});" for fifo in network.fifos),
        *(f"    kbuild::keep(state.{name}, {fifos[name].packing.packets}, kept[{i}], sample);"
          for i, name in enumerate(kept)),
        "}",
    ]  # fmt: skip


def loading(constants: Sequence[Constant]) -> list[str]:
    """The C functions that make, fill and delete the constants; the block of C functions stays open."""
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
    ]


_RUN = '''
const char* kbuild_run(const void* from, const int64_t* const* inputs, int64_t* const* kept, int64_t first,
                       int64_t last) {
    const Constants& constants = *static_cast<const Constants*>(from);
    State* const state = new State;
    const char* wrong = nullptr;
    try {
        for (int64_t sample = first; sample < last; ++sample) {
            begin(*state, inputs, sample);
            for (int i = 0; i < process_count; ++i) run_process(constants, *state, i);
            end(*state, kept, sample);
        }
    } catch (const hls::stream_error& error) {
        wrong = kbuild::message(error);
    }
    delete state;
    return wrong;
}
}

struct Job {
    const Constants* constants;
    State* state;
};
static void run_process_of(void* job, int index) {
    run_process(*static_cast<Job*>(job)->constants, *static_cast<Job*>(job)->state, index);
}

extern "C" const char* kbuild_run_bounded(const void* from, const int64_t* const* inputs, int64_t* const* kept,
                                          int64_t first, int64_t last, const int64_t* depths, int64_t* peaks,
                                          int64_t* waits) {
    State* const state = new State;
    Job job = {static_cast<const Constants*>(from), state};
    kbuild::processes all(process_count, run_process_of, &job);
    hls::stream_base* fifos[fifo_count];
    all_fifos(*state, fifos);
    for (int i = 0; i < fifo_count; ++i) fifos[i]->bound(depths[i], &all);
    const char* wrong = nullptr;
    bool ended = true;
    try {
        for (int64_t sample = first; sample < last && ended; ++sample) {
            begin(*state, inputs, sample);
            ended = all.run();
            if (ended) end(*state, kept, sample);
        }
    } catch (const hls::stream_error& error) {
        wrong = kbuild::message(error);
    }
    for (int i = 0; i < fifo_count; ++i) peaks[i] = fifos[i]->peak();
    for (int p = 0; p < process_count; ++p) {
        waits[p] = 0;
        for (int i = 0; i < fifo_count && !ended; ++i)
            if (all.waits_for(p) == fifos[i]) waits[p] = all.wants_to_write(p) ? -(i + 1) : i + 1;
    }
    delete state;
    return wrong;
}'''.splitlines()
