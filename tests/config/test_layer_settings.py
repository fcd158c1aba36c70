"""Settings of layers: precedence against a brute-force oracle, and what fits no layer."""

import importlib
import pkgutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kbuild.ops
from kbuild.config import LayerInfo, Recipe, lock_text, recipe_from_dict, resolve_settings
from kbuild.config.schema import properties, schema_at
from kbuild.errors import RecipeError
from kbuild.fixed import FixedType

WEIGHTED = ("weight", "bias", "accum", "result")
LAYERS = (
    LayerInfo("input_1", "InputLayer", ("result",)),
    LayerInfo("fc1", "Dense", WEIGHTED, aliases=("fc1_linear",)),
    LayerInfo("fc1_relu", "Activation", ("result", "table")),
    LayerInfo("bn1", "BatchNormalization", ("scale", "bias", "accum", "result")),
    LayerInfo("q2", "QDense", WEIGHTED, type_aliases=("Dense",)),
    LayerInfo("conv", "Conv2D", WEIGHTED),
    LayerInfo(
        "softmax", "Softmax", ("accum", "exp_table", "inv_table", "inv_inp", "result"), type_aliases=("Activation",)
    ),
)
VARIABLES = {layer.name: layer.variables for layer in LAYERS}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("settings")
    (path / "m.h5").write_bytes(b"")
    return path


def recipe(folder: Path, **hls: Any) -> Recipe:
    return recipe_from_dict({"KerasH5": "m.h5", "HLSConfig": hls}, folder)


TYPES = st.builds("fixed<{},{}>".format, st.integers(2, 40), st.integers(1, 8)) | st.just("auto")


def rules(variables: tuple[str, ...]) -> st.SearchStrategy[dict[str, Any]]:
    """What a level may say, with variables that exist there."""
    named = st.dictionaries(st.sampled_from([*variables, "default"]), TYPES, max_size=4)
    return st.fixed_dictionaries(
        {},
        optional={
            "Precision": TYPES | named,
            "ReuseFactor": st.integers(1, 64),
            "Strategy": st.sampled_from(["Latency", "Resource", "Unrolled"]),
            "TableSize": st.integers(2, 4096),
            "Trace": st.booleans(),
        },
    )


def of_type(name: str) -> tuple[str, ...]:
    return tuple({variable for layer in LAYERS if name in layer.types for variable in layer.variables})


MODEL = rules(WEIGHTED)
BY_TYPE = st.fixed_dictionaries({}, optional={name: rules(of_type(name)) for layer in LAYERS for name in layer.types})
BY_NAME = st.fixed_dictionaries({}, optional={layer.name: rules(layer.variables) for layer in LAYERS})


def oracle_type(levels: list[dict[str, Any]], variable: str) -> str:
    """Write every level over the weaker ones, from the weakest on."""
    result = "auto"
    for level in levels:
        precision = level.get("Precision", {})
        if isinstance(precision, str):
            precision = {"default": precision}
        result = precision.get(variable, precision.get("default", result))
    return result


@given(MODEL, BY_TYPE, BY_NAME)
def test_precedence(folder: Path, model: dict[str, Any], by_type: dict[str, Any], by_name: dict[str, Any]) -> None:
    resolved = resolve_settings(recipe(folder, Model=model, LayerType=by_type, LayerName=by_name), LAYERS)
    assert list(resolved) == [layer.name for layer in LAYERS]
    for layer in LAYERS:
        types = [by_type[name] for name in reversed(layer.types) if name in by_type]
        levels = [model, *types, by_name.get(layer.name, {})]
        got = resolved[layer.name]
        for variable in layer.variables:
            expected = oracle_type(levels, variable)
            assert got.type_of(variable) == (None if expected == "auto" else FixedType.parse(expected))
        last: dict[str, Any] = {}
        for level in levels:
            last |= level
        assert got.reuse_factor.value == last.get("ReuseFactor", 1)
        assert got.trace.value == last.get("Trace", False)
        assert got.table_size.value == last.get("TableSize")
        if layer.name != "softmax":  # there a Strategy of Latency means the implementation
            assert got.strategy.value == last.get("Strategy", "Latency")


