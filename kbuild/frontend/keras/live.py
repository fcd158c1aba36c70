"""Models in memory, of Keras 3 on any backend or of Keras 2, → `ModelSpec`, by inspection.

Structure and settings are those that the model states of itself (`to_json`), weights are asked of its layers
(`get_weights`). Layers whose weights have no names but places (HGQ2) are written by Keras into a file, as it would save
them, and read from there. Keras is not imported here: the model brings it.
"""

from __future__ import annotations

import hashlib
import pathlib
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kbuild.errors import RecipeError, UnsupportedModel
from kbuild.fixed import FloatArray
from kbuild.frontend.keras.build import build_graph
from kbuild.frontend.keras.graph_config import read_config
from kbuild.frontend.keras.handler import ALL
from kbuild.frontend.keras.hdf5 import opened
from kbuild.frontend.keras.problems import check_supported
from kbuild.frontend.keras.safety import parse_json, quoted
from kbuild.frontend.keras.spec import ModelSpec
from kbuild.frontend.keras.weights import Path, assigned, filled, wanted_weights, with_weights
from kbuild.ir import Graph

_PACKAGES = ("keras", "tf_keras", "tensorflow")
_BATCH = 256


@dataclass(frozen=True)
class LiveModel:
    """A model as it was when it was read: later training does not change it."""

    spec: ModelSpec
    digest: str  # a name for its structure and all of its weights
    model: Any

    @property
    def keras(self) -> str:
        """The Keras that the model is from, with its version."""
        package = _functional_class(self.model).__module__.split(".")[0]
        return f"{package} {sys.modules[package].__version__}"

    def graph(self, name: str) -> Graph:
        """The float graph, verified. Raises UnsupportedModel."""
        return build_graph(self.spec, name)


def is_model(value: object) -> bool:
    """Whether this is a model of Keras 2 or 3; nothing is imported to know it."""
    return any(kind.__name__ == "Model" and kind.__module__.split(".")[0] in _PACKAGES for kind in type(value).__mro__)


def read_live(model: Any) -> LiveModel:
    """The model as data, with the weights that it has now; one that is read already is returned as it is.

    Raises RecipeError for what is no Keras model, UnsupportedModel for one that cannot become hardware.
    """
    if isinstance(model, LiveModel):
        return model
    if not is_model(model):
        raise RecipeError(
            f"KerasModel: an object of type {type(model).__name__} is no Keras model; give a Sequential or Functional "
            "model of keras, tf.keras or tf_keras, or the path of a .keras archive"
        )
    text = _json_of(model)
    spec = read_config(parse_json(text, "the configuration"))
    check_supported(spec)
    wanted = list(wanted_weights(spec))
    if any(names == ALL for _, names in wanted):
        _check_stated(model)
        spec = _as_saved(spec, model)
    else:
        spec = filled(spec, {path: _weights(_layer_at(model, path), path, names) for path, names in wanted})
    return LiveModel(_attached(spec, model), _digest(text, model), model)


def predict_live(model: Any, inputs: Sequence[FloatArray]) -> list[FloatArray]:
    """What the model itself predicts, in the order of its outputs, as float64. Inputs are in the model's order."""
    shaped = [
        np.asarray(values, dtype=np.float32).reshape(len(values), *tensor.shape[1:])
        for values, tensor in zip(inputs, model.inputs, strict=True)
    ]
    return _arrays(model.predict(shaped if len(shaped) > 1 else shaped[0], batch_size=_BATCH, verbose=0))


def layer_outputs(model: Any, inputs: Sequence[FloatArray]) -> dict[str, FloatArray]:
    """What each layer of the outermost model makes, by its name; a layer that is used twice or has several results is
    left out. Inputs are in the model's order.
    """
    sole: dict[str, Any] = {}
    for layer in model.layers:
        try:
            output = layer.output  # raises where there are several
        except (AttributeError, RuntimeError, ValueError):
            continue
        if not isinstance(output, (list, tuple, dict)):
            sole[layer.name] = output
    part = _functional_class(model)(model.inputs, list(sole.values()))
    return dict(zip(sole, predict_live(part, inputs), strict=True))


