"""Operations of users: the example of docs/extending.md in every engine, and the ways to bring one along."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kbuild
from kbuild import plugins
from kbuild.cli import main
from kbuild.fixed import FixedType
from kbuild.frontend.keras import extensions
from kbuild.ops import registered

PAGE = (Path(__file__).parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")
EXAMPLE = PAGE.partition("<!-- example: operation -->\n```python\n")[2].partition("```")[0]
SCALE = 0.375


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    yield
    extensions.unregister("SignedSquare")
    registered.unregister("signed_square")
    for name in ("my_operation", "my_package", "my_package.signed_square"):
        sys.modules.pop(name, None)


def layer(class_name: str, name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": class_name, "config": {"name": name, "trainable": True, "dtype": "float32", **config}}


def write_model() -> None:
    """Dense, the user's layer, Dense: as Keras 2 writes it."""
    import h5py

    rng = np.random.default_rng(3)
    dense = {"units": 3, "activation": "linear", "use_bias": True}
    layers = [
        layer("InputLayer", "x", batch_input_shape=[None, 4]),
        layer("Dense", "first", **dense),
        layer("SignedSquare", "own"),
        layer("Dense", "last", **dense),
    ]
    config = {"name": "model", "layers": layers}
    document = {"class_name": "Sequential", "config": config, "keras_version": "2.15.0", "backend": "tensorflow"}
    Path("model.json").write_text(json.dumps(document))
    weights = {
        "first": {"kernel": rng.uniform(-1, 1, (4, 3)), "bias": rng.uniform(-1, 1, 3)},
        "own": {"scale": np.array(SCALE)},
        "last": {"kernel": rng.uniform(-1, 1, (3, 3)), "bias": rng.uniform(-1, 1, 3)},
    }
    with h5py.File("model.h5", "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in weights]
        for name, values in weights.items():
            group = file.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{key}:0".encode() for key in values]
            for key, array in values.items():
                group.create_dataset(f"{name}/{key}:0", data=array.astype(np.float32))
    np.save("x.npy", rng.uniform(-2, 2, (100, 4)))


KEYS: dict[str, Any] = {
    "KerasJson": "model.json", "KerasH5": "model.h5", "OutputDir": "out", "InputData": "x.npy",
    "Imports": ["my_operation"], "Synthesis": {"run": False},
}  # fmt: skip


def with_module(text: str = EXAMPLE) -> None:
    write_model()
    Path("my_operation.py").write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("backend", "io_type"), [("Vitis", "io_parallel"), ("Vivado", "io_stream"), ("Yosys", "io_parallel")]
)
def test_every_engine_computes_the_operation(backend: str, io_type: str) -> None:
    """A build compares them to the bit, and fails where they differ; Keras is not there to compare with."""
    with_module()
    precision = {"own": {"Precision": {"scale": "fixed<9,2>", "result": "fixed<10,4,RND,SAT>"}}}
    config = {"LayerName": precision} if backend == "Vitis" else {}
    keys = {**KEYS, "Backend": backend, "IOType": io_type, "HLSConfig": config}
    model = kbuild.converters.convert_from_config(keys, allow_code=True)
    x = np.load("x.npy")
    predicted, traced = model.trace(x)
    error = traced["own"] - SCALE * traced["first"] * np.abs(traced["first"])
    assert np.abs(error).max() <= (2.0**-6 if config else 2.0**-9)
    if config:
        assert str(model.get_layer("own").get_output_variable().type) == "fixed<10,4,RND,SAT>"
        assert model.get_layer("own").get_weights()["scale"].type.precision.width == 9
    report = model.build(synth=False)
    assert report["reference"]["source"] == "float"
    model.compile()
    assert np.array_equal(model.predict(x), predicted)
    if backend != "Yosys":
        assert "signed_square" in Path("out/firmware/kernels/custom/signed_square.h").read_text()
    if io_type == "io_stream":
        assert "signed_square, packet by packet" in Path("out/firmware/processes.h").read_text()


