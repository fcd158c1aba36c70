"""What an HLS tool would not unroll or partition is refused with what fits, or is made to fit."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kbuild.config import load_recipe, resolve_settings
from kbuild.errors import RecipeError
from kbuild.fixed import FixedType
from kbuild.ir import Graph, Layer, Node, Op, Tensor, verify
from kbuild.ops.concatenate import Concatenate
from kbuild.ops.conv import Conv
from kbuild.ops.dense import Dense
from kbuild.ops.einsum import Einsum
from kbuild.ops.input import Input
from kbuild.ops.lstm import Lstm
from kbuild.ops.multipliers import Matrix, StoredWindow
from kbuild.ops.pool import Pool
from kbuild.ops.reshape import Reshape
from kbuild.ops.rnn import Recurrent
from kbuild.ops.softmax import Softmax
from kbuild.passes import check_limits, resolve_strategy, wide_packets
from kbuild.passes.context import Context, layer_infos
from kbuild.passes.resolve_strategy import as_chosen
from kbuild.passes.unused_settings import remarks


def one(op: Op, shape: tuple[int, ...]) -> Graph:
    """A model of one layer."""
    x = Node("x", Input(shape), (), shape, Layer("x", "InputLayer"))
    return verify(Graph("g", (x, Node("y", op, ("x",), op.infer_shape([shape]), Layer("fc", "Layer"))), ("y",)))


def dense(inputs: int, outputs: int, rows: int = 1) -> Graph:
    shape = (inputs,) if rows == 1 else (rows, inputs)
    return one(Dense(Tensor(np.ones((inputs, outputs)))), shape)


def context(graph: Graph, folder: Path, text: str, backend: str = "Vitis") -> Context:
    (folder / "m.h5").write_bytes(b"")
    (folder / "recipe.yml").write_text(f"KerasH5: m.h5\nBackend: {backend}\n" + textwrap.dedent(text))
    (recipe,) = load_recipe(folder / "recipe.yml")
    return Context(resolve_settings(recipe, layer_infos(graph)), recipe.backend, recipe.io_type)


def passed(graph: Graph, folder: Path, text: str = "", backend: str = "Vitis") -> Op:
    """The layer's op after both passes."""
    given = context(graph, folder, text, backend)
    return check_limits.run(resolve_strategy.run(graph, given), given)["y"].op


def refused(graph: Graph, folder: Path, text: str = "") -> str:
    with pytest.raises(RecipeError) as caught:
        passed(graph, folder, text)
    (line,) = str(caught.value).splitlines()
    return line.removeprefix(f"{folder}/")


def model(settings: str) -> str:
    return f"HLSConfig: {{Model: {{{settings}}}}}\n"


def test_what_fits_stays_as_it_is(tmp_path: Path) -> None:
    op = passed(dense(64, 64), tmp_path)
    assert isinstance(op, Dense) and (op.strategy, op.reuse_factor) == ("latency", 1)


@pytest.mark.parametrize("settings", ["", "ReuseFactor: 1", "ReuseFactor: 10", "ReuseFactor: 200"])
def test_a_layer_without_a_strategy_is_made_to_fit(settings: str, tmp_path: Path) -> None:
    graph, wanted = dense(200, 200), int(settings.rpartition(" ")[2] or 1)
    op = passed(graph, tmp_path, model(settings))
    assert isinstance(op, Dense) and op.strategy == "resource" and op.reuse_factor == max(wanted, 10)
    shown = as_chosen(graph, context(graph, tmp_path, model(settings)))["fc"]
    assert (shown.strategy.value, shown.strategy.origin) == ("Resource", "unroll limit of Vitis")
    assert shown.reuse_factor.value == op.reuse_factor
    assert (shown.reuse_factor.origin == "unroll limit of Vitis") == (wanted == 1)


