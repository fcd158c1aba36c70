"""What a right recipe becomes: types, defaults, other spellings, `--set`, dictionaries, the published files."""

import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kbuild.config import LayerInfo, Recipe, load_recipe, recipe_from_dict, resolve_settings
from kbuild.errors import RecipeError
from kbuild.fixed import FixedType

MODEL = "KerasH5: model.h5\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("model.h5", "model.json", "model.keras", "x.npy", "y.dat", "t.npz", "pins.pcf"):
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def load(folder: Path, text: str, *overrides: str) -> Recipe:
    path = folder / "digits.yml"
    path.write_text(text, encoding="utf-8")
    (recipe,) = load_recipe(path, overrides)
    return recipe


def wrong(folder: Path, text: str, *overrides: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        load(folder, text, *overrides)
    return str(caught.value).replace(f"{folder}/", "").split("\n")


def test_defaults(folder: Path) -> None:
    recipe = load(folder, MODEL)
    assert recipe.name == "digits"
    assert recipe.keras_h5 == folder / "model.h5"
    assert recipe.keras_json is recipe.keras_model is recipe.live_model is recipe.input_data is None
    assert (recipe.backend, recipe.part, recipe.io_type) == ("Yosys", "LFE5U-85F-6BG381C", "io_parallel")
    assert (recipe.clock_period, recipe.clock_uncertainty) == (5.0, 0.0)
    assert (recipe.project_name, recipe.output_dir) == ("myproject", folder / "build" / "myproject")
    assert recipe.synthesis.run is None
    assert (recipe.synthesis.place_and_route, recipe.synthesis.seed, recipe.synthesis.effort) == (False, 1, "normal")
    assert (recipe.validation.metric, recipe.validation.minimum) == ("argmax_agreement", None)
    assert recipe.calibration.ranges == {}
    assert (recipe.budget.lut, recipe.budget.fmax) == (None, None)
    assert (recipe.sweep, recipe.imports, recipe.vendor) == ((), (), {})
    assert recipe.hls.bit_exact is None
    assert {setting.origin for key, setting in recipe.settings.items() if key != "KerasH5"} == {"default"}
    assert recipe.settings["OutputDir"].value == "build/myproject"
    assert not [key for key in recipe.settings if key.startswith(("HLSConfig", "Accelerator", "Technology"))]


@pytest.mark.parametrize(
    ("backend", "part", "uncertainty"),
    [
        ("Vivado", "xcvu13p-flga2577-2-e", 0.125),
        ("vitis", "xcvu13p-flga2577-2-e", 0.27),
        ("VITISUNIFIED", "xczu9eg-ffvb1156-2-e", 0.27),
        ("VivadoAccelerator", "xc7z020clg400-1", 0.125),
        ("quartus", "Arria10", 0.0),
        ("OneAPI", "Agilex7", 0.0),
        ("Catapult", "xcku115-flvb2104-2-i", 0.0),
        ("Libero", "MPF300", 0.0),
        ("yosys", "LFE5U-85F-6BG381C", 0.0),
    ],
)
def test_defaults_of_backends(folder: Path, backend: str, part: str, uncertainty: float) -> None:
    recipe = load(folder, MODEL + f"Backend: {backend}\n")
    assert recipe.backend.casefold() == backend.casefold()
    assert (recipe.part, recipe.clock_uncertainty) == (part, uncertainty)
    assert recipe.backend in recipe.fpga.backends


def test_everything_given(folder: Path) -> None:
    recipe = load(
        folder,
        """\
KerasJson: model.json
KerasH5: ./model.h5
OutputDir: out/here
ProjectName: net
Backend: Vitis
Device: xc7a100tcsg324-1
ClockPeriod: 2.5
ClockUncertainty: 12.5%
IOType: IO_STREAM
InputData: x.npy
OutputPredictions: y.dat
HLSConfig:
  Model: {BitExact: true, BramFactor: 100, PipelineStyle: Dataflow, PipelineInterval: 4, ReuseFactor: 2.0}
  LayerName: {fc1: {strategy: DA}, fc2: }
Validation: {Data: t.npz, Reference: y.dat, Labels: x.npy, Metric: accuracy, Minimum: 1}
Calibration: {Data: x.npy, Ranges: {a: [-1, 1], b: [0, 255.5]}}
Synthesis: {run: off, place_and_route: on, seed: 7, effort: High, constraints: pins.pcf}
Budget: {LUT: 1000, FF: 2000, DSP: 0, BRAM: 3, LatencyCycles: 40, Fmax: 200}
Sweep: {ReuseFactor: [1, 2], ClockPeriod: [4, 5], HLSConfig.LayerName.fc1.Precision.weight: ["fixed<8,2>", auto]}
Imports: [my_layers, my.more]
WriterConfig: {Namespace: nn, WriteTar: yes}
""",
    )
    assert (recipe.keras_json, recipe.keras_h5) == (folder / "model.json", folder / "model.h5")
    assert recipe.output_dir == folder / "out" / "here"
    assert (recipe.part, recipe.fpga.family, recipe.clock_period) == ("xc7a100tcsg324-1", "xilinx7", 2.5)
    assert (recipe.clock_uncertainty, recipe.io_type) == (0.125, "io_stream")
    assert (recipe.hls.bit_exact, recipe.hls.bram_factor, recipe.hls.pipeline_style) == (True, 100, "dataflow")
    assert recipe.hls.pipeline_interval == 4
    reuse = recipe.hls.model.reuse_factor
    assert reuse is not None
    assert (reuse.value, type(reuse.value), reuse.origin) == (2, int, "digits.yml:13")
    strategy = recipe.hls.layer_name["fc1"].strategy
    assert strategy is not None
    assert (strategy.value, strategy.key) == ("distributed_arithmetic", "HLSConfig.LayerName.fc1.strategy")
    assert recipe.validation.data == folder / "t.npz"
    assert recipe.validation.labels == folder / "x.npy"
    assert (recipe.validation.metric, recipe.validation.minimum) == ("accuracy", 1)
    assert recipe.calibration.ranges == {"a": (-1.0, 1.0), "b": (0.0, 255.5)}
    assert recipe.synthesis.run is False
    assert (recipe.synthesis.place_and_route, recipe.synthesis.seed, recipe.synthesis.effort) == (True, 7, "high")
    assert recipe.synthesis.constraints == folder / "pins.pcf"
    assert (recipe.budget.dsp, recipe.budget.latency_cycles, recipe.budget.fmax) == (0, 40, 200.0)
    assert [axis.key for axis in recipe.sweep] == [
        ("HLSConfig", "Model", "ReuseFactor"),
        ("ClockPeriod",),
        ("HLSConfig", "LayerName", "fc1", "Precision", "weight"),
    ]
    assert recipe.sweep[2].overrides() == [
        'HLSConfig.LayerName.fc1.Precision.weight="fixed<8,2>"',
        'HLSConfig.LayerName.fc1.Precision.weight="auto"',
    ]
    assert recipe.imports == ("my_layers", "my.more")
    assert recipe.vendor == {"WriterConfig": {"Namespace": "nn", "WriteTar": True}}
    assert recipe.settings["Part"].origin == "digits.yml:6"
    assert recipe.at("Budget", "LUT").line == 18
    assert recipe.at("HLSConfig", "Model", "TableSize").line == 0
    assert pickle.loads(pickle.dumps(recipe)) == recipe


def test_one_range_for_every_input(folder: Path) -> None:
    assert load(folder, MODEL + "Calibration: {Ranges: [0, 1]}\n").calibration.ranges == {"": (0.0, 1.0)}


def test_names(folder: Path) -> None:
    home = folder / "my net!"
    home.mkdir()
    for name in ("recipe.yml", "a b.yml", "-x.yml"):
        (home / name).write_text("KerasH5: ../model.h5\n")
    names = [load_recipe(home / name)[0].name for name in ("recipe.yml", "a b.yml", "-x.yml")]
    assert names == ["my_net_", "a_b", "x"]
    (home / "two.yml").write_text("KerasH5: ../model.h5\n---\nKerasH5: ../model.h5\nOutputDir: other\n---\n")
    assert [recipe.name for recipe in load_recipe(home / "two.yml")] == ["two-1", "two-2"]


def test_paths_are_relative_to_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(folder, MODEL)
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    (recipe,) = load_recipe(Path("../digits.yml"))
    assert recipe.keras_h5 == folder / "model.h5"
    assert recipe.name == "digits"


def test_set(folder: Path) -> None:
    text = MODEL + "XilinxPart: xcku115-flvb2104-2-i\nBackend: Vivado\nHLSConfig: {Model: {Precision: 'fixed<16,6>'}}\n"
    recipe = load(
        folder,
        text,
        "Part=xc7a35tcpg236-1",
        "ClockPeriod=4",
        "Budget={LUT: 5}",
        'HLSConfig.LayerName."a.b=c".ReuseFactor=4',
        "HLSConfig.Model.Precision.weight=ap_fixed<8,2>",
        "HLSConfig.LayerName.s.exp_table_t=fixed<18,8>",
    )
    assert (recipe.part, recipe.clock_period, recipe.budget.lut) == ("xc7a35tcpg236-1", 4.0, 5)
    assert recipe.settings["Part"].origin == recipe.settings["Budget.LUT"].origin == "--set"
    reuse = recipe.hls.layer_name["a.b=c"].reuse_factor
    assert reuse is not None
    assert (reuse.value, reuse.origin) == (4, "--set")
    precision = recipe.hls.model.precision
    assert precision["default"].value == FixedType.parse("fixed<16,6>")
    assert precision["default"].origin == "digits.yml:4"
    assert (precision["weight"].value, precision["weight"].origin) == (FixedType.parse("fixed<8,2>"), "--set")
    assert recipe.hls.layer_name["s"].precision["exp_table"].value == FixedType.parse("fixed<18,8>")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("ClockPeriod=0", "ClockPeriod: 0 is too small; write a number greater than 0, such as 5"),
        ("ClokPeriod=3", "ClokPeriod: unknown key; did you mean ClockPeriod?"),
        ("OutputDir=", "OutputDir: nothing is given; write a path, such as build/digits"),
        ("ClockPeriod", '"ClockPeriod" has no value; write key.path=value'),
        ("a..b=1", '"a..b" is no key path; write names with dots between them, such as HLSConfig.Model.ReuseFactor'),
        ("=1", '"" is no key path; write names with dots between them, such as HLSConfig.Model.ReuseFactor'),
        ("Backend.x=1", "Backend.x: Backend is no mapping in the file; set it as a whole"),
        ("XilinxPart=nothing", 'XilinxPart: "nothing" is no known part; known are for example '),
        ("Budget={LUT: -1}", "Budget.LUT: -1 is too small; write a whole number of at least 0, such as 10000"),
        (
            "Sweep.ReuseFactor=[0]",
            "Sweep.ReuseFactor[0]: 0 is too small; write a whole number of at least 1, such as 4",
        ),
        ("Budget=[1", "this is not YAML (did not find expected ',' or ']', while parsing a flow sequence); "),
        ("Imports=a\n---\nb", '"a�---�b" is more than one YAML document; write one value'),
        ("HLSConfig.LayerName.s.exp_table_t=x", "HLSConfig.LayerName.s.exp_table_t: 'x' is not a fixed-point type; "),
    ],
)
def test_wrong_set(folder: Path, override: str, message: str) -> None:
    lines = wrong(folder, MODEL + "Backend: Yosys\n", override)
    assert any(line.startswith(f"--set: {message}") for line in lines), lines


