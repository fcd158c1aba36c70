"""HGQ's layers in training: what their variables mean, and what is refused. Equality is `test_keras_quantized.py`'s."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from kbuild.emulate import quantize_inputs, run, run_float
from kbuild.errors import UnsupportedModel
from kbuild.fixed import FixedType, FloatArray, Overflow, Quantization, to_float
from kbuild.frontend.keras import read_model
from kbuild.frontend.keras.build import build_graph
from kbuild.frontend.keras.config import Config
from kbuild.frontend.keras.layers.hgq_training import HANDLERS
from kbuild.frontend.keras.spec import Call, LayerSpec, ModelSpec, TensorRef
from kbuild.ir import Graph
from kbuild.passes.context import Context
from kbuild.passes.pipeline import optimize

DATA = Path(__file__).parent / "data"
FRACTIONS = np.array([[0.0, 1.4, -1.6]])


def conf(**settings: object) -> dict[str, object]:
    return {"rnd_strategy": "standard_round", "bw_clip": [-23, 23], "trainable": True, **settings}


def model(
    class_name: str, settings: Mapping[str, object], weights: Mapping[str, FloatArray], shape: tuple[int, ...]
) -> ModelSpec:
    x = LayerSpec("x", "InputLayer", {"batch_shape": [None, *shape], "dtype": "float32"})
    layer = LayerSpec("l", class_name, settings, (Call((TensorRef("x"),)),), weights=dict(weights), keras=2)
    return ModelSpec("m", (x, layer), ("x",), (TensorRef("l"),))


def quantize(bits: FloatArray = FRACTIONS, **settings: object) -> Graph:
    return build_graph(model("HQuantize", {"paq_conf": conf(**settings)}, {"activation_bw": bits}, (3,)), "m")


X = np.array([[0.5, 0.25, 2.0], [-0.5, -0.26, 1.99]])


def test_widths_are_rounded_and_ties_go_up() -> None:
    assert run_float(quantize(), {"x": X})["l"].tolist() == [[1.0, 0.5, 4.0], [0.0, -0.5, 0.0]]


@pytest.mark.parametrize("strategy", ["floor", 3])
def test_floor(strategy: object) -> None:
    found = run_float(quantize(rnd_strategy=strategy), {"x": X})["l"]
    assert found.tolist() == [[0.0, 0.0, 0.0], [-1.0, -0.5, 0.0]]


@pytest.mark.parametrize("strategy", ["stochastic_round", "fast_uniform_noise_injection", 0, 1, "another"])
def test_every_other_strategy_is_rounding_to_nearest_in_inference(strategy: object) -> None:
    assert quantize(rnd_strategy=strategy) == quantize()


def test_widths_are_clipped() -> None:
    wide = quantize(np.array([[np.inf, 40.0, -40.0]]), bw_clip=[-1, 2])
    assert wide == quantize(np.array([[2.0, 2.0, -1.0]]))


def test_automatic_rounding_is_down_without_a_bias() -> None:
    assert quantize(rnd_strategy="auto") == quantize(rnd_strategy="floor")


@pytest.mark.parametrize(("bits", "nearest"), [(np.zeros((1, 1, 1)), True), (np.zeros((1, 1, 2)), True),
                                               (np.zeros((1, 3, 2)), False), (np.zeros((1, 3, 1)), False)])  # fmt: skip
def test_automatic_rounding_is_to_nearest_where_the_bias_has_the_same_widths(bits: FloatArray, nearest: bool) -> None:
    weights = {"kernel": np.eye(2), "kernel_bw": np.zeros((1, 1)), "bias": np.full(2, 0.5), "activation_bw": bits}
    settings = {"units": 2, "kq_conf": conf(), "paq_conf": conf(rnd_strategy="auto"), "activation": "linear"}
    graph = build_graph(model("HDense", settings, weights, (3, 2)), "m")
    assert (run_float(graph, {"x": np.zeros((1, 3, 2))})[graph.outputs[0]] == nearest).all()


def test_the_input_has_the_range_of_its_data_and_the_finest_lsb() -> None:
    graph = optimize(quantize(np.ones((1, 3))), Context(calibration={"x": np.array([[0.3, -0.7, 2.9]])}))
    assert [node.op.kind for node in graph] == ["input"]
    assert graph["x"].type == FixedType(4, 3, True, Quantization.RND, Overflow.SAT)
    coarse = optimize(quantize(np.full((1, 3), 6.0)), Context(calibration={"x": np.array([[0.5, -1.0, 1.5]])}))
    assert coarse["x"].fixed().fraction == 1
    without = optimize(quantize(np.full((1, 3), 2.0)), Context())
    assert without["x"].type == FixedType(8, 6, True, Quantization.RND, Overflow.SAT)
    mixed = optimize(quantize(np.array([[2.0, 3.0, 0.0]])), Context(ranges={"x": (-1.0, 1.0)}))
    assert mixed["x"].type == FixedType(6, 2, True, Quantization.TRN, Overflow.SAT)


def test_nothing_wraps_whatever_comes_in() -> None:
    """Also far outside of the data that the types of the inputs are from, as long as those hold it."""
    graph = read_model(None, DATA / "hgq_training_0.h5", None, "m")
    assert graph == read_model(None, None, DATA / "hgq_training_0.keras", "m")
    x = {"x0": np.random.default_rng(3).uniform(-32, 31, (50, 6, 5, 2))}
    fixed = optimize(graph, Context())
    integers, _ = quantize_inputs(fixed, x)
    found = run(fixed, integers)
    assert not any(found.overflows.values())
    (name,) = fixed.outputs
    wanted = run_float(graph, x)[graph.outputs[0]]
    assert np.array_equal(to_float(found.values[name], fixed[name].fixed()), wanted) and np.abs(wanted).max() > 8


@pytest.mark.parametrize(
    ("settings", "weights", "sentence"),
    [
        ({}, {"activation_bw": np.full((1, 3), np.nan)}, "no numbers of bits"),
        ({}, {"activation_bw": np.zeros((2, 3))}, "no batch axis"),
        ({}, {"activation_bw": np.zeros((1, 4))}, "do not broadcast"),
        ({}, {}, "the variable activation_bw of its quantizer is missing"),
        ({"paq_conf": None}, {"activation_bw": np.zeros((1, 3))}, "is not the configuration of a quantizer"),
        ({"paq_conf": conf(bw_clip=[1])}, {"activation_bw": np.zeros((1, 3))}, "do not fit its configuration"),
    ],
)
def test_refused(settings: Mapping[str, object], weights: Mapping[str, FloatArray], sentence: str) -> None:
    with pytest.raises(UnsupportedModel, match=sentence):
        build_graph(model("HQuantize", {"paq_conf": conf(), **settings}, weights, (3,)), "m")


def test_what_cannot_be_normalized_is_refused() -> None:
    weights = {"kernel_bw": np.zeros((1, 3)), "activation_bw": np.zeros((1, 3)), "moving_variance": np.ones((1, 3)),
               "bn_gamma": np.zeros((1, 3)), "bn_beta": np.zeros((1, 3)), "moving_mean": np.ones((1, 3))}  # fmt: skip
    settings = {"kq_conf": conf(), "paq_conf": conf()}
    with pytest.raises(UnsupportedModel, match="by which HGQ divides"):
        build_graph(model("HBatchNormalization", settings, weights, (3,)), "m")
    weights["moving_variance"] = np.full((1, 3), -1.0)
    with pytest.raises(UnsupportedModel, match="is not positive everywhere"):
        build_graph(model("HBatchNormalization", settings, weights, (3,)), "m")


def test_signature_is_the_type_of_the_input() -> None:
    settings = {"keep_negative": [[1, 1, 0]], "bits": [[4, 4, 4]], "int_bits": [[2, 2, 2]]}
    found = run_float(build_graph(model("Signature", settings, {}, (3,)), "m"), {"x": np.array([[1.3, -2.0, 3.9]])})
    assert found["l"].tolist() == [[1.25, -2.0, 3.75]]
    with pytest.raises(UnsupportedModel, match="which are no numbers of bits"):
        build_graph(model("Signature", settings | {"bits": [["x"]]}, {}, (3,)), "m")


def test_frozen_widths_stand_behind_what_is_trained() -> None:
    def names(**settings: object) -> tuple[str, ...]:
        values = {"kq_conf": conf(), "paq_conf": conf(), **settings}
        return HANDLERS["HDenseBatchNorm"].weights(Config("l", "HDenseBatchNorm", values, 2))

    moving = ("moving_mean", "moving_variance")
    trained = ("kernel", "bias", "kernel_bw", "activation_bw", "bn_beta", "bn_gamma", "beta", "bops", *moving)
    frozen = ("kernel", "bias", "bn_beta", "bn_gamma", "beta", "kernel_bw", "activation_bw", "bops", *moving)
    assert names() == trained
    assert names(trainable=False) == names(kq_conf=conf(trainable=False), paq_conf=conf(trainable=False)) == frozen
    without = ("kernel", "kernel_bw", "activation_bw", "bn_gamma", "beta", "bops", "Variable", "moving_variance")
    assert names(use_bias=False) == without
