"""Code written for hls4ml's Keras front end, with the package's name changed.

`KBUILD_REFERENCE` names a folder with `keras-frontend.txt`, a page of hls4ml's documentation: every piece of code in it
is cut out and run here, after the files and names that it takes for granted are made.
"""

from __future__ import annotations

import ast
import importlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kbuild.frontend.keras import extensions

FOLDER = os.environ.get("KBUILD_REFERENCE")
BEGIN = re.compile(r"(import \w|from \w[\w.]* import |[a-z_]\w*(\[[^]]*\])* = )")


def blocks(text: str) -> Iterator[str]:
    """Pieces of code: from a line that begins like a statement, as many lines as are Python together."""
    lines = text.splitlines()
    start = 0
    while start < len(lines):
        if not BEGIN.match(lines[start].strip()):
            start += 1
            continue
        indent = len(lines[start]) - len(lines[start].lstrip())
        body, end = longest([line[indent:] if not line[:indent].strip() else line for line in lines[start:]])
        yield "\n".join(body)
        start += end


def longest(lines: list[str]) -> tuple[list[str], int]:
    """The longest beginning that parses, without words of prose at its end that happen to; and how long it is."""
    best = 0
    for end in range(1, min(len(lines), 80) + 1):
        try:
            ast.parse("\n".join(lines[:end]))
        except SyntaxError:
            continue
        best = end
    tree = ast.parse("\n".join(lines[:best]))
    while tree.body and isinstance(tree.body[-1], ast.Expr) and not isinstance(tree.body[-1].value, ast.Call):
        tree.body.pop()
    last = tree.body[-1].end_lineno
    assert last is not None
    return lines[:last], last


BLOCKS = list(blocks((Path(FOLDER) / "keras-frontend.txt").read_text(encoding="utf-8"))) if FOLDER else []
NAMES = [f"{number}-{re.sub(r'[^A-Za-z0-9]+', '_', block)[:32]}" for number, block in enumerate(BLOCKS)]

pytestmark = pytest.mark.skipif(FOLDER is None, reason="KBUILD_REFERENCE does not name the folder of hls4ml's pages")


def renamed(block: str, keras: Any) -> str:
    """The code with the package's name changed, and the Keras that is being tested."""
    block = block.replace("hls4ml", "kbuild")
    if keras.__name__ == "tf_keras":
        block = block.replace("from tensorflow import keras", "import tf_keras as keras")
        block = block.replace("tensorflow.keras", "tf_keras")
        block = re.sub(r"^import keras$", "import tf_keras as keras", block, flags=re.MULTILINE)
    return block


def trained(keras: Any) -> Any:
    """A model with the names of layers that the page uses."""
    keras.utils.set_random_seed(1)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((10,)),
            layers.Dense(16, activation="relu", name="dense1"),
            layers.Dense(8, name="critical_layer"),
            layers.Dense(3, name="logits"),
            layers.Activation("softmax", name="output"),
        ]
    )
    return model


def names_taken_for_granted(keras: Any) -> dict[str, Any]:
    import kbuild

    model = trained(keras)
    for file in ("my_model.h5", "trained_model.h5", "model.h5"):
        model.save(file)
    Path("model_architecture.json").write_text(model.to_json(), encoding="utf-8")
    model.save_weights("model_weights.weights.h5")
    Path("model_weights.weights.h5").rename("model_weights.h5")
    config = kbuild.utils.config_from_keras_model(model, granularity="name")
    return {"keras": keras, "kbuild": kbuild, "model": model, "config": config, "np": np, **vars(keras.layers)}


def qkeras_works() -> bool:
    try:
        return hasattr(importlib.import_module("qkeras"), "QDense")
    except ImportError:
        return False


def test_all_blocks_are_found() -> None:
    assert len(BLOCKS) == 15
    assert sum("import" in block for block in BLOCKS) >= 5


@pytest.mark.parametrize("block", BLOCKS, ids=NAMES)
def test_block(block: str, keras: Any, capsys: pytest.CaptureFixture[str]) -> None:
    if "qkeras" in block and not qkeras_works():
        pytest.skip("QKeras is not installed here; it needs the Keras 2 of TensorFlow 2.15 or older")
    names = names_taken_for_granted(keras)
    try:
        exec(compile(renamed(block, keras), "block", "exec"), names)
    finally:
        extensions.unregister("MyCustomLayer")
    match = re.search(r"Accuracy match: ([0-9.]+)", capsys.readouterr().out)
    assert ("Accuracy match" in block) == (match is not None)
    if match:
        assert float(match[1]) >= 0.99
    convert_what_was_configured(names)


def convert_what_was_configured(names: dict[str, Any]) -> None:
    """A block that ends with a configuration is to have made one that works."""
    config, kbuild = names["config"], names["kbuild"]
    if "KerasH5" in config:
        kbuild.converters.convert_from_config(config)
    elif "hls_model" not in names and names["model"].built:
        own = {layer.name for layer in names["model"].layers}
        known = own | ({"dense1_relu"} if "dense1" in own else set())
        if "LayerName" in config:
            config["LayerName"] = {name: rules for name, rules in config["LayerName"].items() if name in known}
        kbuild.converters.convert_from_keras_model(names["model"], hls_config=config, io_type="io_stream")
