"""Streaming kernels, many in one library, run on integers with a record of every packet they read and write."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kbuild.emit.hls.design import everywhere, spell, type_name
from kbuild.emit.hls.stream.process import Schedule, StreamKernel
from kbuild.engines.words import from_words, limbs, to_words
from kbuild.fixed import IntArray
from kbuild.ir import Node
from kbuild.ir.op import OverflowCount
from kbuild.tools.cxx import Options, compile_shared

HEADERS = Path(__file__).resolve().parent / "stream_headers"
BACKENDS = HEADERS.parents[1] / "backends"


@dataclass(frozen=True)
class Case:
    """A node, what it reads, and its kernel."""

    node: Node
    inputs: tuple[Node, ...]
    kernel: StreamKernel

    def expected(self, values: Sequence[IntArray]) -> IntArray:
        """What the emulator makes of integers, samples first."""
        types = [x.fixed() for x in self.inputs]
        return self.node.op.eval(values, types, self.node.fixed(), OverflowCount())

    def order(self) -> str:
        """The uses of streams that the schedule foretells: `a`, `b` ... for inputs, `.` for the output."""
        return order(self.kernel.schedule)


def order(schedule: Schedule) -> str:
    parts = []
    for reads, writes in zip(schedule.reads.tolist(), schedule.writes.reshape(-1).tolist(), strict=True):
        parts += [chr(ord("a") + j) * count for j, count in enumerate(reads)] + ["." * writes]
    return "".join(parts)


def _function(index: int, case: Case) -> str:
    kernel, names = case.kernel, [type_name(x.name) for x in case.inputs]
    types = [f"    typedef {spell(x.fixed())} {name};" for x, name in zip(case.inputs, names, strict=True)]
    own = type_name(case.node.name)
    types += [f"    typedef {spell(case.node.fixed())} {own};"]
    packets = [f"kbuild::packet<{name}, {p.width}>" for name, p in zip(names, kernel.reads, strict=True)]
    output = f"kbuild::packet<{own}, {kernel.writes.width}>"
    body = [f"    static {c.spell()} {c.name}[{c.size}];\n    kbuild::read_words({c.name}, {c.size}, constants[{i}]);"
            for i, c in enumerate(kernel.constants)]  # fmt: skip
    body += [f"    hls::stream<{packet} > in_{i}(to, '{chr(ord('a') + i)}');\n"
             f"    fill(in_{i}, {p.packets}, inputs[{i}]);"
             for i, (packet, p) in enumerate(zip(packets, kernel.reads, strict=True))]  # fmt: skip
    call = replace(kernel.call, inputs=tuple(f"in_{i}" for i, _ in enumerate(packets)), output="out")
    body += [f"    hls::stream<{output} > out(to, '.');",
             f"    {call.text()}",
             f"    drain(out, {kernel.writes.packets}, output, to);"]
    return "\n".join([f"namespace case_{index} {{", *types, kernel.call.config.text(),
                      "void run(const int64_t* const* inputs, const int64_t* const* constants, int64_t* output, "
                      "recorder& to) {", *body, "}", "}"])  # fmt: skip


_SHARED = """
template <class P>
static void fill(hls::stream<P>& stream, int packets, const int64_t* words) {
    const int each = P::size * ((P::value_type::width + 63) / 64);
    for (int i = 0; i < packets; ++i) {
        P packet;
        kbuild::read_words(packet.data, P::size, words + i * each);
        stream.items.push_back(packet);
    }
}
template <class P>
static void drain(hls::stream<P>& stream, int packets, int64_t* words, recorder& to) {
    const int each = P::size * ((P::value_type::width + 63) / 64);
    if (int(stream.items.size()) != packets) to.add('?');
    for (int i = 0; i < packets && i < int(stream.items.size()); ++i)
        kbuild::write_words(stream.items[i].data, P::size, words + i * each);
}
"""


def source(cases: Sequence[Case]) -> str:
    """The C++ of all cases."""
    headers = {case.kernel.header for case in cases}
    headers |= {step.header for case in cases for step in everywhere(case.kernel.inside)}
    return "\n".join([
        '#include "recording_stream.h"',
        '#include "ap_fixed.h"',
        '#include "ap_int.h"',
        '#include "exchange.h"',
        *(f'#include "hls/{header}"' for header in sorted(headers)),
        _SHARED,
        *(_function(i, case) for i, case in enumerate(cases)),
        'extern "C" int64_t inner_peak() { return hls::inner_peak(); }',
        'extern "C" int64_t run_case(int index, const int64_t* const* inputs, const int64_t* const* constants,',
        "                          int64_t* output, char* log, int64_t size) {",
        "    recorder to = {log, size, 0};",
        "    hls::inner_peak() = 0;",
        "    switch (index) {",
        *(f"        case {i}: case_{i}::run(inputs, constants, output, to); break;" for i, _ in enumerate(cases)),
        "    }",
        "    return to.used;",
        "}",
    ]) + "\n"  # fmt: skip


class Kernels:
    """The compiled kernels of some cases; `vendor`: the folder of the vendor's headers, instead of ours."""

    def __init__(self, cases: Sequence[Case], folder: Path, vendor: Path | None = None, optimise: str = "-O0") -> None:
        self.cases = cases
        name = "kernels" if vendor is None else "vendor"
        (folder / f"{name}.cpp").write_text(source(cases))
        types = BACKENDS / "fixed" if vendor is None else vendor
        exchange = HEADERS / ("ours" if vendor is None else "vendor")
        flags = ("-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-Wno-unused-parameter",
                 "-Wno-maybe-uninitialized")
        options = Options(optimise=optimise, native=False, include_dirs=(HEADERS, types, BACKENDS, exchange),
                          flags=flags if vendor is None else ("-w", "-std=c++11"))
        library = compile_shared([folder / f"{name}.cpp"], folder / f"{name}.so", build_dir=folder, log_dir=folder,
                                 options=options)
        self._c = ctypes.CDLL(str(library))
        self._c.run_case.restype = self._c.inner_peak.restype = ctypes.c_int64

    def run(self, index: int, values: Sequence[IntArray]) -> tuple[IntArray, list[str]]:
        """Integers of the output, samples first, and for each sample the streams used in order.

        `inner_peak` is then the most packets that were at once in a FIFO inside the kernel.
        """
        case = self.cases[index]
        constants = [to_words(c.tensor.data, c.type) for c in case.kernel.constants]
        given = [to_words(v, x.fixed()) for v, x in zip(values, case.inputs, strict=True)]
        result = np.zeros((len(values[0]), *case.node.shape, limbs(case.node.fixed())), np.int64)
        logs = []
        for sample, output in enumerate(result):
            size = len(case.order()) + 100
            log = ctypes.create_string_buffer(size)
            used = self._c.run_case(index, _pointers([words[sample] for words in given]), _pointers(constants),
                                    ctypes.c_void_p(output.ctypes.data), log, ctypes.c_int64(size))
            logs.append(log.raw[: min(used, size)].decode())
            self.inner_peak = int(self._c.inner_peak())
        return from_words(result, case.node.fixed()), logs


def _pointers(arrays: Sequence[IntArray]) -> ctypes.Array[ctypes.c_void_p]:
    return (ctypes.c_void_p * max(len(arrays), 1))(*(array.ctypes.data for array in arrays))