def test_set_replaces_a_wrong_value_of_the_file(folder: Path) -> None:
    assert load(folder, MODEL + "ClockPeriod: fast\n", "ClockPeriod=3").clock_period == 3.0


def test_set_names_every_document(folder: Path) -> None:
    path = folder / "two.yml"
    path.write_text(MODEL + "OutputDir: a\n---\n" + MODEL + "OutputDir: b\n")
    assert [recipe.clock_period for recipe in load_recipe(path, ["ClockPeriod=3"])] == [3.0, 3.0]


def test_dictionary(folder: Path) -> None:
    recipe = recipe_from_dict(
        {
            "KerasH5": Path("model.h5"),
            "ProjectName": "net",
            "ClockPeriod": np.float64(2.5),
            "Part": None,
            "OutputDir": None,
            "HLSConfig": {"Model": {"Precision": FixedType.parse("fixed<16,6>"), "ReuseFactor": np.int64(2)}},
            "Imports": ("a", "b"),
        },
        folder,
    )
    assert (recipe.name, recipe.path, recipe.keras_h5) == ("net", None, folder / "model.h5")
    assert recipe.clock_period == 2.5
    assert recipe.hls.model.precision["default"].value == FixedType.parse("fixed<16,6>")
    assert recipe.hls.model.precision["default"].origin == "argument"
    assert recipe.imports == ("a", "b")


