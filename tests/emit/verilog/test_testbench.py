"""The emitted testbench, run as a user would: `make simulate`."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from random_graphs import Builder, random_inputs

from kbuild import emulate
from kbuild.emit import Target, emit
from kbuild.emit.hls import vectors
from kbuild.fixed import FixedType
from kbuild.ir import Graph, Layer, Node, verify
from kbuild.ops.identity import Identity
from kbuild.ops.input import Input
from kbuild.ops.softmax import Softmax
from kbuild.tools.verilator import verilator

TARGET = Target("Yosys", "net", "LFE5U-85F-6BG381C", 5.0, 0.125, "io_parallel")


def network() -> Graph:
    """Two inputs and two outputs, one of a single bit."""
    builder = Builder(np.random.default_rng(3))
    for name, of in (("x", FixedType(7, 3)), ("input", FixedType(1, 1, signed=False))):
        builder.nodes.append(Node(name, Input((3,)), (), (3,), Layer(name, "InputLayer"), of))
    builder.add(Softmax("argmax"), [builder.nodes[0]], FixedType(1, 1, signed=False))
    builder.add(Identity(), [builder.nodes[1]], FixedType(5, 3))
    return verify(Graph("net", tuple(builder.nodes), (builder.nodes[2].name, builder.nodes[3].name)))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_it_passes_and_it_fails(tmp_path: Path) -> None:
    graph = network()
    inputs = random_inputs(graph, 1, 20)
    files = {**emit(graph, TARGET), **vectors(graph, inputs, emulate.run(graph, inputs).values)}
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(text), encoding="utf-8")
    program = verilator()
    environment = {**os.environ, **dict(program.env)}

    def make(goal: str) -> subprocess.CompletedProcess[str]:
        command = ["make", goal, f"VERILATOR={' '.join(program.command)}"]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert make("lint").returncode == 0
    done = make("simulate")
    assert done.returncode == 0 and "20 samples, 0 wrong values" in done.stdout, done.stdout + done.stderr

    predictions = tmp_path / "tb" / "tb_output_predictions.dat"
    lines = predictions.read_text(encoding="utf-8").splitlines()

    def simulate(expected: list[str]) -> str:
        predictions.write_text("\n".join(expected) + "\n", encoding="utf-8")
        ran = subprocess.run(["tb/verilated/simulation"], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ran.returncode != 0
        return ran.stdout + ran.stderr

    changed = lines[4].split()
    changed[0] = str(1 - int(changed[0]))
    said = simulate([*lines[:4], " ".join(changed), *lines[5:]])
    assert f"sample 4: element 0 of {graph.outputs[0]} is not {changed[0]}" in said and "1 wrong values" in said
    assert "there are no expected outputs for sample 19" in simulate(lines[:-1])
    assert "20 input samples, and not as many outputs" in simulate([*lines, lines[0]])