def test_a_strategy_that_is_named_is_not_changed(tmp_path: Path) -> None:
    graph = dense(200, 200)
    assert refused(graph, tmp_path, model("Strategy: Latency")) == (
        "recipe.yml:3:31: HLSConfig.Model.Strategy: layer fc (Layer): 200 x 200 products, 40000 of them at once, more "
        "than the 4096 that Vitis unrolls; write Strategy: Resource with ReuseFactor: 10 (or a larger legal one, 20, …)"
    )
    line = refused(graph, tmp_path, model("Strategy: Resource, ReuseFactor: 5"))
    assert "Model.ReuseFactor: layer fc (Layer): 200 x 200 products, 8000 of them at once" in line
    shown = as_chosen(graph, context(graph, tmp_path, model("Strategy: Latency")))["fc"]
    assert shown.strategy.value == "Latency"


def test_a_reuse_factor_that_is_asked_for_is_not_changed(tmp_path: Path) -> None:
    line = refused(dense(200, 200), tmp_path, model("ReuseFactor: 4"))
    assert line.startswith("recipe.yml:3:34: HLSConfig.Model.ReuseFactor: layer fc (Layer): 200 x 200 products, 40000")


def test_rows_are_products_at_once_but_for_resource(tmp_path: Path) -> None:
    assert isinstance(passed(dense(32, 32, 4), tmp_path), Dense)
    op = passed(dense(32, 32, 5), tmp_path)
    assert isinstance(op, Dense) and (op.strategy, op.reuse_factor) == ("resource", 1)


def test_what_no_reuse_factor_makes_fit(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"1 x 5000 products, 5000 of them at once.* no reuse factor makes it fit"):
        passed(dense(1, 5000), tmp_path)


def test_every_recommended_reuse_factor_fits() -> None:
    rng = np.random.default_rng(0)
    for terms, outputs, window in rng.integers(1, 300, size=(200, 3)).tolist():
        matrix = Matrix(terms, outputs, 3, window)
        for reuse in matrix.fitting(4096):
            assert terms * outputs / reuse <= 4096 and terms * outputs % reuse == 0


def test_recurrent_products_have_two_reuse_factors(tmp_path: Path) -> None:
    op = Lstm(weight=Tensor(np.ones((10, 400))), recurrent_weight=Tensor(np.ones((100, 400))))
    found = passed(one(op, (3, 10)), tmp_path)
    assert isinstance(found, Recurrent) and found.strategy == "resource"
    assert (found.reuse_factor, found.recurrent_reuse_factor) == (1, 10)
    line = refused(one(op, (3, 10)), tmp_path, model("Strategy: Unrolled"))
    assert "100 x 400 products" in line and "write Strategy: Resource with RecurrentReuseFactor: 10" in line
    line = refused(one(op, (3, 10)), tmp_path, model("Strategy: Resource, ReuseFactor: 40"))
    assert "the recurrent weights, which RecurrentReuseFactor is for, of the layer fc (100 x 400" in line


def conv(channels: int) -> Conv:
    weight = Tensor(np.ones((3, channels, 64)))
    return Conv(weight, strides=(1,), padding=((0, 0),), dilation=(1,), input_dilation=(1,))


@pytest.mark.parametrize(
    ("op", "shape"),
    [
        (conv(2), (66, 2)),
        (Pool("max", (9,), (9,), ((0, 0),)), (9, 450)),
        (Softmax("legacy"), (64,)),
        (Einsum("ab,bc->ac", Tensor(np.ones((16, 16)))), (16, 16)),
    ],
)
def test_what_is_at_the_limit_fits(op: Op, shape: tuple[int, ...], tmp_path: Path) -> None:
    passed(one(op, shape), tmp_path)


@pytest.mark.parametrize("io_type", ["io_parallel", "io_stream"])
def test_positions_at_once_are_products_at_once(io_type: str) -> None:
    op = replace(conv(2), parallelization_factor=8)
    (matrix,) = op.matrices([(66, 2)], io_type)
    assert matrix.at_once("latency", 1) == 8 * 3 * 2 * 64
    assert matrix.at_once("resource", 6) == 8 * 64


