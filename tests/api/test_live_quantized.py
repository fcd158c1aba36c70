"""Quantized models in memory: what the library predicts and what kbuild does are the same numbers.

HGQ2 is beside Keras 3; QKeras and HGQ need an old TensorFlow, whose Keras is 2. Where a library is not installed, its
tests are skipped with a line that says so.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conformance.catalog import CaseId
from conformance.quantized import hgq as hgq_cases
from conformance.quantized.reference import give_old_names

import kbuild
from kbuild.emulate import quantize_inputs, run
from kbuild.errors import UnsupportedModel
from kbuild.fixed import FloatArray, to_float
from kbuild.frontend.keras import read_model
from kbuild.frontend.keras.live import read_live
from kbuild.passes import check_capability
from kbuild.passes.context import Context
from kbuild.passes.pipeline import PIPELINE, everywhere

DATA = Path(__file__).parent.parent / "frontend" / "data"
HGQ2 = sorted(DATA.glob("hgq2_*.keras"))
QKERAS = sorted(DATA.glob("qkeras_*_0.h5"))
HGQ = sorted(DATA.glob("hgq_*.h5"))


def library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        pytest.skip(f"{error.name} is not installed here")


def golden(path: Path) -> tuple[list[FloatArray], list[FloatArray], FloatArray]:
    """Inputs, outputs, and which outputs float32 does not round."""
    with np.load(path.with_suffix(".npz")) as arrays:
        found = dict(arrays)
    inputs, outputs = ([found[f"{kind}{i}"] for i in range(len(found)) if f"{kind}{i}" in found] for kind in "xy")
    return inputs, outputs, found.get("exact", np.full(len(outputs), True))


def emulated(model: Any, inputs: list[FloatArray]) -> list[FloatArray]:
    """What kbuild makes of a live model, whether a backend prints all of it or not."""
    graph = read_live(model).graph("m")
    named = {node.name: x.astype(np.float64) for node, x in zip(graph.inputs, inputs, strict=True)}
    context = Context(calibration=named)
    for step in PIPELINE:
        graph = graph if step is check_capability.run else everywhere(step, graph, context)
    integers, _ = quantize_inputs(graph, named)
    values = run(graph, integers).values
    return [to_float(values[name], graph[name].fixed()) for name in graph.outputs]


def check(model: Any, path: Path) -> None:
    inputs, _, exact = golden(path)
    made = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    wanted = made if isinstance(made, list | tuple) else [made]
    found = emulated(model, inputs)
    assert len(found) == len(wanted) == len(exact) and any(exact)
    for number in np.flatnonzero(exact):
        assert np.array_equal(found[number], np.asarray(wanted[number])), f"{path.name}: output {number}"


@pytest.mark.parametrize("path", HGQ2, ids=lambda path: path.name)
def test_hgq2(path: Path) -> None:
    library("hgq.layers")
    check(library("keras").models.load_model(path, compile=False), path)


def test_a_live_model_of_hgq2_is_converted_and_predicts() -> None:
    hgq, keras = library("hgq.layers"), library("keras")
    keras.utils.set_random_seed(5)
    x = keras.Input((4, 6), name="x")
    mixed = hgq.QMultiHeadAttention(2, 3, name="attention")(x, x)
    model = keras.Model(x, hgq.QGRU(3, name="gru")(mixed), name="live")
    data = np.round(np.random.default_rng(5).normal(0, 1, (16, 4, 6)) * 16) / 16
    made = kbuild.converters.convert_from_keras_model(model, "out", backend="Vitis")
    made.compile()
    assert np.array_equal(made.predict(data), model.predict(data, verbose=0))


@pytest.mark.parametrize(("name", "sizes"), [("QDenseT", (3,)), ("QConvT1D", (2, 2))])
def test_tables_of_learned_functions_are_traced(name: str, sizes: tuple[int, ...]) -> None:
    hgq, keras = library("hgq.layers"), library("keras")
    keras.utils.set_random_seed(5)
    x = keras.Input((4, 3))
    made = {"QDenseT": hgq.QDenseT, "QConvT1D": hgq.QConvT1D}[name](*sizes)(x)
    model = keras.Model(x, made)
    data = np.round(np.random.default_rng(5).normal(0, 1, (16, 4, 3)) * 64) / 64
    (found,) = emulated(model, [data])
    assert np.array_equal(found, model.predict(data, verbose=0))


def test_what_hgq2_does_not_save_is_refused() -> None:
    hgq, keras = library("hgq.layers"), library("keras")
    conf = library("hgq.config").HardTanhConfig(symmetric=True)
    x = keras.Input((4, 6))
    model = keras.Model(x, hgq.QSimpleRNN(3, paq_conf=conf)(x))
    with pytest.raises(UnsupportedModel, match="is a symmetric HardTanhConfig, which HGQ2 does not save; use"):
        read_live(model)


@pytest.mark.parametrize("path", QKERAS, ids=lambda path: path.name)
def test_qkeras(path: Path) -> None:
    qkeras, keras = library("qkeras.utils"), library("keras")
    give_old_names()
    custom: dict[str, Any] = {}
    qkeras._add_supported_quantized_objects(custom)
    model = keras.models.load_model(path, custom, compile=False)
    assert read_live(model).graph("m") == read_model(None, path, None, "m")
    check(model, path)


@pytest.mark.parametrize("path", HGQ, ids=lambda path: path.name)
def test_hgq(path: Path) -> None:
    proxy, keras = library("HGQ.proxy"), library("keras")
    custom = {name: getattr(proxy, name) for name in ("FixedPointQuantizer", "UnaryLUT") if hasattr(proxy, name)}
    model = keras.models.load_model(path, custom, compile=False)
    assert read_live(model).graph("m") == read_model(None, path, None, "m")
    check(model, path)


@pytest.mark.parametrize("layer", hgq_cases.TRAINED)
def test_hgq_in_training(layer: str) -> None:
    check_training(layer, 0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 4))
@pytest.mark.parametrize("layer", hgq_cases.TRAINED)
def test_more_of_hgq_in_training(layer: str, seed: int) -> None:
    check_training(layer, seed)


def check_training(layer: str, seed: int) -> None:
    """A random model with what HGQ does not save, too; and its proxy, where that is the same on what was traced."""
    bops, proxy = library("HGQ.bops"), library("HGQ.proxy")
    from conformance.quantized import reference

    model, inputs, wanted, code = reference.live(CaseId(layer, "hgq", seed))
    found = emulated(model, inputs)
    assert len(found) == len(wanted)
    for number, (own, theirs) in enumerate(zip(found, wanted, strict=True)):
        assert np.array_equal(own, theirs), f"{layer} {seed}: output {number}\n{code}"
    if layer == "HBatchNormalization" or "HBatchNormalization" in code:  # which HGQ cannot turn into a proxy
        return
    bops.trace_minmax(model, inputs[0], verbose=False)
    converted = emulated(proxy.to_proxy_model(model), inputs)
    for number, (own, theirs) in enumerate(zip(converted, wanted, strict=True)):
        assert np.array_equal(own, theirs), f"{layer} {seed}: output {number} of the proxy\n{code}"


def test_settings_that_hgq_does_not_save_are_asked_for() -> None:
    own, keras = library("HGQ.layers"), library("keras")
    x = keras.Input((3,))
    y = own.HQuantize(name="q")(x)
    model = keras.Model(x, own.HDenseBatchNorm(2, epsilon=0.25, center=False, name="d")(y))
    neither = own.HDenseBatchNorm(2, center=False, scale=False, name="e")(y)
    assert read_live(keras.Model(x, neither)).graph("m")["e"].op.kind == "dense"
    spec = read_live(model)
    (config,) = [layer.config for layer in spec.spec.layers if layer.name == "d"]
    assert (config["epsilon"], config["center"], config["scale"]) == (0.25, False, True)
    changed = keras.Model(x, own.HDenseBatchNorm(2, epsilon=0.5, center=False, name="d")(y))
    changed.set_weights(model.get_weights())
    assert read_live(changed).digest != spec.digest
