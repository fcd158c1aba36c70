"""A case in Keras: its model with random weights, saved in one of the formats, its inputs and what Keras predicts."""

from __future__ import annotations

import os
import random
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from conformance.catalog import CaseId, generators
from conformance.script import Script, Value

SAMPLES = 5
ENVIRONMENT = {
    "KERAS_BACKEND": "tensorflow",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
    # without it, max_pool3d is wrong where a stride is longer than the pool; with it, a float32 convolution of some
    # shapes (2 x 4 on 2 x 3, strides 1 x 3), which float64 decides
    "TF_ENABLE_ONEDNN_OPTS": "1",
    # cases run side by side in processes
    **dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"), "1"),
}
ATTEMPTS = 30  # drawings, of which Keras refuses some
FORMATS = {3: ("keras", "h5", "json"), 2: ("h5", "json", "keras", "json3")}


@dataclass(frozen=True)
class Reference:
    """What the checks need: files as `read_model` takes them, inputs in the model's order, and the outputs.

    subject: names of the layers that the case is about, where the others of the model do not count.
    in_double: what the same model gives in float64; None where Keras is not at hand.
    """

    code: str
    files: dict[str, Path | None]
    inputs: list[np.ndarray]
    outputs: list[np.ndarray]
    subject: tuple[str, ...] = ()
    in_double: Callable[[], list[np.ndarray]] | None = None


class NoModel(Exception):
    """Keras refused all drawings of a case: an error of its generator."""


def keras_of(major: int) -> ModuleType:
    """The module of a version of Keras."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if major == 3:
        import keras

        _add_as_numpy_does()
    else:
        import tf_keras as keras
    return keras


def _add_as_numpy_does() -> None:
    """Keras 3 on TensorFlow takes an operand with one axis of more than one element for a bias of the last axis, or of
    the first after the batch, if that is as long: a bias of channels_first, or one of EinsumDense, is then added along
    the wrong axis. Its other backends do not; nor does this.
    """
    from keras.src.backend.tensorflow import numpy as functions

    def add(x1: Any, x2: Any) -> Any:
        return functions.subtract(x1, functions.negative(x2))  # the same number, without a guess

    functions.add = add


def major_of(case: CaseId) -> int:
    """The version of Keras of a case."""
    return int(case.answered_by[-1])


def make(case: CaseId, folder: Path, kind: str | None = None) -> Reference:
    """Draw, build, predict and save; the format is the case's own unless one is given. Raises NoModel."""
    if case.answered_by in ("qkeras", "hgq"):
        from conformance import author

        return author.make(case, folder)
    if case.answered_by in ("hgq2", "qkeras3"):
        from conformance.quantized import reference

        return reference.make(case, folder)
    return _made(case, folder, kind)


def _made(case: CaseId, folder: Path, kind: str | None) -> Reference:
    keras = keras_of(major_of(case))
    last: Exception | None = None
    for attempt in range(ATTEMPTS):
        rng = random.Random(f"{case} {attempt}")
        keras.backend.clear_session()
        script = Script(keras, major_of(case), rng)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = _model(script, generators(case.answered_by)[case.layer](script))
                _randomize(model, np.random.default_rng(rng.randrange(1 << 30)))
                inputs = _inputs(script, model, np.random.default_rng(rng.randrange(1 << 30)))
                outputs = _predict(model, inputs, script)
                if not all(y.size and np.isfinite(y).all() and np.abs(y).max() < 1e6 for y in outputs):
                    continue
                files = save(model, folder, kind or rng.choice(FORMATS[major_of(case)]))
        except NoModel:
            raise
        except Exception as error:  # whatever Keras has against a drawing, the next one is drawn
            last = error
            continue
        in_double = partial(_predict_in_double, script, model, inputs)
        return Reference("\n".join(script.lines), files, inputs, outputs, in_double=in_double)
    raise NoModel(f"{case}: Keras takes none of {ATTEMPTS} drawings: {type(last).__name__}: {last}")


