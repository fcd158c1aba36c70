"""Yosys reads the Verilog and finds the hardware that is meant."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from random_graphs import Builder

from kbuild.emit import Target
from kbuild.emit.verilog import lower, print_design
from kbuild.fixed import FixedType, Overflow, Quantization
from kbuild.ir import Graph, Layer, Node, Tensor, verify
from kbuild.ops.dense import Dense
from kbuild.ops.input import Input
from kbuild.ops.lut import Lut
from kbuild.ops.merge import Merge
from kbuild.tools.process import run
from kbuild.tools.yosys import yosys


@pytest.mark.slow
def test_block_memories_multipliers_and_carry_chains(tmp_path: Path) -> None:
    builder = Builder(np.random.default_rng(1))
    of = FixedType(12, 4, True, Quantization.RND, Overflow.SAT)
    x = Node("x", Input((3,)), (), (3,), Layer("x", "InputLayer"), of)
    builder.nodes.append(x)
    op = Dense(builder.tensor((3, 3), FixedType(6, 1)))
    fc = builder.add(Dense(op.weight, None, op.sum_type(of)), [x], of)
    table = Tensor(np.arange(4096) - 2048, of)
    lut = builder.add(Lut("tanh", (), table, of.min), [fc], of)
    builder.add(Merge("multiply"), [lut, x], FixedType(20, 6))
    graph = verify(Graph("net", tuple(builder.nodes), (builder.nodes[-1].name,)))
    design = lower(graph, Target("Yosys", "net", "LFE5U-25F", 8.0, 0.125, "io_parallel"))
    files = print_design(design)
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    verilog = " ".join(name for name in files if name.endswith(".v"))
    script = f"read_verilog {verilog}; synth_ecp5 -top net; check -assert; tee -o stat.json stat -json"
    run(yosys(), ["-q", "-p", script], cwd=tmp_path, log=tmp_path / "yosys.log", timeout=300)
    cells = json.loads((tmp_path / "stat.json").read_text(encoding="utf-8"))["design"]["num_cells_by_type"]
    assert cells["DP16KD"] >= 3 and cells["MULT18X18D"] == 3
    assert cells["CCU2C"] >= 3 * design.modules[0].adders // 2