def test_the_kernel_with_the_vendors_headers(tmp_path: Path) -> None:
    """In C++11 as Vivado HLS has it."""
    from hls_projects import run, source, vendor_headers, write

    from kbuild.ir import Graph, Layer, Node, Tensor, verify
    from kbuild.tools.cxx import compiler

    names: dict[str, Any] = {"__name__": "my_operation"}
    exec(compile(EXAMPLE, "my_operation", "exec", dont_inherit=True), names)
    op = names["SignedSquare"](Tensor(np.array(-5), FixedType(4, 2)))
    nodes = (source("x", (2, 3)), Node("y", op, ("x",), (2, 3), Layer("y", "SignedSquare"), FixedType(14, 6)))
    write(verify(Graph("squares", nodes, ("y",))), tmp_path)
    command = [*compiler().command, "-std=c++11", "-Wall", "-Wextra", "-Wno-unknown-pragmas", "-isystem",
               str(vendor_headers()), "firmware/tagger.cpp", "tb/tagger_test.cpp", "-o", "test.exe"]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "", done.stderr[:2000]
    assert run(tmp_path / "test.exe") == (0, "20 samples, 0 wrong values\n")


def test_a_kernel_that_differs_from_its_definition_fails_the_build() -> None:
    with_module(EXAMPLE.replace("y[i] = -(x[i] * x[i])", "y[i] = x[i] * x[i]"))
    model = kbuild.converters.convert_from_config({**KEYS, "Backend": "Vitis"}, allow_code=True)
    with pytest.raises(kbuild.StageError, match=r"the engines disagree[\s\S]*own"):
        model.build(synth=False)


def test_without_a_circuit_there_is_no_verilog() -> None:
    with_module(EXAMPLE.replace("def verilog(", "def no_verilog("))
    with pytest.raises(kbuild.RecipeError, match=r"own \(SignedSquare\): Yosys cannot print the operation"):
        kbuild.converters.convert_from_config({**KEYS, "Backend": "Yosys"}, allow_code=True)


def test_the_command_and_a_changed_operation(capsys: pytest.CaptureFixture[str]) -> None:
    with_module()
    Path("recipe.yml").write_text(json.dumps({**KEYS, "Backend": "Vitis"}))
    assert main(["build", "recipe.yml"]) == 2
    assert "add --allow-code" in capsys.readouterr().err
    predict = ["predict", "recipe.yml", "--input", "x.npy", "--allow-code", "--output"]
    assert main([*predict, "before.npy"]) == 0
    forget_modules()
    assert main([*predict, "again.npy"]) == 0  # the graph now comes from the cache
    assert np.array_equal(np.load("before.npy"), np.load("again.npy"))
    forget_modules()
    Path("my_operation.py").write_text(EXAMPLE.replace("return x * abs(x) *", "return -x * abs(x) *"))
    assert main([*predict, "after.npy"]) == 0
    assert not np.array_equal(np.load("before.npy"), np.load("after.npy"))


def forget_modules() -> None:
    """As in a new process."""
    extensions.unregister("SignedSquare")
    registered.unregister("signed_square")
    sys.modules.pop("my_operation")


def test_a_program_registers_its_operation() -> None:
    write_model()
    names: dict[str, Any] = {"__name__": "notebook"}
    keys = {key: value for key, value in KEYS.items() if key != "Imports"} | {"Backend": "Vitis"}
    for _ in range(2):  # a cell of a notebook that runs twice
        exec(compile(EXAMPLE, "cell", "exec", dont_inherit=True), names)
        kbuild.converters.register_layer_handler("SignedSquare", names["HANDLERS"]["SignedSquare"])
        if not registered.find("signed_square"):
            with pytest.raises(kbuild.UnsupportedModel, match=r"not registered; call .*register_operation\(SignedSqu"):
                kbuild.converters.convert_from_config(keys)
        kbuild.converters.register_operation(names["SignedSquare"])
        assert kbuild.converters.convert_from_config(keys).predict(np.load("x.npy")).shape == (100, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('"signed_square"\n', '"relu"\n'), "SignedSquare: kbuild has an operation of kind relu itself"),
        (('"signed_square"\n', '"signed square"\n'), "SignedSquare has no `kind`"),
        (('HANDLERS = {"', 'HANDLERS = {3: "'), "HANDLERS of my_operation is no mapping|invalid syntax|SyntaxError"),
    ],
)
def test_operations_that_are_wrong(change: tuple[str, str], message: str) -> None:
    with_module(EXAMPLE.replace(*change))
    with pytest.raises(kbuild.RecipeError, match=message):
        kbuild.converters.convert_from_config({**KEYS, "Backend": "Vitis"}, allow_code=True)