def _model(script: Script, found: Any) -> Any:
    if "model" in script.scope:
        return script.scope["model"]
    outputs = [found] if isinstance(found, Value) else list(found)
    text = ", ".join(map(str, outputs))
    names = ", ".join(map(str, script.inputs))
    script.run(f"model = keras.Model([{names}], {text if len(outputs) == 1 else f'[{text}]'})")
    return script.scope["model"]


def _randomize(model: Any, rng: np.random.Generator) -> None:
    """Random weights of both signs; positive where Keras needs it; those of Normalization as they were adapted."""
    for layer in model._flatten_layers(include_self=False):
        if type(layer).__name__ == "Normalization":
            continue
        for weight in _own_weights(layer):
            name = weight.name.split("/")[-1].split(":")[0]
            if "seed" in name or "int" in str(weight.dtype):
                continue
            shape = tuple(weight.shape)
            scale = 1.2 / max(np.prod(shape[:-1]), 1) ** 0.5 if len(shape) > 1 else 0.6
            values = rng.normal(0, max(scale, 0.3), shape)
            weight.assign(np.abs(values) + 0.3 if "variance" in name else values)


def _own_weights(layer: Any) -> list[Any]:
    """Those of the layer itself, without its parts'."""
    if hasattr(layer, "_trainable_variables"):
        return list(layer._trainable_variables + layer._non_trainable_variables)
    return list(layer._trainable_weights + layer._non_trainable_weights)


def _inputs(script: Script, model: Any, rng: np.random.Generator) -> list[np.ndarray]:
    """On a grid, or anywhere; indices where a table is read. In the order of the model's inputs."""
    shapes = [tuple(x.shape)[1:] for x in model.inputs]
    rows = [script.ranges.get(str(value)) for value in script.inputs] or [None] * len(shapes)
    found = []
    for shape, limit in zip(shapes, rows, strict=True):
        if limit is not None:
            found.append(rng.integers(0, limit, (SAMPLES, *(n or 3 for n in shape))).astype(np.float64))
            continue
        x = rng.normal(0, 1.5, (SAMPLES, *(n or 3 for n in shape)))
        if rng.random() < 0.6:
            x = np.round(x * 8) / 8
        x[0] = 0 if rng.random() < 0.15 else x[0]
        found.append(x.astype(np.float32).astype(np.float64))
    return found


def _predict(model: Any, inputs: list[np.ndarray], script: Script) -> list[np.ndarray]:
    """Outputs in float64. A call in inference mode is what `predict` compiles; a part of the cases goes through it."""
    dtypes = [getattr(tensor.dtype, "name", tensor.dtype) for tensor in model.inputs]
    given = [x.astype(dtype) for x, dtype in zip(inputs, dtypes, strict=True)]
    one = given if len(given) > 1 else given[0]
    found = model.predict(one, verbose=0) if script.chance(0.05) else model(one, training=False)
    outputs = list(found) if isinstance(found, list | tuple) else [found]
    return [np.asarray(y, dtype=np.float64) for y in outputs]


def _predict_in_double(script: Script, model: Any, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """Outputs of the same code with the same weights where every float is a float64."""
    _compute_in(script.keras, "float64")
    try:
        again = script.again()
        again.set_weights(model.get_weights())
        return _predict(again, inputs, script)
    finally:
        _compute_in(script.keras, "float32")


def _compute_in(keras: ModuleType, dtype: str) -> None:
    keras.backend.set_floatx(dtype)
    keras.mixed_precision.set_global_policy(dtype)


def save(model: Any, folder: Path, kind: str) -> dict[str, Path | None]:
    """The arguments of `read_model`."""
    files: dict[str, Path | None] = {"json": None, "h5": None, "archive": None}
    if kind == "keras":
        files["archive"] = folder / "model.keras"
        model.save(files["archive"])
    elif kind == "h5":
        files["h5"] = folder / "model.h5"
        model.save(files["h5"], include_optimizer=False)
    else:
        files["json"], keras2 = folder / "model.json", kind == "json" and model.__module__.startswith("tf_keras")
        files["h5"] = folder / ("weights.h5" if keras2 else "model.weights.h5")
        files["json"].write_text(model.to_json(), encoding="utf-8")
        model.save_weights(files["h5"])
    return files
