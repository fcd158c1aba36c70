"""Layers of HGQ2 and QKeras beside the goldens: cells against their formulas, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from recurrent_models import Weights, cell, model

from kbuild import emulate
from kbuild.config import load_recipe, resolve_settings
from kbuild.errors import UnsupportedModel
from kbuild.fixed import FloatArray, to_float
from kbuild.frontend.keras import read_model
from kbuild.frontend.keras.build import build_graph
from kbuild.frontend.keras.masks import reads_mask
from kbuild.frontend.keras.problems import check_supported
from kbuild.frontend.keras.spec import LayerSpec
from kbuild.ir import Graph
from kbuild.passes.context import Context, general_types, layer_infos
from kbuild.passes.pipeline import optimize

DATA = Path(__file__).parent / "data"
WIDE = {"q_type": "kif", "round_mode": "RND", "overflow_mode": "SAT"}


def quantizer(path: str, integer: float, fraction: float) -> Weights:
    """A signed saturating quantizer: variables in the order of the file."""
    return {f"{path}quantizer/{n}": np.array([value]) for n, value in enumerate((integer, fraction, 1.0))}


def conf(**values: object) -> Mapping[str, object]:
    return {"class_name": "QuantizerConfig", "config": {**WIDE, **values}}


def run(graph: Graph, *inputs: FloatArray) -> list[FloatArray]:
    """The outputs of the typed graph."""
    named = {node.name: x for node, x in zip(graph.inputs, inputs, strict=True)}
    fixed = optimize(graph, Context(calibration=named))
    values = emulate.run(fixed, emulate.quantize_inputs(fixed, named)[0]).values
    return [to_float(values[name], fixed[name].fixed()) for name in fixed.outputs]


# ---- QKeras


def rounded(x: FloatArray, bits: int) -> FloatArray:
    """quantized_bits(bits,0,alpha=1)."""
    unit = 2.0 ** (1 - bits)
    return np.clip(np.round(x / unit), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1) * unit


def inputs(steps: int, features: int) -> FloatArray:
    return np.random.default_rng(4).integers(-16, 17, (10, steps, features)) / 8


def test_the_first_state_is_quantized_too() -> None:
    """`binary` makes one of zero."""
    config, weights = cell("QSimpleRNN", 2, 3, state_quantizer="binary(alpha=1)", return_sequences=True,
                           activation="quantized_bits(5,0,alpha=1)")  # fmt: skip
    x = inputs(4, 3)
    state, wanted = np.zeros((10, 2)), []
    for step in range(4):
        before = np.where(state >= 0, 1.0, -1.0)
        total = x[:, step] @ weights["cell/kernel"] + weights["cell/bias"] + before @ weights["cell/recurrent_kernel"]
        state = rounded(total, 5)
        wanted.append(state)
    (found,) = run(build_graph(model("QSimpleRNN", config, weights, (4, 3)), "m"), x)
    assert np.array_equal(found, np.stack(wanted, 1))


@pytest.mark.parametrize("reset_after", [False, True])
def test_gru(reset_after: bool) -> None:
    config, weights = cell("QGRU", 2, 3, state_quantizer="quantized_bits(6,0,alpha=1)", reset_after=reset_after,
                           activation="quantized_bits(5,0,alpha=1)", recurrent_activation="quantized_sigmoid(4)",
                           return_state=True, go_backwards=True)  # fmt: skip
    x, h = inputs(3, 3), np.zeros((10, 2))
    bias = weights["cell/bias"] if reset_after else np.stack([weights["cell/bias"], np.zeros(6)])
    recurrent = weights["cell/recurrent_kernel"]

    def gate(value: FloatArray) -> FloatArray:
        return np.clip(np.round(np.clip(value * 0.5 + 0.5, 0, 1) * 16), 0, 15) / 16

    for step in (2, 1, 0):
        before = rounded(h, 6)
        a, r = x[:, step] @ weights["cell/kernel"] + bias[0], before @ recurrent + bias[1]
        z, reset = gate(a[:, :2] + r[:, :2]), gate(a[:, 2:4] + r[:, 2:4])
        product = reset * r[:, 4:] if reset_after else (reset * before) @ recurrent[:, 4:]
        h = z * before + (1 - z) * rounded(a[:, 4:] + product, 5)
    found = run(build_graph(model("QGRU", config, weights, (3, 3), results=2), "m"), x)
    assert np.array_equal(found[0], h) and np.array_equal(found[1], h)


def test_a_state_that_is_given() -> None:
    config, weights = cell("QLSTM", 2, 3, state_quantizer="quantized_bits(6,0,alpha=1)", use_bias=False,
                           activation="quantized_bits(5,0,alpha=1)", recurrent_activation="quantized_relu(4)",
                           return_state=True)  # fmt: skip
    weights = {name: values for name, values in weights.items() if "bias" not in name}
    rng = np.random.default_rng(6)
    x, (h, c) = inputs(1, 3), rng.integers(-16, 17, (2, 10, 2)) / 16
    total = x[:, 0] @ weights["cell/kernel"] + rounded(h, 6) @ weights["cell/recurrent_kernel"]
    i, f, n, o = np.split(total, 4, axis=-1)
    i, f, o = (np.clip(np.round(g * 16), 0, 15) / 16 for g in (i, f, o))
    carry = f * rounded(c, 6) + i * rounded(n, 5)
    found = run(build_graph(model("QLSTM", config, weights, (1, 3), (2,), (2,), results=3), "m"), x, h, c)
    assert np.array_equal(found[2], carry) and np.array_equal(found[0], o * rounded(carry, 5))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"recurrent_quantizer": None}, "QKeras then takes the kernel for it"),
        ({"state_quantizer": "quantized_bits(4,alpha='auto')"}, "depends on all values at once"),
        ({"stateful": True}, "stateful is true"),
        ({"recurrent_activation": "bernoulli()"}, "random values"),
    ],
)
def test_cells_that_are_refused(values: Mapping[str, object], words: str) -> None:
    config, weights = cell("QGRU", 2, 3, activation="quantized_bits(5,0,alpha=1)", recurrent_activation="linear")
    with pytest.raises(UnsupportedModel, match=r"the layer \"l\" \(QGRU\)") as error:
        build_graph(model("QGRU", {**config, **values}, weights, (3, 3)), "m")
    assert words in str(error.value)


# ---- HGQ2


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("bij,bkj->bik", ((2, 3), (4, 3))),
        ("bij,bij->bj", ((2, 3), (2, 3))),
        ("bij->bji", ((2, 3),)),
        ("bij->bj", ((2, 3),)),
        ("bij,bk->bi", ((2, 3), (4,))),
        ("bij,bjk,bkl->bil", ((2, 3), (3, 4), (4, 2))),
        ("bij,bi,bj->bij", ((2, 3), (2,), (3,))),
        ("bij,bkj,bkl->bl", ((2, 3), (4, 3), (4, 5))),
    ],
)
def test_einsum_of_any_number_of_inputs(equation: str, shapes: tuple[tuple[int, ...], ...]) -> None:
    rng = np.random.default_rng(8)
    arrays = [rng.integers(-8, 9, (5, *shape)) / 4 for shape in shapes]
    confs = [conf() for _ in shapes]
    weights: dict[str, FloatArray] = {}
    for number in range(len(shapes)):
        path = f"iq/quantizers/quantizer{f'_{number}' if number else ''}/"
        weights |= quantizer(path, 2.0, 2.0)
    config = {"equation": equation, "enable_iq": True, "iq_confs": confs}
    (found,) = run(build_graph(model("hgq>QEinsum", config, weights, *shapes), "m"), *arrays)
    assert np.array_equal(found, np.einsum(equation, *arrays))


@pytest.mark.parametrize("equation", ["bii->bi", "bij->cij", "bij,bjk->bik", "bij", "...ij->...ji", "bij->b"])
def test_equations_that_are_refused(equation: str) -> None:
    with pytest.raises(UnsupportedModel, match="is none of 1 inputs whose first axis is the batch"):
        build_graph(model("hgq>QEinsum", {"equation": equation}, {}, (3, 3)), "m")


def test_a_quantizer_with_a_scaler_and_a_line() -> None:
    config = {"config": conf(scaler=0.5, affine={"class_name": "__tuple__", "items": [-2.0, 0.75]})}
    x = np.arange(-40, 41).reshape(-1, 1) / 16
    (found,) = run(build_graph(model("hgq>Quantizer", config, quantizer("", 1.0, 2.0), (1,)), "m"), x)
    assert np.array_equal(found, np.clip(np.floor(x / 0.5 * 4 + 0.5), -8, 7) / 4 * 0.5 * -2 + 0.75)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"scaler": 0.3}, "by which values would be divided; use a power of two"),
        ({"scaler": 0}, "is 0"),
        ({"affine": [1.0]}, "affine is not a scale and a shift"),
        ({"q_type": "float"}, "there are kif and kbi"),
        ({"round_mode": "UP"}, 'rounds by "UP"'),
    ],
)
def test_quantizers_that_are_refused(values: Mapping[str, object], words: str) -> None:
    with pytest.raises(UnsupportedModel) as error:
        build_graph(model("hgq>Quantizer", {"config": conf(**values)}, quantizer("", 1.0, 2.0), (1,)), "m")
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("class_name", "words"),
    [
        ("hgq>QDenseT", "use hgq's QDense"),
        ("hgq>QConvT2D", "use hgq's QConv2D"),
        ("hgq>QMultiHeadAttentionT", "use hgq's QMultiHeadAttention"),
        ("hgq>QSALTAttention", "use hgq's QMultiHeadAttention or QLinformerAttention"),
        ("hgq>QLIF", "use hgq's QSimpleRNN or QGRU"),
    ],
)
def test_classes_that_are_refused_say_what_to_use(class_name: str, words: str) -> None:
    with pytest.raises(UnsupportedModel) as error:
        check_supported(model(class_name, {}, {}, (4, 4)))
    assert words in str(error.value)


@pytest.mark.parametrize("class_name", ["QLSTM", "QBidirectional", "hgq>QGRU", "hgq>QMultiHeadAttention"])
def test_quantized_layers_read_masks_as_plain_ones_do(class_name: str) -> None:
    assert reads_mask(LayerSpec("l", class_name, {}))


def test_bidirectional_around_hgq2() -> None:
    inner = {"class_name": "QGRU", "registered_name": "hgq>QGRU", "config": {"units": 2}}
    with pytest.raises(UnsupportedModel, match="use two layers, one with go_backwards=True"):
        build_graph(model("Bidirectional", {"layer": inner}, {}, (4, 3)), "m")


# ---- layer types


def test_general_types() -> None:
    assert general_types("hgq>QBatchNormDense") == ("QBatchNormDense", "QDense", "Dense")
    assert general_types("QConv2DBatchnorm") == ("QConv2D", "Conv2D")
    assert general_types("QBatchNormalization") == ("BatchNormalization",)
    assert general_types("HConv1DBatchNorm") == ("HConv1D", "Conv1D")
    assert general_types("PFlatten") == ("Flatten",)
    assert general_types("PReLU") == ()
    assert general_types("TernaryDense") == ("Dense",)
    assert general_types("Dense") == general_types("FixedPointQuantizer") == ()


def test_the_exact_type_wins_over_the_general_one(tmp_path: Path) -> None:
    path = DATA / "qkeras_dense_1.keras"
    graph = read_model(None, None, path, "m")
    layers = {info.name: info for info in layer_infos(graph)}
    assert {info.class_name for info in layers.values()} >= {"QDense"}
    recipe = tmp_path / "recipe.yml"
    for given, wanted in (("{Dense: {ReuseFactor: 3}}", 3), ("{Dense: {ReuseFactor: 3}, QDense: {ReuseFactor: 5}}", 5)):
        recipe.write_text(f"KerasModel: {path}\nOutputDir: out\nHLSConfig: {{LayerType: {given}}}\n", encoding="utf-8")
        (read,) = load_recipe(recipe)
        settings = resolve_settings(read, list(layers.values()))
        found = {settings[name].reuse_factor.value for name, info in layers.items() if info.class_name == "QDense"}
        assert found == {wanted}
