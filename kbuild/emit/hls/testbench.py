"""The testbench of a project, and the vectors it reads."""

from __future__ import annotations

from collections.abc import Mapping

from kbuild.emit.hls.ports import inputs_of, outputs_of
from kbuild.fixed import IntArray
from kbuild.ir import Graph

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
    declared = [f"        static {port.declaration};" for port in inputs]
    declared += [f"        static {p.type_name} {p.name}[{p.size}], wanted_{p.name}[{p.size}];" for p in outputs]
    filled = [f"        input.fill({port.name}, {port.size});" for port in inputs]
    filled += [f"        output.fill(wanted_{port.name}, {port.size});" for port in outputs]
    compared = [f'        wrong += kbuild::differences("{port.node}", {port.name}, wanted_{port.name}, {port.size}, '
                "samples);" for port in outputs]
    arguments = ", ".join(port.name for port in (*inputs, *outputs))
    return "\n".join([
        "// Runs the design on tb_input_features.dat and compares with tb_output_predictions.dat, exactly.",
        "// Both hold one sample a line, every value as the integer behind it. The folder is the first argument.",
        '#include "testbench.h"',
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
        *declared,
        "        const bool both = bool(std::getline(predictions, expected));",
        "        kbuild::words input(line), output(expected);",
        *filled,
        "        if (!both || !input.complete() || !output.complete()) {",
        '            std::cout << "ERROR: the vectors of sample " << samples << " are malformed" << std::endl;',
        "            return 1;",
        "        }",
        f"        {name}({arguments});",
        *compared,
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