def _functional_class(model: Any) -> Any:
    """The class `Model` of the Keras that the model is from."""
    return next(
        kind for kind in type(model).__mro__ if kind.__name__ == "Model" and kind.__module__.split(".")[0] in _PACKAGES
    )


def _arrays(found: Any) -> list[FloatArray]:
    if isinstance(found, Mapping):
        found = list(found.values())
    outputs = found if isinstance(found, (list, tuple)) else [found]
    return [np.asarray(output, dtype=np.float64) for output in outputs]


def _json_of(model: Any) -> str:
    """The model's own description of itself. Its layers' `get_config` are run, which may fail in any way."""
    try:
        return str(model.to_json())
    except Exception as error:
        why = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise UnsupportedModel(
            f"the model cannot describe itself ({quoted(why)[1:-1]}); give a Sequential or Functional model whose own "
            "layers, if it has some, have a get_config"
        ) from error


def _attached(spec: ModelSpec, model: Any) -> ModelSpec:
    """The spec with the layer objects; a Sequential does not list its InputLayer."""
    own = {layer.name: layer for layer in model.layers}
    layers = [replace(layer, live=own.get(layer.name)) for layer in spec.layers]
    return replace(
        spec,
        layers=tuple(
            replace(layer, model=_attached(layer.model, layer.live))
            if layer.model is not None and is_model(layer.live)
            else layer
            for layer in layers
        ),
    )


def _as_saved(spec: ModelSpec, model: Any) -> ModelSpec:
    """The model with its weights as they are in a file that Keras makes of them."""
    with tempfile.TemporaryDirectory(prefix="kbuild-") as folder:
        file = pathlib.Path(folder) / "model.weights.h5"
        model.save_weights(str(file))
        with opened(file) as root:
            return with_weights(spec, root)


def _check_stated(model: Any) -> None:
    """Refuse quantizers of HGQ2 whose configuration does not state what they do: a HardTanhConfig that is symmetric."""
    for layer in model._flatten_layers():
        config = getattr(layer, "config", None)
        symmetric = isinstance(config, Mapping) and config.get("overflow_mode") == "SAT_SYM"
        if symmetric and type(config).__name__ == "HardTanhConfig":
            raise UnsupportedModel(
                f"the quantizer {quoted(str(layer.name))} is a symmetric HardTanhConfig, which HGQ2 does not save; use "
                'QuantizerConfig("kif", k0=1, i0=0, overflow_mode="SAT_SYM")'
            )


def _layer_at(model: Any, path: Path) -> Any:
    """The layer of a path of names through nested models."""
    for name in path:
        model = next(layer for layer in model.layers if layer.name == name)
    return model


def _weights(layer: Any, path: Path, names: tuple[str, ...]) -> dict[str, FloatArray]:
    """The weights of a layer by the names that its handler knows."""
    stored = [_variable_name(variable) for variable in layer.weights]
    if not stored:
        raise UnsupportedModel(
            f"the layer {quoted('/'.join(path))} has no weights yet; build the model: begin it with an Input, or call "
            "it on data once"
        )
    arrays = layer.get_weights()
    chosen = assigned(path[-1:], names, stored)
    return {name: np.asarray(arrays[number], dtype=np.float64) for name, number in chosen.items()}


def _variable_name(variable: Any) -> str:
    """`dense/kernel`: the path in Keras 3, the name without the output number in Keras 2."""
    path = variable.path if hasattr(variable, "path") else variable.name
    return str(path).removesuffix(":0")


def _digest(text: str, model: Any) -> str:
    """Of the weights of all layers: a handler may look at any."""
    found = hashlib.sha256(text.encode())
    for array in map(np.asarray, model.get_weights()):
        found.update(f"{array.dtype} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