def test_a_type_for_all_of_a_layer_wins_over_a_variable_of_the_model(folder: Path) -> None:
    given_recipe = recipe(
        folder,
        Model={"Precision": {"weight": "fixed<8,2>", "default": "fixed<16,6>"}},
        LayerName={"fc1": {"Precision": "fixed<12,4>"}, "q2": {"Precision": {"bias": "fixed<6,1>"}}},
    )
    resolved = resolve_settings(given_recipe, LAYERS)
    assert resolved["fc1"].type_of("weight") == FixedType.parse("fixed<12,4>")
    assert resolved["q2"].type_of("weight") == FixedType.parse("fixed<8,2>")
    assert resolved["q2"].type_of("bias") == FixedType.parse("fixed<6,1>")
    assert resolved["q2"].type_of("result") == FixedType.parse("fixed<16,6>")


def test_defaults(folder: Path) -> None:
    settings = resolve_settings(recipe(folder), LAYERS)["fc1"]
    assert {variable: settings.type_of(variable) for variable in WEIGHTED} == dict.fromkeys(WEIGHTED)
    assert {settings.origin(variable) for variable in WEIGHTED} == {"default"}
    assert (settings.reuse_factor.value, settings.strategy.value, settings.table_size.value) == (1, "Latency", None)
    assert settings.implementation.value is None
    assert settings.static.value is True


def test_own_type_wins_over_an_alias_of_the_type(folder: Path) -> None:
    resolved = resolve_settings(
        recipe(folder, LayerType={"Dense": {"ReuseFactor": 2}, "QDense": {"ReuseFactor": 4}}), LAYERS
    )
    assert (resolved["fc1"].reuse_factor.value, resolved["q2"].reuse_factor.value) == (2, 4)


def test_reuse_factors_of_parts_follow_the_layer(folder: Path) -> None:
    resolved = resolve_settings(recipe(folder, Model={"ReuseFactor": 8, "RecurrentReuseFactor": 2}), LAYERS)
    assert resolved["fc1"].recurrent_reuse_factor.value == 2
    assert resolved["fc1"].depthwise_reuse_factor.value == 8


@pytest.mark.parametrize(
    ("model", "by_type", "by_name", "implementation", "strategy"),
    [
        ({}, {}, {}, None, "Latency"),
        ({"Strategy": "Latency"}, {}, {}, None, "Latency"),
        ({"Strategy": "Resource"}, {}, {}, None, "Resource"),
        ({}, {}, {"Strategy": "Stable"}, "stable", "Latency"),
        ({"Strategy": "Resource"}, {}, {"Strategy": "Latency"}, "latency", "Resource"),
        ({}, {}, {"Strategy": "Resource"}, None, "Resource"),
        ({"Implementation": "legacy"}, {}, {"strategy": "argmax"}, "argmax", "Latency"),
        ({}, {"Implementation": "stable"}, {"Strategy": "Latency"}, "latency", "Latency"),
        ({}, {"Strategy": "Stable"}, {"Implementation": "latency"}, "latency", "Latency"),
        ({"Implementation": "im2col"}, {}, {}, None, "Latency"),
        ({"Implementation": "stable"}, {}, {}, "stable", "Latency"),
    ],
)
def test_strategy_of_a_softmax(
    folder: Path,
    model: dict[str, Any],
    by_type: dict[str, Any],
    by_name: dict[str, Any],
    implementation: str | None,
    strategy: str,
) -> None:
    config = recipe(folder, Model=model, LayerType={"Softmax": by_type}, LayerName={"softmax": by_name})
    settings = resolve_settings(config, LAYERS)["softmax"]
    assert settings.implementation.value == implementation
    assert settings.strategy.value == strategy


BEFORE = (
    LayerInfo("out", "Dense", WEIGHTED, softmax="probabilities"),
    LayerInfo("probabilities", "Softmax", ("result",)),
)


@pytest.mark.parametrize(
    ("before", "own", "implementation", "strategy"),
    [
        ({"Strategy": "Stable"}, {}, "stable", "Latency"),
        ({"Strategy": "Argmax"}, {"Implementation": "legacy"}, "legacy", "Latency"),
        ({"Strategy": "Resource"}, {}, "legacy", "Resource"),
    ],
)
def test_strategy_of_the_layer_before_a_softmax(
    folder: Path, before: dict[str, Any], own: dict[str, Any], implementation: str, strategy: str
) -> None:
    rules_of = {"out": before, "probabilities": own}
    found = resolve_settings(recipe(folder, Model={"Implementation": "legacy"}, LayerName=rules_of), BEFORE)
    assert found["probabilities"].implementation.value == implementation
    assert found["out"].strategy.value == strategy
    with pytest.raises(RecipeError, match="Stable is for softmax, which a layer of type Dense is not"):
        resolve_settings(recipe(folder, LayerType={"Dense": {"Strategy": "Stable"}}), BEFORE)