def test_what_is_no_complete_operation() -> None:
    from kbuild.ops.custom import CustomOp
    from kbuild.ops.relu import Relu

    with pytest.raises(kbuild.RecipeError, match=r"derived from kbuild\.ops\.custom\.CustomOp"):
        registered.register(Relu)  # type: ignore[arg-type]

    class Half(CustomOp):
        kind = "half"

    with pytest.raises(kbuild.RecipeError, match="Half is not complete; it lacks eval_float, exact, infer_shape"):
        registered.register(Half)


PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "my-package"
version = "1"

[project.entry-points."kbuild.layers"]
SignedSquare = "my_package.signed_square:HANDLERS"

[project.entry-points."kbuild.ops"]
signed_square = "my_package.signed_square:SignedSquare"

[tool.hatch.build.targets.wheel]
packages = ["my_package"]
"""


def test_an_installed_package_offers_layers_and_operations(own_folder: Path) -> None:
    pytest.importorskip("hatchling", reason="the package is built by hatchling, which is not installed here")
    write_model()
    package = own_folder / "source"
    (package / "my_package").mkdir(parents=True)
    (package / "pyproject.toml").write_text(PYPROJECT)
    (package / "my_package" / "__init__.py").touch()
    (package / "my_package" / "signed_square.py").write_text(EXAMPLE)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*install, "--target", str(own_folder / "site"), str(package)], check=True)
    shutil.rmtree(package)
    keys = {key: value for key, value in KEYS.items() if key != "Imports"} | {"Backend": "Vitis"}
    Path("recipe.yml").write_text(json.dumps(keys))
    root = Path(kbuild.__file__).parents[1]
    command = [sys.executable, "-m", "kbuild", "build", "recipe.yml"]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(own_folder), "KBUILD_CACHE": str(own_folder / "cache")}

    def build(*path: Path) -> subprocess.CompletedProcess[str]:
        joined = ":".join(map(str, (root, *path)))
        return subprocess.run(command, env={**environment, "PYTHONPATH": joined}, capture_output=True, text=True)

    without = build()
    assert without.returncode != 0 and "own" in without.stderr and "SignedSquare" in without.stderr
    first = build(own_folder / "site")
    assert first.returncode == 0, first.stderr
    second = build(own_folder / "site")
    assert second.returncode == 0 and "up to date" in second.stdout
    file = own_folder / "site" / "my_package" / "signed_square.py"
    file.write_text(EXAMPLE.replace("y[i] = -(x[i] * x[i])", "y[i] = x[i] * x[i]"))
    changed = build(own_folder / "site")
    assert changed.returncode != 0 and "the engines disagree" in changed.stderr


def test_entry_points_that_are_wrong(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = own_folder / "site"
    info = place / "broken-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    monkeypatch.syspath_prepend(str(place))
    for text, message in (
        ("[kbuild.layers]\nMine = not_there:HANDLERS\n", "Mine = not_there:HANDLERS of kbuild.layers cannot be import"),
        ("[kbuild.layers]\nMine = json:dumps\n", "the entry point Mine of kbuild.layers is no mapping"),
        ("[kbuild.ops]\nmine = json:dumps\n", r"the entry point mine of kbuild.ops is .*, and no operation"),
    ):
        (info / "entry_points.txt").write_text(text)
        for cached in (plugins._any_offered, extensions.load_installed, registered.load_installed):
            cached.cache_clear()
        with pytest.raises(kbuild.RecipeError, match=message):
            extensions.find("Mine", 3)
    for cached in (plugins._any_offered, extensions.load_installed, registered.load_installed):
        cached.cache_clear()
