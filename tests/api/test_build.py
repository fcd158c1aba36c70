"""Arguments of `build`, arrays for data: what users of hls4ml type."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kbuild
from kbuild.resources import resource

CSYNTH = Path(__file__).parent.parent / "tools" / "data" / "csynth_vitis.xml"
FAKE = """#!{python}
import pathlib, re, shutil, sys
if "-version" in sys.argv:
    print("Vitis HLS - High-Level Synthesis v2023.1 (64-bit)")
    raise SystemExit
words = re.search("{{(.*)}}", pathlib.Path(sys.argv[-1]).read_text())[1]
open("{calls}", "a").write(words + "\\n")
solution = pathlib.Path("digits_prj/solution1")
(solution / "syn/report").mkdir(parents=True)
shutil.copy("{csynth}", solution / "syn/report/digits_csynth.xml")
if "cosim=1" in words:
    (solution / "sim/report").mkdir(parents=True)
    (solution / "sim/report/digits_cosim.rpt").write_text("Pass")
if "export=1" in words:
    (solution / "impl").mkdir()
    (solution / "impl/export.zip").write_bytes(b"PK")
"""


@pytest.fixture
def vitis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the tool; returns the file with what each run was asked to do."""
    folder, calls = tmp_path / "bin", tmp_path / "calls"
    folder.mkdir()
    (folder / "vitis_hls").write_text(FAKE.format(python=sys.executable, calls=calls, csynth=CSYNTH))
    (folder / "vitis_hls").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return calls


@pytest.fixture
def convert(own_folder: Path) -> Callable[..., kbuild.model.HlsModel]:
    shutil.copy(resource("recipes", "digits", "model.keras"), own_folder)

    def made(**keys: Any) -> kbuild.model.HlsModel:
        base = {"KerasModel": "model.keras", "OutputDir": "out", "ProjectName": "digits", "Backend": "Vitis"}
        return kbuild.converters.convert_from_config({**base, **keys})

    return made


def inputs() -> Any:
    return np.load(resource("recipes", "digits", "x_test.npy"))[:60]


def test_what_a_tutorial_asks_for(convert: Callable[..., Any], vitis: Path) -> None:
    model = convert()
    report = model.build(csim=False, synth=True, cosim=True, validation=True, export=True, vsynth=False)
    assert vitis.read_text() == "csim=0 synth=1 cosim=1 export=1 reset=1\n"
    assert report["resources"]["lut"] > 0 and report["reference"]["samples"] > 0
    assert Path("out/synthesis/export.zip").read_bytes() == b"PK"
    assert Path("out/synthesis/digits_cosim.rpt").read_text() == "Pass"
    model.build(csim=False, synth=True)
    assert vitis.read_text().splitlines()[1] == "csim=0 synth=1 cosim=0 export=0 reset=1"
    assert not Path("out/synthesis/export.zip").exists()


def test_a_tool_that_is_asked_for_and_missing(convert: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("synth", "cosim", "export", "vsynth"):
        asked = {"synth": True, name: True} if name == "vsynth" else {name: True}
        with pytest.raises(kbuild.MissingTool, match="vitis_hls"):
            convert().build(csim=False, log_to_stdout=False, **asked)


def test_reset_deletes_what_was_built(convert: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    model = convert()
    model.write()
    Path("out/firmware/parameters.h").write_text("spoilt")
    model.build(csim=False, synth=False, reset=True, log_to_stdout=False)
    assert Path("out/firmware/parameters.h").read_text() != "spoilt"
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("keys", "arguments", "message"),
    [
        ({"Backend": "Yosys"}, {"export": True}, r"with Backend: Yosys the Verilog in firmware/ is the IP"),
        ({}, {"fifo_opt": True}, r"build\(fifo_opt=True\) is for io_type='io_stream'"),
        ({}, {"cosimulation": True}, r"build\(cosimulation=\.\.\.\) is unknown"),
        ({}, {"synht": True}, r"build\(synht=\.\.\.\) is unknown; did you mean synth\?"),
    ],
)
def test_what_means_nothing_is_refused(
    keys: dict[str, Any], arguments: dict[str, bool], message: str, convert: Callable[..., Any]
) -> None:
    model = convert(**keys)
    with pytest.raises(kbuild.RecipeError, match=message):
        model.build(**arguments)
    assert not Path("out").exists()


def test_fifos_are_always_optimised(convert: Callable[..., Any]) -> None:
    report = convert(IOType="io_stream").build(csim=False, synth=False, fifo_opt=True, log_to_stdout=False)
    assert report["schema"] == "kbuild/build/1"


def test_arrays_are_data(convert: Callable[..., Any]) -> None:
    x = inputs()
    np.save("x.npy", x)
    labels = np.load(resource("recipes", "digits", "y_test.npy"))[:60]
    by_file = convert(InputData="x.npy", OutputDir="a")
    by_array = convert(InputData=x, OutputDir="b", Validation={"Labels": labels, "Minimum": 0.5})
    assert by_file.fixed_graph == by_array.fixed_graph
    assert np.array_equal(by_file.predict(x), by_array.predict(x))
    report = by_array.build(synth=False, log_to_stdout=False)
    assert report["validation"]["met"] and report["reference"]["samples"] == 60
    lock = Path("b/recipe.lock.yml").read_text()
    assert "array (60, 64)" in lock and str(Path.cwd()) not in lock
    one = by_file.predict(x)
    reference = convert(InputData=x, OutputPredictions=one).build(synth=False, log_to_stdout=False)["reference"]
    assert reference["source"] == "file" and reference["max_abs_error"] == 0


@pytest.mark.parametrize("wrong", [["abc"], np.array(["a"]), 3.0, [np.array([None])], object()])
def test_what_is_no_array(wrong: Any, convert: Callable[..., Any]) -> None:
    with pytest.raises(kbuild.RecipeError, match="InputData: give an array of numbers"):
        convert(InputData=wrong)


def test_several_arrays(keras: Any) -> None:
    keras.utils.set_random_seed(3)
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    model = keras.Model([a, b], keras.layers.Dense(2, name="out")(keras.layers.Concatenate()([a, b])))
    x = np.random.default_rng(0).normal(0, 1, (40, 3)), np.random.default_rng(1).normal(0, 9, (40, 2))
    convert = kbuild.converters.convert_from_keras_model
    found = [convert(model, input_data_tb=data).fixed_graph for data in (list(x), x, {"b": x[1], "a": x[0]})]
    assert found[0] == found[1] == found[2] != convert(model).graph
    y = model.predict(list(x), verbose=0)
    hls = convert(model, input_data_tb=list(x), output_data_tb=y)
    report = hls.build(synth=False, log_to_stdout=False)
    assert report["reference"]["source"] == "file" and report["reference"]["max_abs_error"] < 0.02
    assert json.dumps(report)