def test_dictionary_with_a_live_model(folder: Path) -> None:
    class Model:
        """Stands for keras.Model."""

    model = Model()
    recipe = recipe_from_dict({"KerasModel": model}, folder)
    assert recipe.live_model is model
    assert recipe.keras_model is None
    with pytest.raises(RecipeError, match="KerasH5 and KerasModel are two models"):
        recipe_from_dict({"KerasModel": model, "KerasH5": "model.h5"}, folder)


def test_wrong_dictionary(folder: Path) -> None:
    deep: dict[str, Any] = {}
    deep["x"] = deep
    for given_dict, message in (
        ({"KerasH5": "model.h5", "ClockPeriod": float("nan")}, 'ClockPeriod: the text "nan" is given; write a number'),
        ({"KerasH5": "model.h5", "Backnd": 1}, "Backnd: unknown key; did you mean Backend?"),
        ({}, "no model is given; add KerasH5, KerasJson with KerasH5, or KerasModel"),
        ({"KerasH5": "model.h5", "Budget": object()}, 'Budget: the text "<object object'),
        (deep, "values are nested more than 32 deep"),
    ):
        with pytest.raises(RecipeError) as caught:
            recipe_from_dict(given_dict, folder)
        assert str(caught.value).startswith(message)


def test_a_file_and_its_dictionary_give_the_same_settings(folder: Path) -> None:
    text = (
        MODEL
        + "Backend: Vitis\nHLSConfig: {LayerName: {s: {table_size: 4, Precision: auto, inv_table_t: 'fixed<8,2>'}}}\n"
    )
    of_file = load(folder, text)
    of_dict = recipe_from_dict(yaml.safe_load(text), folder)
    assert {key: setting.value for key, setting in of_file.settings.items()} == {
        key: setting.value for key, setting in of_dict.settings.items()
    }


