"""`logic`: random programs against plain Python, one sample at a time, and in every engine."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hls_projects import run, vendor_headers, write
from random_graphs import Builder, random_inputs

from kbuild import emulate
from kbuild.emit import Target
from kbuild.emit.verilog import lower
from kbuild.engines import csim, rtl
from kbuild.engines.csim_stream import StreamCSim
from kbuild.fixed import FixedType, IntArray, cast, wide
from kbuild.ir import Graph, OverflowCount, verify
from kbuild.ir.text import parse, tensors, to_text
from kbuild.ops import op_class
from kbuild.ops.input import Input
from kbuild.ops.logic import Code, Logic, Result, Step, input_type, integers
from kbuild.tools.cxx import compiler

TARGET = Target("Yosys", "myproject", "LFE5U-85F-6BG381C", 5.0, 0.125, "io_parallel")


def random_logic(rng: np.random.Generator, elements: int, steps: int) -> Logic:
    """Every code, on values of up to about a hundred bits."""
    made: list[Step] = []
    table = [int(v) for v in rng.integers(-300, 300, 24)]

    def number(low: int, high: int) -> int:
        return int(rng.integers(low, high + 1))

    def narrow() -> list[int]:
        """Steps whose values are not yet wide."""
        known = Logic((1,), integers(made, (len(made), 7)), integers([[0, 0, 0]], (1, 3)), integers(table, (24,)))
        return [i for i, (low, high) in enumerate(known.bounds) if max(-low, high) < 1 << 40]

    for element in range(elements):
        made.append(Step(Code.INPUT, element, 0, number(0, 1), number(-2, 6), number(2, 14), number(0, 1)))
    while len(made) < steps:
        code, some = list(Code)[number(1, 7)], narrow()
        a, b, c = (some[number(0, len(some) - 1)] for _ in range(3))
        if code is Code.CONSTANT:
            made.append(Step(code, 0, 0, 0, number(-5000, 5000), 0, 0))
        elif code is Code.ADD:
            made.append(Step(code, a, b, 0, number(0, 4), number(0, 4), number(0, 1)))
        elif code is Code.SELECT:
            made.append(Step(code, a, b, c, number(0, 3), number(0, 3), number(0, 20)))
        elif code is Code.MULTIPLY:
            made.append(Step(code, a, b, 0, 0, 0, 0))
        elif code is Code.LOOKUP:
            first = number(0, 20)
            made.append(Step(code, a, 0, 0, first, number(1, 24 - first), number(-30, 30)))
        else:
            made.append(Step(code, a, 0, number(0, 1), number(-3, 8), number(1, 20), number(0, int(code is Code.CAST))))
    results = [Result(number(-1, steps - 1), number(-2, 5), number(0, 1)) for _ in range(6)]
    return Logic((2, 3), integers(made, (steps, 7)), integers(results, (6, 3)), integers(table, (24,)))


def computed(op: Logic, x: Sequence[int], fractions: Sequence[int]) -> list[int]:
    """The definition of the steps, on Python's integers."""
    values: list[int] = []
    for code, a, b, c, s, t, u in op.steps:
        if code is Code.INPUT:
            of = input_type(Step(code, a, b, c, s, t, u))
            value = int(cast(np.array([x[a]], dtype=object), fractions[a], of)[0])
        elif code is Code.CONSTANT:
            value = s
        elif code is Code.ADD:
            value = values[a] * 2**s + (-1 if u else 1) * values[b] * 2**t
        elif code is Code.SELECT:
            value = values[a] << s if (values[c] >> u) % 2 else values[b] << t
        elif code is Code.MULTIPLY:
            value = values[a] * values[b]
        elif code is Code.LOOKUP:
            value = int(op.table.data[s + min(max(values[a] - u, 0), t - 1)]) if op.table else 0
        else:
            plain = -values[a] if c else values[a]
            value = (plain >> s if s >= 0 else plain << -s) % 2**t
            value -= 2**t if code is Code.CAST and u and value >= 2 ** (t - 1) else 0
            value = 0 if code is Code.RELU and plain <= 0 else value
        values.append(value)
    found = []
    for made in op.made:
        value = 0 if made.step < 0 else values[made.step] << (op.fraction - made.fraction)
        found.append(-value if made.negative else value)
    return found


