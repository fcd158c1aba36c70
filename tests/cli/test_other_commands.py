"""The commands beside build."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from kbuild.config import load_recipe
from kbuild.emulate import quantize_inputs, run
from kbuild.fixed import to_float
from kbuild.flow.build import Build

Kbuild = Callable[..., Any]


# -- predict -------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["emulate", "csim"])
def test_predict(kbuild: Kbuild, recipe: Path, engine: str) -> None:
    done = kbuild("predict", recipe, "--input", "x_test.npy", "--output", "y.npy", "--layers", "l.npz",
                  "--engine", engine)  # fmt: skip
    assert done.code == 0, done.err
    graph = Build(load_recipe(recipe)[0]).graph("optimize")
    x = np.load("x_test.npy").astype(np.float64)
    integers, _ = quantize_inputs(graph, {graph.inputs[0].name: x.reshape(len(x), -1)})
    wanted = run(graph, integers, [node.name for node in graph]).values
    y, layers = np.load("y.npy"), np.load("l.npz")
    assert y.dtype == np.float64
    assert (y == to_float(wanted[graph.outputs[0]], graph[graph.outputs[0]].fixed())).all()
    assert set(layers.files) == {node.layer.name for node in graph}
    last = {node.layer.name: node for node in graph}
    for name, node in last.items():
        assert layers[name].dtype == np.float64
        assert (layers[name] == to_float(wanted[node.name], node.fixed())).all()
    assert not (recipe.parent / "out").exists()


def test_predict_prints_without_an_output(kbuild: Kbuild, recipe: Path) -> None:
    done = kbuild("predict", recipe, "--input", "x_test.npy")
    lines = done.out.splitlines()
    assert done.code == 0 and len(lines) == 11 and len(lines[0].split()) == 10
    assert lines[-1].startswith("... 350 more samples")


def test_predict_tells_of_inputs_outside_their_type(kbuild: Kbuild, recipe: Path) -> None:
    x = np.load("x_test.npy")[:5].astype(np.float64)
    assert kbuild("predict", recipe, "--input", "x_test.npy").err == ""
    x.reshape(5, -1)[2, 0] = 5000.0
    np.save("far.npy", x)
    done = kbuild("predict", recipe, "--input", "far.npy")
    assert done.code == 0 and "predict: 1 of 320 values of the input " in done.err and "5000" in done.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--input", "none.npy"], "there is no such file"),
        (["--input", "y_test.npy"], "should be (samples, "),
        (["--input", "x_test.npy", "--output", "y.txt"], "ends in .npy or .npz"),
        (["--input", "x_test.npy", "--layers", "l.npy"], "ends in .npz"),
        (["--input", "x_test.npy", "--output", "no/y.npy"], "there is no folder no"),
        (["--input", "x_test.npy", "--engine", "rtl"], "Vitis emits no Verilog"),
    ],
)
def test_predict_refuses(kbuild: Kbuild, recipe: Path, words: list[str], message: str) -> None:
    done = kbuild("predict", recipe, *words)
    assert done.code == 2 and message in done.err and "Traceback" not in done.err


# -- show ----------------------------------------------------------------------------


def test_show(kbuild: Kbuild, recipe: Path) -> None:
    built, read = kbuild("show", recipe), kbuild("show", recipe, "--stage", "parse")
    assert built.code == read.code == 0
    assert "dense_1" in built.out and "fixed<" in built.out
    assert "dense_1" in read.out and "fixed<" not in read.out and " float " in read.out
    layer = kbuild("show", recipe, "dense_1", "--set", "HLSConfig.Model.Precision=fixed<9,3>")
    assert "weight: fixed<9,3>" in layer.out and "--set" in layer.out and "% zeros" in layer.out
    text = kbuild("show", recipe, "--text")
    assert text.out.startswith('graph "') and "%dense_1 = dense(" in text.out


def test_show_of_an_unknown_layer(kbuild: Kbuild, recipe: Path) -> None:
    done = kbuild("show", recipe, "dens_1")
    assert done.code == 2 and "did you mean dense_1?" in done.err


# -- check ---------------------------------------------------------------------------


def test_check(kbuild: Kbuild, recipe: Path) -> None:
    done = kbuild("check", recipe)
    assert done.code == 0 and done.err == ""
    assert "multiplications a sample" in done.out and "synthesize would be skipped" in done.out
    assert not (recipe.parent / "out").exists()


def test_check_names_keys_without_effect(kbuild: Kbuild, recipe: Path) -> None:
    """A value that is the default asks for nothing."""
    idle = ["WriterConfig.WriteTar=true", "WriterConfig.TBOutputStream=both", "AcceleratorConfig.Board=pynq-z2"]
    done = kbuild("check", recipe, "--set", "Backend=Vitis", *(word for one in idle for word in ("--set", one)))
    assert done.code == 0
    assert "WriterConfig.WriteTar, AcceleratorConfig.Board have no effect with Backend: Vitis\n" in done.out


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("HLSConfig.LayerName.dense_9.ReuseFactor=2", "did you mean dense_"),
        ("HLSConfig.LayerName.dense_1.ReuseFactor=7", "ReuseFactor"),
        ("InputData=y_test.npy", "should be (samples, "),
        ("Validation.Reference=y_test.npy", "should be (samples, "),
    ],
)
def test_check_finds_what_a_build_would(kbuild: Kbuild, recipe: Path, setting: str, message: str) -> None:
    done = kbuild("check", recipe, "--set", setting)
    assert done.code == 2 and message in done.err, done.err


# -- init ----------------------------------------------------------------------------


def test_init_writes_a_recipe_that_builds(kbuild: Kbuild, recipe: Path) -> None:
    done = kbuild("init", "model.keras", "-o", "mine.yml")
    assert done.code == 0, done.err
    text = Path("mine.yml").read_text()
    assert "dense_1" in text and yaml.safe_load(text)["KerasModel"] == "model.keras"
    assert Path("dodo.py").read_text().count("\n") == 3 and "'mine.yml'" in Path("dodo.py").read_text()
    assert kbuild("check", "mine.yml").code == 0
    commented = "\n".join(line.replace("  # ", "  ", 1) if line.startswith("  # ") else line
                          for line in text.splitlines() if "Any layer may" not in line)  # fmt: skip
    Path("mine.yml").write_text(commented)  # the commented settings are right, too
    assert kbuild("check", "mine.yml").code == 0


def test_init_elsewhere(kbuild: Kbuild, recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    assert kbuild("init", "model.keras", "-o", tmp_path / "elsewhere" / "r.yml").code == 0
    assert yaml.safe_load((tmp_path / "elsewhere" / "r.yml").read_text())["KerasModel"] == "../digits/model.keras"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none.h5"], "there is no such file"),
        (["x_test.npy", "-o", "r.yml"], "a model is a .keras, .h5 or .json file"),
        (["model.keras", "-o", "recipe.yml"], "is there already"),
        (["model.keras", "-o", "no/r.yml"], "there is no folder"),
        (["broken.h5", "-o", "r.yml"], "broken.h5"),
        (["a.json", "-o", "r.yml"], "its weights are expected in one .h5 file"),
    ],
)
def test_init_refuses(kbuild: Kbuild, recipe: Path, words: list[str], message: str) -> None:
    Path("broken.h5").write_bytes(b"no model")
    Path("b.h5").write_bytes(b"no model")
    Path("a.json").write_text("{}")
    before = sorted(Path().iterdir())
    done = kbuild("init", *words)
    assert done.code == 2 and message in done.err and "Traceback" not in done.err
    assert sorted(Path().iterdir()) == before


def test_init_leaves_another_dodo_alone(kbuild: Kbuild, recipe: Path) -> None:
    Path("dodo.py").write_text("mine = 1\n")
    done = kbuild("init", "model.keras", "-o", "mine.yml")
    assert done.code == 0 and "is there already" in done.out
    assert Path("dodo.py").read_text() == "mine = 1\n"


# -- clean and cache -----------------------------------------------------------------


def test_clean_removes_kbuilds_files_only(kbuild: Kbuild, recipe: Path) -> None:
    assert kbuild("build", recipe, "--to", "emit").code == 0
    Path("out/notes.txt").write_text("mine")
    done = kbuild("clean", recipe)
    assert done.code == 0 and "1 files that kbuild did not write stay" in done.out
    assert [path.name for path in Path("out").rglob("*")] == ["notes.txt"]
    assert kbuild("clean", recipe).code == 2  # nothing of kbuild's is there any more
    assert Path("out/notes.txt").read_text() == "mine"
    shutil.rmtree("out")
    assert kbuild("clean", recipe).code == 0


def test_clean_refuses_a_folder_that_is_not_kbuilds(kbuild: Kbuild, recipe: Path) -> None:
    Path("out").mkdir()
    Path("out/precious").write_text("x")
    done = kbuild("clean", recipe)
    assert done.code == 2 and "kbuild did not make it" in done.err
    assert Path("out/precious").read_text() == "x"


def test_cache(kbuild: Kbuild, recipe: Path, own_cache: Path) -> None:
    assert kbuild("cache", "info").code == 0  # before there is one
    assert kbuild("build", recipe, "--to", "emit").code == 0
    kinds = {kind["kind"]: kind for kind in json.loads(kbuild("cache", "info", "--json").out)["kinds"]}
    assert kinds["parse"]["artifacts"] == 1 and kinds["parse"]["bytes"] > 1000
    assert "parse" in kbuild("cache", "info").out
    assert kbuild("cache", "prune").code == 0
    assert kbuild("build", recipe, "--to", "emit", "--set", "ClockPeriod=3").out.count("from cache") >= 1
    assert kbuild("cache", "clear").code == 0
    shutil.rmtree("out")
    assert "parse: done" in kbuild("build", recipe, "--to", "emit").out


# -- tables --------------------------------------------------------------------------


def test_tables(kbuild: Kbuild) -> None:
    layers = json.loads(kbuild("layers", "--json").out)["layers"]
    assert {"Dense", "Activation", "BatchNormalization"} <= {layer["class"] for layer in layers}
    assert "Dense" in kbuild("layers").out
    backends = json.loads(kbuild("backends", "--json").out)["backends"]
    assert {"Vivado", "Vitis", "Yosys"} <= {backend["name"] for backend in backends}
    assert "Vitis" in kbuild("backends").out
    tools = json.loads(kbuild("doctor", "--json").out)["tools"]
    assert {"C++ compiler", "yosys", "vivado"} <= {tool["name"] for tool in tools}
    assert "verilator" in kbuild("doctor").out


@pytest.mark.parametrize("words", [["--help"], ["build", "--help"], ["cache", "--help"], ["--version"]])
def test_help(kbuild: Kbuild, words: list[str]) -> None:
    done = kbuild(*words)
    assert done.code == 0 and "kbuild" in done.out and done.err == ""


@pytest.mark.parametrize("words", [[], ["nothing"], ["cache"], ["cache", "burn"], ["predict", "r.yml"]])
def test_wrong_words(kbuild: Kbuild, words: list[str]) -> None:
    done = kbuild(*words)
    assert done.code == 2 and "usage: kbuild" in done.err