def test_names_of_other_case_and_aliases(folder: Path) -> None:
    config = recipe(folder, LayerType={"batchnormalization": {"Trace": True}}, LayerName={"FC1": {"Trace": True}})
    resolved = resolve_settings(config, LAYERS)
    assert [name for name, settings in resolved.items() if settings.trace.value] == ["fc1", "bn1"]
    resolved = resolve_settings(recipe(folder, LayerName={"fc1_linear": {"ReuseFactor": 2}}), LAYERS)
    assert resolved["fc1"].reuse_factor.value == 2


def test_types_of_an_inner_layer_are_its_weights_unless_it_is_named(folder: Path) -> None:
    inside = LayerInfo("gar_S", "GarNet", WEIGHTED, inner=True)
    config = recipe(
        folder,
        Model={"Precision": "fixed<10,2>"},
        LayerType={"GarNet": {"Precision": {"default": "fixed<11,3>"}, "ReuseFactor": 4}},
        LayerName={"gar_S": {"Precision": {"result": "fixed<12,4>"}}},
    )
    found = resolve_settings(config, [inside])["gar_S"]
    types = [found.type_of(name) for name in WEIGHTED]
    assert types == [FixedType(11, 3), FixedType(11, 3), None, FixedType(12, 4)]
    assert found.reuse_factor.value == 1  # which could hardly fit every step
    named = recipe(folder, Model={"Strategy": "Resource"}, LayerName={"gar_S": {"ReuseFactor": 4}})
    found = resolve_settings(named, [inside])["gar_S"]
    assert (found.reuse_factor.value, found.strategy.value) == (4, "Latency")


def test_trace_output_traces_every_layer(folder: Path) -> None:
    config = recipe(folder, Model={"TraceOutput": True}, LayerName={"fc1": {"Trace": False}})
    resolved = resolve_settings(config, LAYERS)
    assert [name for name, settings in resolved.items() if not settings.trace.value] == ["fc1"]


def test_maximum_is_no_variable(folder: Path) -> None:
    config = recipe(folder, Model={"Precision": {"default": "fixed<16,6>", "maximum": "fixed<32,16>"}})
    settings = resolve_settings(config, LAYERS)["fc1"]
    assert settings.maximum.value == FixedType.parse("fixed<32,16>")
    assert "maximum" not in settings.precision