def test_every_element_is_a_register(tmp_path: Path) -> None:
    assert refused(one(conv(2), (67, 2)), tmp_path) == (
        "layer fc (Layer): a result of 4160 elements; with io_parallel each is a register, and Vitis partitions arrays "
        "of at most 4096; write IOType: io_stream"
    )


@pytest.mark.parametrize(
    ("op", "shape", "message"),
    [
        (Pool("max", (5,), (5,), ((0, 0),)), (5, 820), "pool takes 4100 operations at once"),
        (Softmax("legacy"), (65,), "softmax takes 4225 operations at once"),
    ],
)
def test_other_layers_beyond_the_limit(op: Op, shape: tuple[int, ...], message: str, tmp_path: Path) -> None:
    graph = one(op, shape)
    given = context(graph, tmp_path, "")
    with pytest.raises(RecipeError, match=message):
        check_limits.run(graph, given)


STREAM = "IOType: io_stream\n"


def depthwise(channels: int, size: int = 3, groups: int | None = None, outputs: int | None = None) -> Conv:
    groups, outputs = groups or channels, outputs or channels
    weight = Tensor(np.ones((size, size, channels // groups, outputs)))
    pads = ((size // 2, size // 2),) * 2
    return Conv(weight, strides=(1, 1), padding=pads, dilation=(1, 1), input_dilation=(1, 1), groups=groups)


@pytest.mark.parametrize(
    ("op", "reuse"),
    [
        (depthwise(455), 1),  # 4095 registers
        (depthwise(512), 9),  # a place of the kernel in each cycle
        (depthwise(192, 5), 25),
        (depthwise(512, outputs=1024), 9),  # two outputs for each input
        (depthwise(512, groups=1, outputs=512), 576),  # 8 of the 512 inputs of a pixel for all outputs in each cycle
        (depthwise(512, groups=32, outputs=512), 18),  # 8 of the 16 inputs of each group
    ],
)
def test_wide_windows_of_streams_are_read_word_by_word(op: Conv, reuse: int, tmp_path: Path) -> None:
    """A window of so many channels is no array of registers: a step reads the inputs that its products need."""
    shape = (4, 4, op.weight.shape[-2] * op.groups)
    found = passed(one(op, shape), tmp_path, STREAM)
    assert isinstance(found, Conv) and found.strategy == ("latency" if reuse == 1 else "resource")
    assert found.reuse_factor == reuse
    (matrix,) = op.matrices([shape], "io_stream")
    assert isinstance(matrix, StoredWindow) == (reuse > 1)
    if isinstance(matrix, StoredWindow):
        pixel = shape[-1]
        for legal in matrix.legal("resource"):
            assert pixel % matrix.word(legal) == 0 and pixel >= matrix.word(legal)


def test_reuse_factors_of_windows_in_memory(tmp_path: Path) -> None:
    """One multiplier for all channels is at one end; three places at once would be three words of memory."""
    graph = one(depthwise(512), (4, 4, 512))
    given = passed(graph, tmp_path, STREAM + model("Strategy: Resource, ReuseFactor: 4608"))
    assert isinstance(given, Conv) and given.reuse_factor == 4608
    line = refused(graph, tmp_path, STREAM + model("Strategy: Resource, ReuseFactor: 3"))
    assert "a reuse factor of 3 does not fit the layer fc (9 x 512, strategy Resource); legal ones near it are 9," in (
        line
    )
    line = refused(graph, tmp_path, STREAM + model("Strategy: Latency"))
    assert line.endswith("write Strategy: Resource with ReuseFactor: 9 (or a larger legal one, 18, …)")


@pytest.mark.parametrize("setting", ["ParallelizationFactor: 2", "ConvImplementation: Encoded"])
def test_windows_that_must_be_registers(setting: str, tmp_path: Path) -> None:
    text = STREAM + f"HLSConfig: {{LayerName: {{fc: {{{setting}}}}}}}\n"
    line = refused(one(depthwise(512), (4, 4, 512)), tmp_path, text)
    assert line.endswith("only with ParallelizationFactor: 1 and ConvImplementation: LineBuffer does its window lie in "
                         "memory")  # fmt: skip
    text = STREAM + model("Strategy: distributed_arithmetic")
    assert "4608 of them at once" in refused(one(depthwise(512), (4, 4, 512)), tmp_path, text)


def test_wide_pooling_of_streams(tmp_path: Path) -> None:
    """A place of the window in each cycle: what is at once is a pixel."""
    pool = Pool("average", (3, 3), (1, 1), ((1, 1), (1, 1)))
    passed(one(pool, (8, 8, 4096)), tmp_path, STREAM)
    assert "pool takes 4097 operations at once" in refused(one(pool, (8, 8, 4097)), tmp_path, STREAM)


def test_packets_that_are_wider_than_a_fifo() -> None:
    """Only Vitis HLS has the limit, and only streams have packets; a reshape has none of its own."""
    of = FixedType(16, 6)
    x = Node("x", Input((2, 256)), (), (2, 256), Layer("x", "InputLayer"), of)
    wide = Node("y", Concatenate(1), ("x", "x"), (2, 512), Layer("both", "Concatenate"), of)
    flat = Node("z", Reshape((1024,)), ("y",), (1024,), Layer("flat", "Flatten"), of)
    graph = verify(Graph("g", (x, wide, flat), ("z",)))
    (line,) = wide_packets.remarks(graph, "Vitis", "io_stream")
    assert "wider ones: those of both (8192);" in line
    for backend, io_type in (("Vivado", "io_stream"), ("Vitis", "io_parallel"), ("Yosys", "io_parallel")):
        assert not wide_packets.remarks(graph, backend, io_type)


def product(rows: int, terms: int, columns: int) -> Graph:
    """A model of one product of two values."""
    shapes = {"a": (rows, terms), "b": (terms, columns)}
    inputs = [Node(name, Input(shape), (), shape, Layer(name, "InputLayer")) for name, shape in shapes.items()]
    node = Node("y", Einsum("ab,bc->ac"), ("a", "b"), (rows, columns), Layer("fc", "Dot"))
    return verify(Graph("g", (*inputs, node), ("y",)))


def weighted(rows: int, terms: int, columns: int) -> Graph:
    """A model of one product with a constant along the last axis."""
    return one(Einsum("ab,bc->ac", Tensor(np.ones((terms, columns)))), (rows, terms))


@pytest.mark.parametrize("graph", [product, weighted])
def test_products_have_the_reuse_factor_that_is_asked_for(graph: Callable[..., Graph], tmp_path: Path) -> None:
    for strategy, reuse in (("Latency", 12), ("Resource", 4), ("Latency", 1)):
        op = passed(graph(3, 4, 6), tmp_path, model(f"Strategy: {strategy}, ReuseFactor: {reuse}"))
        assert isinstance(op, Einsum) and (op.strategy, op.reuse_factor) == (strategy.lower(), reuse)
    line = refused(graph(3, 4, 6), tmp_path, model("ReuseFactor: 5, Strategy: Resource"))
    assert "a reuse factor of 5 does not fit the layer fc (4 x 6, strategy Resource); legal ones near it are" in line
    if graph is weighted:
        assert "(4 x 6, strategy Latency)" in refused(graph(3, 4, 6), tmp_path, model("ReuseFactor: 5"))
    else:  # nothing has to be cut into equal parts
        op = passed(graph(3, 4, 6), tmp_path, model("ReuseFactor: 5"))
        assert isinstance(op, Einsum) and op.reuse_factor == 5


@pytest.mark.parametrize("graph", [product, weighted])
def test_large_products_are_made_to_fit(graph: Callable[..., Graph], tmp_path: Path) -> None:
    small = passed(graph(16, 16, 16), tmp_path)
    assert isinstance(small, Einsum) and small.strategy == "latency"
    rows = passed(graph(17, 16, 16), tmp_path)  # one after the other
    assert isinstance(rows, Einsum) and (rows.strategy, rows.reuse_factor) == ("resource", 1)
    stream = "IOType: io_stream\n"  # with io_parallel so large a value is too many registers
    each = passed(graph(20, 200, 200), tmp_path, stream)
    assert isinstance(each, Einsum) and (each.strategy, each.reuse_factor) == ("resource", 10)
    line = refused(graph(20, 200, 200), tmp_path, stream + model("Strategy: Latency"))
    products = 800000 if graph is product else 40000  # a stream multiplies rows by a constant as they come
    assert line.startswith("recipe.yml:4:31: HLSConfig.Model.Strategy: layer fc (")
    assert line.endswith(
        f"): 200 x 200 products, {products} of them at once, more than the 4096 that Vitis unrolls; write Strategy: "
        f"Resource with ReuseFactor: 10 (or a larger legal one, {16 if graph is product else 20}, …)"
    )


def test_resource_takes_rows_of_two_values_apart_anywhere(tmp_path: Path) -> None:
    """10 x 16 in four steps of 5 x 8: no memory of weights asks for more."""
    op = passed(product(10, 10, 16), tmp_path, model("Strategy: Resource, ReuseFactor: 4"))
    assert isinstance(op, Einsum) and op.reuse_factor == 4
    assert "does not fit" in refused(weighted(10, 10, 16), tmp_path, model("Strategy: Resource, ReuseFactor: 4"))


@pytest.mark.parametrize("strategy", ["Unrolled", "distributed_arithmetic"])
def test_strategies_of_constants_say_nothing_of_two_values(strategy: str, tmp_path: Path) -> None:
    for rows, used in ((3, "latency"), (40, "resource")):
        graph = product(rows, 16, 16)
        op = passed(graph, tmp_path, model(f"Strategy: {strategy}"))
        assert isinstance(op, Einsum) and op.strategy == used
        given = context(graph, tmp_path, model(f"Strategy: {strategy}"))
        assert as_chosen(graph, given)["fc"].strategy.value == strategy
        assert remarks(graph, given) == (
            f"Strategy {strategy} is about constants: the products of two values in the layer fc are computed as with "
            f"{used.capitalize()}",
        )
    op = passed(weighted(3, 16, 16), tmp_path, model(f"Strategy: {strategy}"))
    assert isinstance(op, Einsum) and op.strategy == strategy.lower()


def test_settings_without_effect_are_named(tmp_path: Path) -> None:
    graph = one(Pool("max", (3,), (3,), ((0, 0),)), (9, 4))
    text = "HLSConfig: {Model: {ReuseFactor: 2}, LayerName: {fc: {%s}}}\n"
    assert remarks(graph, context(graph, tmp_path, text % "ReuseFactor: 3, Strategy: Resource")) == (
        "ReuseFactor has no effect on the layer fc: it is about sums of products, of which there are none of its own",
        "Strategy has no effect on the layer fc: it is about sums of products, of which there are none of its own",
    )
    (line,) = remarks(graph, context(graph, tmp_path, text % "ParallelizationFactor: 3"))
    assert line.startswith("ParallelizationFactor has no effect on the layer fc")
    for silent in ("ReuseFactor: 1", "Strategy: Latency", "Trace: true"):
        assert not remarks(graph, context(graph, tmp_path, text % silent))
    graph = dense(4, 4)
    assert not remarks(graph, context(graph, tmp_path, text % "ReuseFactor: 4, Strategy: Resource"))
    (line,) = remarks(graph, context(graph, tmp_path, text % "RecurrentReuseFactor: 4"))
    assert line.startswith("RecurrentReuseFactor has no effect on the layer fc")


def test_verilog_has_limits_of_its_own(tmp_path: Path) -> None:
    op = passed(dense(200, 200), tmp_path, backend="Yosys")
    assert isinstance(op, Dense) and op.strategy == "latency"
