"""GarNet and GarNetStack: read as they are defined, the same in every engine, within the reach of recipes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from kbuild import emulate
from kbuild.config import recipe_from_dict, resolve_settings
from kbuild.engines import csim
from kbuild.engines.csim_stream import StreamCSim
from kbuild.errors import RecipeError, UnsupportedModel
from kbuild.fixed import FixedType, FloatArray, to_float, wide
from kbuild.frontend.keras import read_model
from kbuild.ir import Graph
from kbuild.passes.context import VALUE_WIDTH, Context, layer_infos
from kbuild.passes.pipeline import optimize
from kbuild.tools.cxx import Options, compile_shared

MODELS = Path(os.environ.get("KBUILD_MODELS", "/nonexistent"))
V, D = 6, 4
GARNET = {"n_aggregators": 3, "n_propagate": 2, "n_filters": 4, "simplified": True, "collapse": None,
          "input_format": "xn", "output_activation": None, "mean_by_nvert": False,
          "quantize_transforms": False}  # fmt: skip
STACK = GARNET | {"n_aggregators": [3, 2], "n_propagate": [2, 5], "n_filters": [4, 3], "n_sublayers": 2}
Weights = dict[str, FloatArray]


# ---- the definition ----------------------------------------------------------------------------------------------


def ternary(w: FloatArray) -> FloatArray:
    return np.sign(w) * (np.abs(w) >= 0.5)


def quantized_bits(bits: int, integer: int) -> Any:
    unit = 2.0 ** (integer + 1 - bits)
    return lambda w: unit * np.clip(np.rint(w / unit), -(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1)


def sublayers(config: dict[str, Any]) -> list[tuple[str, int, int, int]]:
    counts = [config[key] for key in ("n_aggregators", "n_propagate", "n_filters")]
    if isinstance(counts[0], int):
        return [("", *counts)]
    return [(str(number), *each) for number, each in enumerate(zip(*counts, strict=True))]


def defined(config: dict[str, Any], weights: Weights, inputs: list[FloatArray]) -> FloatArray:
    """What the layer computes, in float64, vertex by vertex and aggregator by aggregator."""
    x = inputs[0]
    if config["input_format"] == "x":
        there = (x[:, :, 3:4] != 0).astype(float)
    else:
        there = (np.arange(x.shape[1])[None] < inputs[-1]).astype(float)[:, :, None]
    if config["input_format"] == "xen":
        x = np.concatenate([x, inputs[1].reshape(*x.shape[:2], 1)], axis=2)
    quantizer = output = lambda v: v
    if config["quantize_transforms"]:
        bits = config.get("total_bits"), config.get("int_bits")
        quantizer = ternary if bits[0] is None else quantized_bits(*bits)
        output = output if bits[0] is None else quantized_bits(*bits)
    function = {None: lambda v: v, "relu": lambda v: np.maximum(v, 0), "tanh": np.tanh}[config["output_activation"]]
    for n, aggregators, propagated, _ in sublayers(config):
        features = x @ quantizer(weights[f"FLR{n}_kernel"]) + quantizer(weights[f"FLR{n}_bias"])
        edges = there * np.exp(-((x @ weights[f"S{n}_kernel"] + weights[f"S{n}_bias"]) ** 2))
        collected = np.stack([(edges[:, :, [a]] * features).sum(axis=1) for a in range(aggregators)], axis=1)
        collected /= inputs[-1][:, :, None] if config["mean_by_nvert"] else x.shape[1]
        updated = np.stack([edges[:, :, [a]] * collected[:, [a]] for a in range(aggregators)], axis=2)
        rows = updated.reshape(*x.shape[:2], aggregators * propagated)
        x = there * output(function(rows @ quantizer(weights[f"Fout{n}_kernel"]) + weights[f"Fout{n}_bias"]))
    collapse = config["collapse"]
    return x if collapse is None else getattr(np, collapse)(x, axis=1)


# ---- models ------------------------------------------------------------------------------------------------------


def weights_of(config: dict[str, Any], rng: np.random.Generator) -> Weights:
    found: Weights = {}
    inputs = D + (config["input_format"] == "xen")
    for n, aggregators, propagated, outputs in sublayers(config):
        shapes = {"FLR": (inputs, propagated), "S": (inputs, aggregators), "Fout": (aggregators * propagated, outputs)}
        for name, shape in shapes.items():
            found[f"{name}{n}_kernel"] = rng.uniform(-1, 1, shape).astype(np.float32).astype(np.float64)
            found[f"{name}{n}_bias"] = rng.uniform(-0.9, 0.9, shape[1]).astype(np.float32).astype(np.float64)
        inputs = outputs
    return found


def inputs_of(config: dict[str, Any], rng: np.random.Generator, samples: int = 20) -> list[FloatArray]:
    """Every number of vertices from one to all of them is there."""
    x = np.round(rng.normal(0, 1, (samples, V, D)) * 64) / 64
    count = np.arange(samples)[:, None] % V + 1.0
    if config["input_format"] == "x":
        x[:, :, 3] *= rng.random((samples, V)) < 0.6
        return [x]
    return [x, count] if config["input_format"] == "xn" else [x, np.abs(x[:, :, 0]), count]


def read(config: dict[str, Any], weights: Weights, folder: Path, class_name: str | None = None) -> Graph:
    """A model of this layer alone from the files that Keras 2 writes."""
    shapes = [[None, V, D], *([[None, V]] if config["input_format"] == "xen" else [])]
    shapes += [[None, 1]] if config["input_format"] != "x" else []
    names = [f"in{n}" for n in range(len(shapes))]
    layers: list[Any] = [
        {"class_name": "InputLayer", "name": name, "inbound_nodes": [],
         "config": {"name": name, "batch_input_shape": shape, "dtype": "int32" if shape == [None, 1] else "float32"}}
        for name, shape in zip(names, shapes, strict=True)
    ]  # fmt: skip
    kind = class_name or ("GarNet" if isinstance(config["n_filters"], int) else "GarNetStack")
    layers.append({"class_name": kind, "name": "gar", "config": {"name": "gar", "dtype": "float32", **config},
                   "inbound_nodes": [[[name, 0, 0, {}] for name in names]]})  # fmt: skip
    model = {"name": "model", "layers": layers, "input_layers": [[name, 0, 0] for name in names],
             "output_layers": [["gar", 0, 0]]}  # fmt: skip
    text = json.dumps({"class_name": "Model", "config": model, "keras_version": "2.2.4-tf", "backend": "tensorflow"})
    (folder / "m.json").write_text(text)
    with h5py.File(folder / "m.h5", "w") as file:
        file.attrs["layer_names"] = [*names, "gar"]
        file.attrs["keras_version"] = "2.2.4-tf"
        for name in names:
            file.create_group(name).attrs["weight_names"] = []
        group = file.create_group("gar")
        group.attrs["weight_names"] = [f"gar/{name}:0" for name in weights]
        for name, values in weights.items():
            group[f"gar/{name}:0"] = values.astype(np.float32)
    return read_model(folder / "m.json", folder / "m.h5", None, "m")


def variants() -> Iterator[dict[str, Any]]:
    for base, collapse, form in product((GARNET, STACK), (None, "mean", "sum", "max"), ("x", "xn", "xen")):
        one = base | {"collapse": collapse, "input_format": form}
        yield one
        yield one | {"output_activation": "relu"}
        if form != "x" and collapse != "mean":
            yield one | {"mean_by_nvert": True}
    yield STACK | {"output_activation": "tanh"}
    yield STACK | {"output_activation": "tanh", "collapse": "mean"}
    for base, collapse in product((GARNET, STACK), (None, "mean")):
        yield base | {"quantize_transforms": True, "collapse": collapse}
        yield base | {"quantize_transforms": True, "collapse": collapse, "total_bits": 6, "int_bits": 1}


def of_inputs(graph: Graph, inputs: list[FloatArray]) -> dict[str, FloatArray]:
    return {node.name: x for node, x in zip(graph.inputs, inputs, strict=True)}


def named(config: dict[str, Any]) -> str:
    return "-".join(map(str, config.values()))


VARIANTS = list(variants())


def is_quantized(config: dict[str, Any]) -> bool:
    """Whether outputs are rounded, so that an error may grow to a whole step."""
    return config.get("total_bits") is not None


@pytest.mark.parametrize("config", VARIANTS, ids=named)
def test_a_layer_is_read_as_it_is_defined(config: dict[str, Any], tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    weights, inputs = weights_of(config, rng), inputs_of(config, rng)
    graph = read(config, weights, tmp_path)
    (found,) = emulate.run_float(graph, of_inputs(graph, inputs)).values()
    wanted = defined(config, weights, inputs)
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() < 1e-12


@pytest.mark.parametrize("config", [config for config in VARIANTS if not is_quantized(config)], ids=named)
def test_default_types_are_right(config: dict[str, Any], tmp_path: Path) -> None:
    """To a two-hundredth of the largest output; the table of distances has a thousand entries."""
    rng = np.random.default_rng(4)
    weights, inputs = weights_of(config, rng), inputs_of(config, rng, 60)
    graph = read(config, weights, tmp_path)
    fixed = optimize(graph, Context(calibration=of_inputs(graph, inputs)))
    run = emulate.run(fixed, emulate.quantize_inputs(fixed, of_inputs(graph, inputs))[0])
    (name,) = fixed.outputs
    wanted = defined(config, weights, inputs)
    assert np.abs(to_float(run.values[name], fixed[name].fixed()) - wanted).max() < 0.005 * np.abs(wanted).max()
    assert all(node.fixed().width <= VALUE_WIDTH for node in fixed)


# ---- engines -----------------------------------------------------------------------------------------------------

SIMULATED = {
    "mean": GARNET | {"collapse": "mean"},
    "numbers": STACK | {"mean_by_nvert": True, "input_format": "xen", "output_activation": "tanh"},
    "presence": STACK | {"input_format": "x", "collapse": "max", "quantize_transforms": True},
}


@pytest.mark.parametrize("io_type", ["io_parallel", "io_stream"])
@pytest.mark.parametrize("name", [*SIMULATED][:2])
def test_the_c_simulation_gives_the_same_integers(name: str, io_type: str, tmp_path: Path) -> None:
    check_simulation(SIMULATED[name], io_type, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("io_type", ["io_parallel", "io_stream"])
def test_so_does_that_of_the_others(io_type: str, tmp_path: Path) -> None:
    check_simulation(SIMULATED["presence"], io_type, tmp_path)


def check_simulation(config: dict[str, Any], io_type: str, folder: Path) -> None:
    rng = np.random.default_rng(5)
    graph, inputs = read(config, weights_of(config, rng), folder), inputs_of(config, rng)
    graph = optimize(graph, Context(calibration=of_inputs(graph, inputs), io_type=io_type))
    integers = emulate.quantize_inputs(graph, of_inputs(graph, inputs))[0]
    names = [node.name for node in graph]
    wanted = emulate.run(graph, integers, names).values
    for path, text in (texts := csim.sources(graph, io_type)).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    library = folder / csim.LIBRARY
    sources = [folder / path for path in texts if path.endswith(".cpp")]
    compile_shared(sources, library, build_dir=folder, log_dir=folder, options=Options(optimise="-O0"))
    if io_type == "io_stream":
        found = dict(StreamCSim(library, graph, threads=1).run_bounded(integers, names).values)
    else:
        found = dict(csim.CSim(library, graph, threads=1).run(integers, names))
    assert found.keys() == wanted.keys()
    assert [node for node in found if not np.array_equal(wide(found[node]), wide(wanted[node]))] == []


# ---- types -------------------------------------------------------------------------------------------------------


def settings(graph: Graph, folder: Path, **hls: Any) -> Context:
    recipe = recipe_from_dict({"KerasModel": object(), "Backend": "Vivado", "HLSConfig": hls}, folder)
    return Context(resolve_settings(recipe, layer_infos(graph)), recipe.backend)


def test_types_of_the_class_are_for_weights_and_the_result(tmp_path: Path) -> None:
    graph = read(STACK, weights_of(STACK, np.random.default_rng(0)), tmp_path)
    given = {"default": "ap_fixed<12,3,AP_RND,AP_SAT>", "result": "ap_fixed<13,5>"}
    context = settings(
        graph,
        tmp_path,
        Model={"Precision": "ap_fixed<16,6>", "Strategy": "Resource"},
        LayerType={"GarNetStack": {"Precision": given, "ReuseFactor": 32}},
        LayerName={"gar_edges1": {"Precision": {"result": "ufixed<9,1>"}}},
    )
    fixed = optimize(graph, context)
    constants = [fixed[name].op for name in ("gar_FLR0", "gar_S1", "gar_Fout1", "gar_updated1")]
    types = {str(tensor.type) for op in constants for tensor in (op.weight, op.bias) if tensor is not None}  # type: ignore[attr-defined]
    assert types == {"fixed<12,3,RND,SAT>"}
    assert str(fixed["gar"].fixed()) == "fixed<13,5>"
    assert str(fixed["gar_edges1"].fixed()) == "ufixed<9,1>"
    assert str(fixed["gar_mask_2"].fixed()) == "ufixed<1,1>"
    of_model = [node.name for node in fixed if node.layer.inner and node.fixed() == FixedType(16, 6)]
    assert of_model == ["gar_mask"]  # which repeats an input


def test_a_type_that_holds_too_few_vertices_is_refused(tmp_path: Path) -> None:
    graph = read(GARNET, weights_of(GARNET, np.random.default_rng(0)), tmp_path)
    context = settings(graph, tmp_path, Model={"Precision": "ap_fixed<6,3>"})
    message = "holds no number above 3, and it is compared with numbers up to 6; give the input the type ufixed<3,3,"
    with pytest.raises(RecipeError, match=message):
        optimize(graph, context)


def test_variables_of_inner_values_are_none_of_the_class(tmp_path: Path) -> None:
    graph = read(GARNET | {"collapse": "max"}, weights_of(GARNET, np.random.default_rng(0)), tmp_path)
    with pytest.raises(RecipeError, match="a layer of type GarNet has no variable accum"):
        settings(graph, tmp_path, LayerType={"GarNet": {"Precision": {"accum": "fixed<16,6>"}}})


@pytest.mark.parametrize("calibrated", [True, False])
def test_the_number_of_vertices_has_a_type_that_holds_all_of_them(calibrated: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    graph = read(GARNET, weights_of(GARNET, rng), tmp_path)
    data = of_inputs(graph, inputs_of(GARNET, rng, 2)) if calibrated else {}
    of = optimize(graph, Context(calibration=data)).inputs[1].fixed()
    assert (of.min, of.width, of.fraction) == (0, 3, 0)
    assert of.max >= V


# ---- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"simplified": False}, "simplified is false"),
        ({"collapse": "min"}, 'collapse is "min"'),
        ({"input_format": "n"}, 'input_format is "n"'),
        ({"mean_by_nvert": True, "collapse": "mean"}, "not by the number of vertices"),
        ({"mean_by_nvert": True, "input_format": "x"}, "all samples of a batch"),
        ({"output_activation": "tanh"}, "caloGraphNN applies once"),
        ({"output_activation": "no such"}, 'no activation "no such"'),
        ({"n_filters": 0}, "are not all positive"),
        ({"n_filters": 3}, "has shape"),
    ],
)
def test_what_is_not_well_defined_is_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    weights = weights_of(GARNET, np.random.default_rng(0))
    with pytest.raises(UnsupportedModel, match=message):
        read(GARNET | change, weights, tmp_path)


def test_lists_of_a_stack_are_as_long(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match="have 2, 2, 1 numbers"):
        read(STACK | {"n_filters": [4]}, weights_of(STACK, np.random.default_rng(0)), tmp_path, "GarNetStack")


def test_weights_beyond_one_are_no_ternary_ones(tmp_path: Path) -> None:
    config = GARNET | {"quantize_transforms": True}
    weights = weights_of(config, np.random.default_rng(0))
    weights["Fout_kernel"][0, 0] = 1.5
    with pytest.raises(UnsupportedModel, match=r"Fout_kernel holds 1\.5, which no ternary weight"):
        read(config, weights, tmp_path)


# ---- the published models ----------------------------------------------------------------------------------------


@pytest.mark.skipif(not (MODELS / "garnet_1layer").is_dir(), reason="the published GarNet (KBUILD_MODELS) is not here")
def test_the_published_model_gives_its_published_predictions() -> None:
    folder = MODELS / "garnet_1layer"
    graph = read_model(folder / "garnet_1layer.json", folder / "garnet_1layer_weights.h5", None, "m")
    with np.load(folder / "golden.npz") as golden:
        inputs, wanted = of_inputs(graph, [golden["x0"].astype(np.float64), golden["x1"]]), golden["y0"]
    (found,) = emulate.run_float(graph, inputs).values()
    assert np.abs(found - wanted).max() < 2e-6
    fixed = optimize(graph, Context(calibration=inputs))
    run = emulate.run(fixed, emulate.quantize_inputs(fixed, inputs)[0])
    (name,) = fixed.outputs
    error = np.abs(to_float(run.values[name], fixed[name].fixed()) - wanted)
    assert error.max() < 0.02 and error.mean() < 0.002