def graph_of(seed: int, programs: int = 3, steps: int = 30) -> Graph:
    b = Builder(np.random.default_rng(seed))
    x, z = b.add(Input((2, 2))), b.add(Input((3,)))
    nodes = [b.add(random_logic(b.rng, 4, steps), [x]) for _ in range(programs)]
    nodes.append(b.add(random_logic(b.rng, 7, steps), [x, z]))
    nodes.append(b.add(random_logic(b.rng, 6, steps), [nodes[0]]))
    read = {name for node in b.nodes for name in node.inputs}
    return verify(Graph("programs", tuple(b.nodes), tuple(n.name for n in b.nodes if n.name not in read)))


@pytest.mark.parametrize("seed", range(6))
def test_programs_compute_what_they_say(seed: int) -> None:
    rng = np.random.default_rng(seed)
    op = random_logic(rng, 5, 60)
    op.verify([(5,)])
    x = rng.integers(-(1 << 11), 1 << 11, (30, 5))
    of = FixedType(12, 5)
    exact = op.infer_type([of])
    overflow = OverflowCount()
    found = op.eval([x], [of], exact, overflow)
    assert overflow.values == 0
    wanted = [computed(op, [int(v) for v in row], [7] * 5) for row in x]
    assert wide(found).reshape(30, -1).tolist() == wanted
    floats = op.eval_float([x / 2.0**7]).reshape(30, -1)
    assert np.allclose(floats, np.array(wanted, dtype=object).astype(float) * 2.0**-op.fraction, rtol=1e-12)
    assert len({step.code for step in op.steps}) == len(Code)


def test_the_text_form() -> None:
    graph = graph_of(3)
    assert parse(to_text(graph), tensors(graph), op_class) == graph


def assert_equal(graph: Graph, wanted: dict[str, IntArray], found: dict[str, IntArray]) -> None:
    wrong = [node.name for node in graph if not (wide(wanted[node.name]) == wide(found[node.name])).all()]
    assert not wrong


@pytest.mark.parametrize("seed", [0, 1])
def test_programs_in_cpp(seed: int, tmp_path: Path) -> None:
    graph = graph_of(seed)
    inputs, names = random_inputs(graph, 7, 40), [node.name for node in graph]
    wanted = emulate.run(graph, inputs, names).values
    assert_equal(graph, wanted, csim.CSim(csim.build(graph, tmp_path), graph).run(inputs, names))


def test_programs_on_streams(tmp_path: Path) -> None:
    graph = graph_of(2)
    inputs, names = random_inputs(graph, 7, 10), [node.name for node in graph]
    wanted = emulate.run(graph, inputs, names).values
    engine = StreamCSim(csim.build(graph, tmp_path, io_type="io_stream"), graph)
    assert_equal(graph, wanted, engine.run(inputs, names))
    assert_equal(graph, wanted, engine.run_bounded(inputs, names).values)


def test_programs_in_verilog(tmp_path: Path) -> None:
    graph = graph_of(4, programs=1, steps=24)
    inputs, names = random_inputs(graph, 7, 40), [node.name for node in graph]
    wanted = emulate.run(graph, inputs, names).values
    design = lower(graph, TARGET)
    assert_equal(graph, wanted, rtl.Rtl(rtl.build(design, tmp_path), graph, design).run(inputs, names))


def test_programs_with_the_vendors_headers(tmp_path: Path) -> None:
    """In C++11 as Vivado HLS has it."""
    write(graph_of(5, programs=1, steps=24), tmp_path)
    command = [*compiler().command, "-std=c++11", "-O0", "-Wall", "-Wextra", "-Wno-unknown-pragmas", "-isystem",
               str(vendor_headers()), "firmware/tagger.cpp", "tb/tagger_test.cpp", "-o", "test.exe"]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "", done.stderr[:2000]
    assert run(tmp_path / "test.exe") == (0, "20 samples, 0 wrong values\n")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 22))
def test_more_programs(seed: int, tmp_path: Path) -> None:
    test_programs_in_cpp(seed, tmp_path / "cpp")
    graph = graph_of(seed, programs=2, steps=24)
    inputs, names = random_inputs(graph, 7, 40), [node.name for node in graph]
    wanted = emulate.run(graph, inputs, names).values
    design = lower(graph, TARGET)
    assert_equal(graph, wanted, rtl.Rtl(rtl.build(design, tmp_path / "rtl"), graph, design).run(inputs, names))
