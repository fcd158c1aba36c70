"""A case of a quantized library: its model with random weights, saved in a format, its inputs and what it predicts."""

from __future__ import annotations

import os
import random
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import numpy as np

from conformance.catalog import CaseId, generators
from conformance.quantized.script import QuantizedScript, Redraw
from conformance.reference import ENVIRONMENT, NoModel, Reference, save
from conformance.script import Value

ATTEMPTS = 200  # drawings: of many, float32 would round


def make(case: CaseId, folder: Path) -> Reference:
    """Draw, build, predict and save. The predictions are those of the model as it is read back from its file."""
    return _drawn(case, False, lambda s, outputs, library: _reference(s, outputs, folder, library))


def live(case: CaseId) -> tuple[Any, list[np.ndarray], list[np.ndarray], str]:
    """Draw, build and predict: the model in memory, inputs, what it predicts, and its code."""

    def finished(s: QuantizedScript, outputs: list[Value], library: Library) -> tuple[Any, Any, Any, str]:
        model, samples = s.scope["model"], [s.samples[x.name][s.chosen()] for x in s.inputs]
        return model, samples, predicted(model, samples), "\n".join(s.lines)

    return _drawn(case, True, finished)


T = TypeVar("T")
Load = Callable[[dict[str, Path | None]], Any]
Library = tuple[ModuleType, dict[str, Any], Load, tuple[str, ...]]


def _drawn(case: CaseId, in_memory: bool, finish: Callable[[QuantizedScript, list[Value], Library], T]) -> T:
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    library = _LIBRARIES[case.answered_by]()
    keras, scope, *_ = library
    last: Exception | None = None
    for attempt in range(ATTEMPTS):
        rng = random.Random(f"{case} {attempt}")
        keras.backend.clear_session()
        script = QuantizedScript(keras, 3 if case.answered_by in ("hgq2", "qkeras3") else 2, rng, live=in_memory)
        script.scope |= scope
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = generators(case.answered_by)[case.layer](script)
                outputs = [found] if isinstance(found, Value) else list(found)
                _model(script, outputs)
                return finish(script, outputs, library)
        except Exception as error:  # whatever the library has against a drawing, the next one is drawn
            last = error
    raise NoModel(f"{case}: none of {ATTEMPTS} drawings can be compared: {type(last).__name__}: {last}")


def _model(s: QuantizedScript, outputs: list[Value]) -> None:
    if "model" not in s.scope:
        text, inputs = ", ".join(map(str, outputs)), ", ".join(map(str, s.inputs))
        s.run(f"model = keras.Model([{inputs}], {text if len(outputs) == 1 else f'[{text}]'})")


def _reference(s: QuantizedScript, outputs: list[Value], folder: Path, library: Library) -> Reference:
    _, _, load, kinds = library
    chosen = s.chosen()
    samples = [s.samples[x.name][chosen] for x in s.inputs]
    files = save(s.scope["model"], folder, s.rng.choice(s.formats or kinds))
    answers = predicted(load(files), samples)
    for value, answer in zip(outputs, answers, strict=True):
        if not np.array_equal(answer, s.samples[value.name][chosen]):
            raise Redraw("the library does not read back what it has written")
    given, wanted = ([np.asarray(a, np.float64) for a in arrays] for arrays in (samples, answers))
    return Reference("\n".join(s.lines), files, given, wanted, tuple(s.subject))


def predicted(model: Any, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """What a model answers, as a list."""
    found = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    return [np.asarray(y) for y in (found if isinstance(found, list | tuple) else [found])]


# ---- the libraries: the module of Keras, names for the code, how files are read back, and formats


def _loader(keras: Any, custom: dict[str, Any]) -> Load:
    def load(files: dict[str, Path | None]) -> Any:
        if files["json"] is not None:
            model = keras.models.model_from_json(files["json"].read_text(encoding="utf-8"), custom)
            model.load_weights(files["h5"])
            return model
        return keras.models.load_model(files["archive"] or files["h5"], custom, compile=False)

    return load


def give_old_names() -> None:
    """To TensorFlow 2.15, where QKeras' QConv2DTranspose and recurrent layers look for them."""
    from tensorflow import stack, unstack
    from tensorflow.python.ops import array_ops
    from tensorflow.python.util import nest

    array_ops.stack, array_ops.unstack, nest.is_sequence = stack, unstack, nest.is_nested


def _qkeras() -> Library:
    import qkeras
    from qkeras.utils import _add_supported_quantized_objects
    from tensorflow import keras

    give_old_names()
    custom: dict[str, Any] = {}
    _add_supported_quantized_objects(custom)
    names = {**custom, "QActivation": qkeras.QActivation, "BatchNormalization": keras.layers.BatchNormalization}
    return keras, names, _loader(keras, custom), ("h5", "json", "keras")


def _hgq() -> Library:
    import tensorflow
    from HGQ import bops, layers, proxy, utils
    from HGQ.layers.batchnorm_base import HBatchNormalization
    from tensorflow import keras

    tensorflow.config.run_functions_eagerly(True)  # it would compile each of its layers, which takes seconds
    custom = {"FixedPointQuantizer": proxy.FixedPointQuantizer, "UnaryLUT": proxy.UnaryLUT,
              "HBatchNormalization": HBatchNormalization}  # fmt: skip
    names = {name: getattr(layers, name) for name in dir(layers) if name[0] in "HPS" and name[1:2].isupper()}
    names |= {"Signature": layers.Signature, "MonoL1": utils.MonoL1}
    names |= {"trace_minmax": bops.trace_minmax, "to_proxy_model": proxy.to_proxy_model}
    return keras, names | custom, _loader(keras, custom), ("h5", "json")


def _hgq2() -> Library:
    import keras
    from hgq import layers
    from hgq.config import QuantizerConfig

    names = {name: getattr(layers, name) for name in layers.__all__}
    return keras, names | {"QuantizerConfig": QuantizerConfig}, _loader(keras, {}), ("keras", "h5", "json")


def _qkeras3() -> Library:
    import keras
    import qkeras
    from qkeras.utils import _add_supported_quantized_objects

    custom: dict[str, Any] = {}
    _add_supported_quantized_objects(custom)
    names = {**custom, "QActivation": qkeras.QActivation, "BatchNormalization": keras.layers.BatchNormalization}
    return keras, names, _loader(keras, custom), ("keras", "h5", "json")


_LIBRARIES: dict[str, Callable[[], Library]] = {"qkeras": _qkeras, "qkeras3": _qkeras3, "hgq": _hgq, "hgq2": _hgq2}
