"""The examples of docs/extending.md, as they stand there, and `Imports` of a recipe."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kbuild
from kbuild.cli import main
from kbuild.frontend.keras import extensions

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
EXAMPLES = dict(
    re.findall(r"<!-- example: (\w+) -->\n```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
)
CLASSES = ("Reversed", "TrainedSwish", "MyRectifier", "Squash")


@pytest.fixture(autouse=True)
def forget() -> Any:
    yield
    for name in CLASSES:
        extensions.unregister(name)
    sys.modules.pop("my_layers", None)


def model_json(class_name: str, shape: tuple[int, ...]) -> dict[str, Any]:
    """A Sequential of one custom layer, as Keras 2 writes it."""
    x = {"batch_input_shape": [None, *shape], "dtype": "float32", "name": "x"}
    inner = {"class_name": "InputLayer", "config": x}
    own = {"class_name": class_name, "config": {"name": "own", "trainable": True, "dtype": "float32"}}
    config = {"name": "model", "layers": [inner, own]}
    return {"class_name": "Sequential", "config": config, "keras_version": "2.15.0", "backend": "tensorflow"}


def write_model(class_name: str, shape: tuple[int, ...], **weights: Any) -> None:
    import h5py

    Path("model.json").write_text(json.dumps(model_json(class_name, shape)))
    with h5py.File("model.h5", "w") as file:
        file.attrs["layer_names"] = [b"own"]
        group = file.create_group("own")
        group.attrs["weight_names"] = [f"own/{name}:0".encode() for name in weights]
        for name, values in weights.items():
            group.create_dataset(f"own/{name}:0", data=np.asarray(values, dtype=np.float32))


KEYS = {"KerasJson": "model.json", "KerasH5": "model.h5", "OutputDir": "out", "Backend": "Vitis"}


def run(example: str) -> None:
    exec(compile(EXAMPLES[example], str(PAGE), "exec"), {"__name__": f"example_{example}"})


def test_every_example_is_tested() -> None:
    assert set(EXAMPLES) == {"reversed", "activation", "operation", "module", "described"}  # operation: test_operations


def test_without_its_handler_the_layer_is_refused() -> None:
    write_model("Reversed", (4, 2))
    with pytest.raises(kbuild.UnsupportedModel, match=r'"own" \(Reversed\)'):
        kbuild.converters.convert_from_config(KEYS)


def test_a_reversed_sequence() -> None:
    write_model("Reversed", (4, 2))
    run("reversed")
    model = kbuild.converters.convert_from_config(KEYS)
    x = np.arange(-12, 12).reshape(3, 4, 2) / 8
    assert np.array_equal(model.predict(x), x[:, ::-1])
    model.compile()
    assert np.array_equal(model.predict(x), x[:, ::-1])


def test_an_activation_with_a_weight() -> None:
    beta = np.array([0.5, 1.0, 2.0])
    write_model("TrainedSwish", (3,), beta=beta)
    run("activation")
    np.save("x.npy", np.random.default_rng(0).uniform(-3, 3, (200, 3)))
    model = kbuild.converters.convert_from_config({**KEYS, "InputData": "x.npy"})
    x = np.load("x.npy")
    expected = x / (1 + np.exp(-beta * x))
    error = np.abs(model.predict(x) - expected).max()
    # a cell of the table of 1024 entries over beta x in -6..6 (slope of the sigmoid at most 1/4, x at most 3),
    # and a few LSBs of 16-bit values
    assert error <= 3 * (12 / 1024) / 4 + 8 * 2.0**-12
    emulated = model.predict(x)
    model.compile()
    assert np.array_equal(model.predict(x), emulated)


def test_a_described_layer() -> None:
    write_model("Squash", (3,))
    run("described")
    model = kbuild.converters.convert_from_config(KEYS)
    (layer,) = [layer for layer in model.get_layers() if layer.name == "own"]
    assert layer.attributes["function"] == "tanh"


def recipe(**keys: Any) -> Path:
    write_model("MyRectifier", (3,))
    Path("my_layers.py").write_text(EXAMPLES["module"])
    path = Path("recipe.yml")
    path.write_text(json.dumps({**KEYS, "Imports": ["my_layers"], **keys}))
    return path


def test_modules_run_only_where_code_is_allowed(capsys: pytest.CaptureFixture[str]) -> None:
    path = recipe()
    assert main(["check", str(path)]) == 2
    assert "Imports: this is code, and runs only where it is allowed; add --allow-code" in capsys.readouterr().err
    assert "my_layers" not in sys.modules
    assert main(["check", str(path), "--allow-code"]) == 0
    with pytest.raises(kbuild.RecipeError, match="allow_code=True"):
        kbuild.converters.convert_from_config(path)
    x = np.array([[-1.0, 0.5, 2.0]])
    model = kbuild.converters.convert_from_config(path, allow_code=True)
    assert np.array_equal(model.predict(x), np.maximum(x, 0))


def test_a_changed_module_is_read_anew() -> None:
    path = recipe()
    x = np.array([[-1.0, 0.5, 2.0]])
    assert np.array_equal(kbuild.converters.convert_from_config(path, allow_code=True).predict(x), np.maximum(x, 0))
    sys.modules.pop("my_layers")  # as in a new process
    Path("my_layers.py").write_text(EXAMPLES["module"].replace("relu", "identity").replace("Relu", "Identity"))
    assert np.array_equal(kbuild.converters.convert_from_config(path, allow_code=True).predict(x), x)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nothing_of_that_name", "my_layers cannot be imported: ModuleNotFoundError"),
        ("HANDLERS = {'A': 3}", "HANDLERS of my_layers is no mapping"),
        ("x = 1", "my_layers has no HANDLERS, no operation and registers no handler"),
        ("raise ValueError('boom')", "my_layers cannot be imported: ValueError: boom"),
    ],
)
def test_modules_that_are_wrong(text: str, message: str) -> None:
    path = recipe()
    Path("my_layers.py").write_text(text)
    with pytest.raises(kbuild.RecipeError, match=message):
        kbuild.converters.convert_from_config(path, allow_code=True)


def test_two_handlers_of_one_class_are_refused() -> None:
    run("reversed")
    with pytest.raises(kbuild.RecipeError, match="class Reversed has a handler already, from example_reversed"):

        @kbuild.converters.layer_handler("Reversed")
        def other(call: Any) -> Any:
            raise NotImplementedError

    run("reversed")  # the same again, as when a notebook's cell runs twice