@pytest.mark.parametrize(
    ("hls", "message"),
    [
        (
            {"LayerName": {"fc11": {}}},
            "HLSConfig.LayerName.fc11: the model has no layer of this name; did you mean fc1?",
        ),
        (
            {"LayerName": {"encoder": {}}},
            "HLSConfig.LayerName.encoder: the model has no layer of this name; the layers of the model are "
            "input_1, fc1, fc1_relu, bn1, q2, conv, softmax",
        ),
        (
            {"LayerName": {"Dense": {}}},
            "HLSConfig.LayerName.Dense: there is no layer of this name, but a type; "
            "write it under LayerType, or one of input_1, fc1, fc1_relu, bn1, q2, conv, softmax",
        ),
        (
            {"LayerType": {"Densee": {}}},
            "HLSConfig.LayerType.Densee: the model has no layer of this type; did you mean Dense?",
        ),
        (
            {"LayerType": {"LSTM": {}}},
            "HLSConfig.LayerType.LSTM: the model has no layer of this type; the types of the model are "
            "InputLayer, Dense, Activation, BatchNormalization, QDense, Conv2D, Softmax",
        ),
        (
            {"LayerType": {"fc1": {}}},
            "HLSConfig.LayerType.fc1: the model has no layer of this type, "
            "but one of this name; write it under LayerName",
        ),
        (
            {"LayerName": {"fc1_relu": {"Precision": {"weight": "fixed<8,2>"}}}},
            "HLSConfig.LayerName.fc1_relu.Precision.weight: the layer fc1_relu has no variable weight; "
            "it has result, table",
        ),
        (
            {"LayerName": {"softmax": {"slope_t": "fixed<18,8>"}}},
            "HLSConfig.LayerName.softmax.slope_t: the layer softmax has no variable slope; "
            "it has accum, exp_table, inv_table, inv_inp, result",
        ),
        (
            {"LayerType": {"Dense": {"Precision": {"scale": "int<4>"}}}},
            "HLSConfig.LayerType.Dense.Precision.scale: a layer of type Dense has no variable scale; "
            "it has weight, bias, accum, result",
        ),
        (
            {"LayerName": {"fc1": {"Strategy": "Stable"}}},
            "HLSConfig.LayerName.fc1.Strategy: Stable is for softmax, which the layer fc1 is not; "
            "write Latency, Resource or Unrolled",
        ),
        (
            {"LayerName": {"fc1": {"Implementation": "stable"}}},
            "HLSConfig.LayerName.fc1.Implementation: stable is for softmax, which the layer fc1 is not; delete it",
        ),
        (
            {"LayerName": {"conv": {"Implementation": "stable"}}},
            "HLSConfig.LayerName.conv.Implementation: stable is for softmax, which the layer conv is not; "
            "write one of im2col, winograd, combination",
        ),
        (
            {"LayerName": {"fc1": {}, "FC1": {}}},
            "HLSConfig.LayerName.FC1: this is the layer fc1, "
            "which HLSConfig.LayerName.fc1 sets too; delete one of the two",
        ),
        (
            {"LayerType": {"Dense": {}, "dense": {}}},
            "HLSConfig.LayerType.dense: this is the type "
            "that HLSConfig.LayerType.Dense sets too; delete one of the two",
        ),
    ],
)
def test_what_fits_no_layer(folder: Path, hls: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        resolve_settings(recipe(folder, **hls), LAYERS)
    assert str(caught.value) == message


def test_what_an_activation_without_a_table_may_say(folder: Path) -> None:
    relu = LayerInfo("relu", "Activation", ("slope", "threshold", "result"))
    says = {"Precision": {"result": "auto", "table": "fixed<18,8,TRN,WRAP,0>", "weight": "auto"}}
    assert set(resolve_settings(recipe(folder, LayerName={"relu": says}), [relu])["relu"].precision) == set(
        relu.variables
    )


def test_every_variable_of_an_operation_can_be_named() -> None:
    named = properties(schema_at(("HLSConfig", "Model", "Precision")) or {})
    modules = [
        importlib.import_module(f"kbuild.ops.{module.name}") for module in pkgutil.iter_modules(kbuild.ops.__path__)
    ]
    variables = {
        name for module in modules for kind in vars(module).values() for name in getattr(kind, "variables", ())
    }
    assert {"weight", "result"} <= variables <= set(named)


def test_all_misfits_at_once(folder: Path) -> None:
    config = recipe(folder, LayerName={"fc9": {}, "fc1": {"Precision": {"slope": "int<4>"}}}, LayerType={"LSTM": {}})
    with pytest.raises(RecipeError) as caught:
        resolve_settings(config, LAYERS)
    assert len(str(caught.value).split("\n")) == 3


def test_lock(folder: Path) -> None:
    import jsonschema
    import yaml

    from kbuild.resources import resource

    config = recipe(folder, Model={"Precision": "ap_fixed<16,6>"}, LayerName={"fc1": {"ReuseFactor": 2}})
    text = lock_text(config, resolve_settings(config, LAYERS))
    lock = yaml.safe_load(text)
    schema = yaml.safe_load(resource("schemas", "recipe.lock.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(lock, schema)
    assert lock["settings"]["ClockPeriod"] == {"value": 5, "from": "default"}
    assert lock["layers"]["fc1"]["ReuseFactor"] == {"value": 2, "from": "argument"}
    assert lock["layers"]["fc1"]["Precision.weight"] == {"value": "fixed<16,6>", "from": "argument"}
    assert lock["layers"]["bn1"]["TableSize"] == {"value": None, "from": "default"}
    assert str(folder) not in text


def test_types_of_the_whole_model_are_not_for_one_that_has_its_own(folder: Path) -> None:
    """As hls4ml leaves them aside for models of HGQ, which come with any type here."""
    layer = LayerInfo("fc", "hgq>QDense", WEIGHTED, type_aliases=("QDense", "Dense"), settled=True)
    named = {"fc": {"Precision": {"bias": "fixed<9,3>"}}}
    hls: dict[str, Any] = {"Model": {"Precision": "fixed<1,0>"}, "LayerName": named}
    (found,) = resolve_settings(recipe(folder, **hls), [layer]).values()
    assert found.type_of("weight") is None and found.type_of("bias") == FixedType(9, 3) and found.general.value is None
    hls["Model"]["BitExact"] = False
    (found,) = resolve_settings(recipe(folder, **hls), [layer]).values()
    assert found.type_of("weight") == FixedType(1, 0)
