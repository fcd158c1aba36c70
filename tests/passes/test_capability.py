"""What a backend cannot print, and what kbuild cannot do yet, is refused by name and place."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
import pytest

from kbuild.config import load_recipe, resolve_settings
from kbuild.config.capability import check_recipe
from kbuild.errors import RecipeError
from kbuild.ir import Graph, Layer, Node, Tensor, verify
from kbuild.ops.dense import Dense
from kbuild.ops.input import Input
from kbuild.passes import check_capability, resolve_strategy
from kbuild.passes.context import Context, layer_infos


def graph() -> Graph:
    layer = Layer("fc", "Dense")
    x = Node("x", Input((4,)), (), (4,), Layer("x", "InputLayer"))
    return verify(Graph("g", (x, Node("fc", Dense(Tensor(np.ones((4, 2)))), ("x",), (2,), layer)), ("fc",)))


def recipe_file(folder: Path, text: str) -> Path:
    (folder / "m.h5").write_bytes(b"")
    (folder / "recipe.yml").write_text("KerasH5: m.h5\n" + textwrap.dedent(text))
    return folder / "recipe.yml"


def refused_design(folder: Path, text: str) -> list[str]:
    (recipe,) = load_recipe(recipe_file(folder, text))
    context = Context(resolve_settings(recipe, layer_infos(graph())), recipe.backend, recipe.io_type)
    with pytest.raises(RecipeError) as caught:
        check_capability.run(resolve_strategy.run(graph(), context), context)
    return [line.removeprefix(f"{folder}/") for line in str(caught.value).splitlines()]


def refused_recipe(folder: Path, text: str) -> list[str]:
    (recipe,) = load_recipe(recipe_file(folder, text))
    with pytest.raises(RecipeError) as caught:
        check_recipe(recipe)
    return [line.removeprefix(f"{folder}/") for line in str(caught.value).splitlines()]


def test_reuse_in_a_pipeline(tmp_path: Path) -> None:
    assert refused_design(tmp_path, "HLSConfig: {Model: {ReuseFactor: 2}}\n") == [
        "recipe.yml:2:34: HLSConfig.Model.ReuseFactor: layer fc (Dense): Yosys prints fully pipelined designs, in "
        "which nothing is reused; write a reuse factor of 1, or use Vitis or Vivado"
    ]


def test_strategy_that_a_backend_lacks(tmp_path: Path) -> None:
    assert refused_design(tmp_path, "HLSConfig: {Model: {Strategy: Resource}}\n") == [
        "recipe.yml:2:31: HLSConfig.Model.Strategy: layer fc (Dense): Yosys has no strategy resource yet; "
        "write one of latency, unrolled, distributed_arithmetic"
    ]
    assert "Vitis has no strategy distributed_arithmetic yet" in refused_design(
        tmp_path, "Backend: Vitis\nHLSConfig: {Model: {Strategy: distributed_arithmetic}}\n"
    )[0]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (
            "Backend: Quartus\n",
            ["recipe.yml:2:10: Backend: the backend Quartus is not supported yet; there are Vitis, Vivado, Yosys"],
        ),
        ("IOType: io_stream\n", ["recipe.yml:2:9: IOType: Yosys has no io_stream yet; write io_parallel"]),
        (
            "Sweep: {ClockPeriod: [5, 10]}\nHLSConfig: {Model: {BitExact: true, PipelineStyle: dataflow}}\n",
            [
                "recipe.yml:2:22: Sweep.ClockPeriod: this is not supported yet; delete it",
                "recipe.yml:3:31: HLSConfig.Model.BitExact: this is not supported yet; delete it",
                "recipe.yml:3:52: HLSConfig.Model.PipelineStyle: this is not supported yet; delete it",
            ],
        ),
    ],
)
def test_what_is_not_there_yet(text: str, lines: list[str], tmp_path: Path) -> None:
    assert refused_recipe(tmp_path, text) == lines
