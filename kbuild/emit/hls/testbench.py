"""The testbench of a project, and the vectors it reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kbuild.emit.hls.design import type_name
from kbuild.emit.hls.ports import inputs_of, outputs_of
from kbuild.fixed import IntArray
from kbuild.ir import Graph

if TYPE_CHECKING:
    from kbuild.emit.hls.stream.process import Network

INPUTS, OUTPUTS = "tb/tb_input_features.dat", "tb/tb_output_predictions.dat"


def vectors(graph: Graph, inputs: Mapping[str, IntArray], outputs: Mapping[str, IntArray]) -> dict[str, str]:
    """The testbench's two files for integers by node name, samples first: a line a sample, all ports in order."""
    return {INPUTS: _lines([inputs[node.name] for node in graph.inputs]),
            OUTPUTS: _lines([outputs[name] for name in graph.outputs])}


def _lines(arrays: list[IntArray]) -> str:
    rows = zip(*(array.reshape(len(array), -1).tolist() for array in arrays), strict=True)
    return "".join(" ".join(str(value) for part in row for value in part) + "\n" for row in rows)


def testbench(graph: Graph, name: str) -> str:
    """Its C++: it returns 1 when an output differs from the vectors, or when they are missing or malformed."""
    inputs, outputs = inputs_of(graph), outputs_of(graph)
    declared = [f"static {port.declaration};" for port in inputs]
    declared += [f"static {p.type_name} {p.name}[{p.size}], wanted_{p.name}[{p.size}];" for p in outputs]
    filled = [f"input.fill({port.name}, {port.size});" for port in inputs]
    filled += [f"output.fill(wanted_{port.name}, {port.size});" for port in outputs]
    compared = [_compared(port.node, port.name, f"wanted_{port.name}", port.size) for port in outputs]
    called = [f"{name}({', '.join(port.name for port in (*inputs, *outputs))});"]
    return _main(name, "testbench.h", declared, filled, [*called, *compared])


def stream_testbench(network: Network, name: str) -> str:
    """The same for a design with streams, which must take all packets and give as many as it should."""
    inputs = [(f"given_{fifo.name}", fifo) for fifo in network.ports(network.inputs)]
    outputs = [(f"found_{fifo.name}", fifo) for fifo in network.ports(network.outputs)]
    declared = [f'static hls::stream<{fifo.packet}> {fifo.name}("{fifo.name}");' for _, fifo in (*inputs, *outputs)]
    declared += [f"static {type_name(fifo.node)} {array}[{fifo.packing.elements}];" for array, fifo in inputs]
    declared += [f"static {type_name(fifo.node)} {array}[{fifo.packing.elements}], "
                 f"wanted_{fifo.name}[{fifo.packing.elements}];" for array, fifo in outputs]
    filled = [f"input.fill({array}, {fifo.packing.elements});" for array, fifo in inputs]
    filled += [f"output.fill(wanted_{fifo.name}, {fifo.packing.elements});" for _, fifo in outputs]
    run = [f"kbuild::send({array}, {fifo.packing.packets}, {fifo.name});" for array, fifo in inputs]
    run.append(f"{name}({', '.join(fifo.name for _, fifo in (*inputs, *outputs))});")
    ends = [f"{fifo.name}.empty()" for _, fifo in inputs]
    ends += [f"kbuild::receive({fifo.name}, {fifo.packing.packets}, {array})" for array, fifo in outputs]
    run += [f"if (!({' && '.join(ends)})) {{",
            '    std::cout << "ERROR: sample " << samples << ": packets are left or missing" << std::endl;',
            "    return 1;", "}"]  # fmt: skip
    run += [_compared(fifo.node, array, f"wanted_{fifo.name}", fifo.packing.elements) for array, fifo in outputs]
    return _main(name, "testbench_stream.h", declared, filled, run)


def _compared(node: str, found: str, wanted: str, size: int) -> str:
    return f'wrong += kbuild::differences("{node}", {found}, {wanted}, {size}, samples);'


def _main(name: str, header: str, declared: list[str], filled: list[str], run: list[str]) -> str:
    """The program: for each sample arrays are declared and filled from the vectors, then the design is run."""
    return "\n".join([
        "// Runs the design on tb_input_features.dat and compares with tb_output_predictions.dat, exactly.",
        "// Both hold one sample a line, every value as the integer behind it. The folder is the first argument.",
        f'#include "{header}"',
        "",
        f'#include "../firmware/{name}.h"',
        "",
        "int main(int argc, char** argv) {",
        '    const std::string folder = argc > 1 ? argv[1] : "tb";',
        '    std::ifstream features((folder + "/tb_input_features.dat").c_str());',
        '    std::ifstream predictions((folder + "/tb_output_predictions.dat").c_str());',
        "    if (!features || !predictions) {",
        '        std::cout << "ERROR: the test vectors in " << folder << " cannot be read" << std::endl;',
        "        return 1;",
        "    }",
        "    int samples = 0, wrong = 0;",
        "    std::string line, expected;",
        "    while (std::getline(features, line)) {",
        *(f"        {line}" for line in declared),
        "        const bool both = bool(std::getline(predictions, expected));",
        "        kbuild::words input(line), output(expected);",
        *(f"        {line}" for line in filled),
        "        if (!both || !input.complete() || !output.complete()) {",
        '            std::cout << "ERROR: the vectors of sample " << samples << " are malformed" << std::endl;',
        "            return 1;",
        "        }",
        *(f"        {line}" for line in run),
        "        ++samples;",
        "    }",
        "    if (samples == 0 || std::getline(predictions, expected)) {",
        '        std::cout << "ERROR: " << samples << " input samples, and not as many outputs" << std::endl;',
        "        return 1;",
        "    }",
        '    std::cout << samples << " samples, " << wrong << " wrong values" << std::endl;',
        "    return wrong == 0 ? 0 : 1;",
        "}",
    ]) + "\n"
