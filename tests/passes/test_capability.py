"""What a backend cannot print, and what kbuild cannot do yet, is refused by name and place."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
import pytest

from kbuild.config import load_recipe, resolve_settings
from kbuild.config.capability import check_recipe
from kbuild.errors import RecipeError
from kbuild.ir import Graph, Layer, Node, Op, Tensor, verify
from kbuild.ops.conv import Conv
from kbuild.ops.dense import Dense
from kbuild.ops.input import Input
from kbuild.passes import check_capability, resolve_strategy
from kbuild.passes.context import Context, layer_infos


def graph() -> Graph:
    layer = Layer("fc", "Dense")
    x = Node("x", Input((4,)), (), (4,), Layer("x", "InputLayer"))
    return verify(Graph("g", (x, Node("fc", Dense(Tensor(np.ones((4, 2)))), ("x",), (2,), layer)), ("fc",)))


def images(kernel: tuple[int, ...] = (3,)) -> Graph:
    ones, size = (1,) * len(kernel), tuple(n + 1 for n in kernel)
    x = Node("x", Input((*size, 2)), (), (*size, 2), Layer("x", "InputLayer"))
    op = Conv(Tensor(np.ones((*kernel, 2, 2))), strides=ones, padding=((0, 0),) * len(kernel), dilation=ones,
              input_dilation=ones)  # fmt: skip
    shape = (*(2 for _ in kernel), 2)
    return verify(Graph("g", (x, Node("c", op, ("x",), shape, Layer("c", f"Conv{len(kernel)}D"))), ("c",)))


def recipe_file(folder: Path, text: str) -> Path:
    (folder / "m.h5").write_bytes(b"")
    (folder / "recipe.yml").write_text("KerasH5: m.h5\n" + textwrap.dedent(text))
    return folder / "recipe.yml"


def refused_design(folder: Path, text: str, model: Graph | None = None) -> list[str]:
    model = model or graph()
    (recipe,) = load_recipe(recipe_file(folder, text))
    context = Context(resolve_settings(recipe, layer_infos(model)), recipe.backend, recipe.io_type)
    with pytest.raises(RecipeError) as caught:
        check_capability.run(resolve_strategy.run(model, context), context)
    return [line.removeprefix(f"{folder}/") for line in str(caught.value).splitlines()]


def accepted(folder: Path, text: str) -> Op:
    """The op of the convolution of `images`."""
    (recipe,) = load_recipe(recipe_file(folder, text))
    context = Context(resolve_settings(recipe, layer_infos(images())), recipe.backend, recipe.io_type)
    return check_capability.run(resolve_strategy.run(images(), context), context)["c"].op


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


@pytest.mark.parametrize(
    ("setting", "remedy"),
    [
        ("Implementation: winograd", "convolutions are matrix products of their windows; write im2col"),
        ("DepthwiseReuseFactor: 2", "both halves have the layer's reuse factor, 1; write that"),
    ],
)
def test_settings_of_convolutions_that_nothing_honours(setting: str, remedy: str, tmp_path: Path) -> None:
    text = f"Backend: Vitis\nHLSConfig: {{LayerType: {{Conv1D: {{{setting}}}}}}}\n"
    (line,) = refused_design(tmp_path, text, images())
    assert line.startswith("recipe.yml:3:") and line.endswith(f"layer c (Conv1D): {remedy}")
    assert setting.split(":")[0] in line


def test_parallelization_factors(tmp_path: Path) -> None:
    text = "Backend: Vitis\nHLSConfig: {LayerType: {Conv1D: {ParallelizationFactor: %d}}}\n"
    assert refused_design(tmp_path, text % 3, images()) == [
        "recipe.yml:3:57: HLSConfig.LayerType.Conv1D.ParallelizationFactor: a parallelization factor of 3 does not "
        "divide the 2 output positions of the layer c; legal ones near it are 1, 2"
    ]
    for more in ("", "IOType: io_stream\n"):
        op = accepted(tmp_path, f"{more}{text % 2}")
        assert isinstance(op, Conv) and op.parallelization_factor == 2


def test_windows_of_streams(tmp_path: Path) -> None:
    text = "Backend: Vitis\nIOType: io_stream\nHLSConfig: {Model: {ConvImplementation: Encoded}}\n"
    op = accepted(tmp_path, text)
    assert isinstance(op, Conv) and op.encoded
    where = "recipe.yml:4:41: HLSConfig.Model.ConvImplementation: layer c"
    assert refused_design(tmp_path, text, images((32,))) == [
        f"{where} (Conv1D): encoded windows are of at most 31 places along an axis; write LineBuffer"
    ]
    assert refused_design(tmp_path, text, images((2, 32, 3))) == [
        f"{where} (Conv3D): encoded windows are of at most 31 places along an axis; write LineBuffer"
    ]


@pytest.mark.parametrize("io_type", ["io_parallel", "io_stream"])
def test_distributed_arithmetic(io_type: str, tmp_path: Path) -> None:
    text = f"Backend: Vitis\nIOType: {io_type}\nHLSConfig: {{Model: {{Strategy: distributed_arithmetic}}}}\n"
    op = accepted(tmp_path, text)
    assert isinstance(op, Conv) and op.strategy == "distributed_arithmetic"


@pytest.mark.parametrize("word", ["LineBuffer", "Encoded"])
def test_how_streams_keep_their_window_is_nothing_to_io_parallel(word: str, tmp_path: Path) -> None:
    text = f"Backend: Vivado\nHLSConfig: {{Model: {{ConvImplementation: {word}}}}}\n"
    op = accepted(tmp_path, text)
    assert isinstance(op, Conv) and not op.encoded


def test_convolutions_in_verilog(tmp_path: Path) -> None:
    assert refused_design(tmp_path, "", images()) == [
        "layer c (Conv1D): Yosys cannot print the operation conv with io_parallel; Vitis or Vivado can"
    ]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (
            "Backend: Quartus\n",
            ["recipe.yml:2:10: Backend: the backend Quartus is not supported yet; there are Vitis, Vivado, Yosys"],
        ),
        (
            "IOType: io_stream\n",
            ["recipe.yml:2:9: IOType: Yosys has no io_stream yet; write io_parallel, or use Vitis or Vivado"],
        ),
        (
            "Sweep: {ClockPeriod: [5, 10]}\nHLSConfig: {Model: {PipelineStyle: dataflow}}\n",
            [
                "recipe.yml:2:22: Sweep.ClockPeriod: this is not supported yet; delete it",
                "recipe.yml:3:36: HLSConfig.Model.PipelineStyle: this is not supported yet; delete it",
            ],
        ),
    ],
)
def test_what_is_not_there_yet(text: str, lines: list[str], tmp_path: Path) -> None:
    assert refused_recipe(tmp_path, text) == lines