@pytest.mark.parametrize("name", ["keras-config", "qkeras_3layer_config", "qkeras_mnist_cnn_config"])
def test_published_files(tmp_path: Path, name: str) -> None:
    models = os.environ.get("KBUILD_MODELS")
    if not models:
        pytest.skip("KBUILD_MODELS is not set: the published models are not here")
    text = (Path(models) / "yaml" / f"{name}.yml").read_text(encoding="utf-8")
    (tmp_path / "keras").mkdir()
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key in ("KerasJson", "KerasH5"):
            (source,) = Path(models).glob(f"*/{Path(value.strip()).name}")
            shutil.copy(source, tmp_path / value.strip())
    path = tmp_path / f"{name}.yml"
    path.write_text(text, encoding="utf-8")
    (recipe,) = load_recipe(path)
    assert (recipe.backend, recipe.clock_period, recipe.clock_uncertainty) == ("Vivado", 5.0, 0.125)
    assert recipe.hls.model.precision["default"].value == FixedType.parse("ap_fixed<16,6>")
    if name == "qkeras_3layer_config":
        softmax = LayerInfo("softmax", "Softmax", ("accum", "exp_table", "inv_table", "inv_inp", "result"))
        others = [LayerInfo(layer, "QDense", ("weight", "bias", "result")) for layer in recipe.hls.layer_name]
        resolved = resolve_settings(recipe, [*(layer for layer in others if layer.name != "softmax"), softmax])
        assert resolved["softmax"].type_of("exp_table") == FixedType.parse("ap_fixed<18,8>")
        assert resolved["softmax"].type_of("inv_table") == FixedType.parse("ap_fixed<18,4>")
        assert resolved["softmax"].type_of("result") == FixedType.parse("ap_fixed<16,6>")
        assert resolved["softmax"].table_size.value == 1024
        assert resolved["fc1"].type_of("weight") == FixedType.parse("ap_fixed<6,1>")
        assert resolved["fc1"].trace.value is True


@given(st.dictionaries(st.sampled_from(["fc1", "größe", "a.b", "x/y", "1"]), st.integers(-3, 6), min_size=1))
def test_each_wrong_layer_is_reported_where_it_stands(
    tmp_path_factory: pytest.TempPathFactory, reuse: dict[str, int]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "model.h5").write_bytes(b"")
    lines = ["KerasH5: model.h5", "HLSConfig:", "  LayerName:"]
    expected = []
    for name, value in reuse.items():
        lines += [f"    {name}:", f"      ReuseFactor:   {value}"]
        if value < 1:
            quoted = f'"{name}"' if "." in name else name
            remedy = "write a whole number of at least 1, such as 4"
            key = f"HLSConfig.LayerName.{quoted}.ReuseFactor"
            expected.append(f"digits.yml:{len(lines)}:22: {key}: {value} is too small; {remedy}")
    if expected:
        assert wrong(folder, "\n".join(lines)) == expected
    else:
        assert set(load(folder, "\n".join(lines)).hls.layer_name) == set(reuse)
