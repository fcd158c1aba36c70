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
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kbuild.dataclass import dataclass, replace
from kbuild.errors import RecipeError, UnsupportedModel
from kbuild.fixed import FloatArray
from kbuild.frontend.keras.build import build_graph
from kbuild.frontend.keras.graph_config import read_config
from kbuild.frontend.keras.handler import ALL
from kbuild.frontend.keras.hdf5 import opened
from kbuild.frontend.keras.layers import handler_of
from kbuild.frontend.keras.problems import check_supported
from kbuild.frontend.keras.safety import parse_json, quoted
from kbuild.frontend.keras.spec import LayerSpec, ModelSpec
from kbuild.frontend.keras.weights import Path, assigned, filled, wanted_weights, with_weights
from kbuild.ir import Graph, Tensor

_PACKAGES = ("keras", "tf_keras", "tensorflow")
_BATCH = 256
_UNSAID = ("HDenseBatchNorm", "HConv1DBatchNorm", "HConv2DBatchNorm", "HBatchNormalization")


@dataclass(frozen=True)
class LiveModel:
    """A model as it was when it was read: later training does not change it."""

    spec: ModelSpec
    digest: str  # a name for its structure and all of its weights
    model: Any
    notes: tuple[str, ...] = ()  # what was done to read it that a user should know

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


def read_live(model: Any, allow_da_fallback: bool = True) -> LiveModel:
    """The model as data, with the weights that it has now; one that is read already is returned as it is.

    allow_da_fallback: layers without a handler are traced by da4ml, where it knows them. Raises RecipeError for what
    is no Keras model, UnsupportedModel for one that cannot become hardware.
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
    notes: tuple[str, ...] = ()
    if allow_da_fallback:
        spec, notes = _with_logic(spec, model)
    check_supported(spec)
    spec = _with_unsaid(spec, model)
    wanted = list(wanted_weights(spec))
    if any(names == ALL for _, names in wanted):
        _check_stated(model)
        spec = _as_saved(spec, model)
    else:
        spec = filled(spec, {path: _weights(_layer_at(model, path), path, names) for path, names in wanted})
    return LiveModel(_attached(spec, model), _digest(text, model, spec), model, notes)


def _with_logic(spec: ModelSpec, model: Any) -> tuple[ModelSpec, tuple[str, ...]]:
    """The spec in which layers without a handler are traced, and a note on each."""
    layers: list[LayerSpec] = []
    notes: list[str] = []
    own = {layer.name: layer for layer in model.layers}
    for layer in spec.layers:
        live = own.get(layer.name)
        if layer.model is not None and is_model(live):
            inner, more = _with_logic(layer.model, live)
            layer, notes = replace(layer, model=inner), [*notes, *more]
        elif live is not None and handler_of(layer.class_name, layer.keras) is None:
            from kbuild.frontend.keras.traced import described, traced  # few models need it

            logic = traced(live, layer)
            if logic is not None:
                layer = replace(layer, logic=logic)
                notes.append(described(logic, layer))
        layers.append(layer)
    return replace(spec, layers=tuple(layers)), tuple(notes)


def _with_unsaid(spec: ModelSpec, model: Any) -> ModelSpec:
    """The spec with the settings of HGQ's normalizing layers, which these leave out of their configurations."""
    own = {layer.name: layer for layer in model.layers}
    layers = []
    for layer in spec.layers:
        live = own.get(layer.name)
        if layer.model is not None and is_model(live):
            layer = replace(layer, model=_with_unsaid(layer.model, live))
        elif layer.class_name in _UNSAID and live is not None:
            settings = {"epsilon": float(live.epsilon), "center": bool(live.center), "scale": bool(live.scale)}
            layer = replace(layer, config={**layer.config, **settings})
        layers.append(layer)
    return replace(spec, layers=tuple(layers))


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
        config = vars(layer).get("config")
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


def _digest(text: str, model: Any, spec: ModelSpec) -> str:
    """Of the weights of all layers, at any of which a handler may look, of settings asked for, and of traces."""
    found = hashlib.sha256(text.encode())
    for settings in _unsaid(spec):
        found.update(settings.encode())
    for array in map(np.asarray, model.get_weights()):
        found.update(f"{array.dtype} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    for tensor in _traced(spec):
        found.update(tensor.digest.encode())
    return found.hexdigest()


def _unsaid(spec: ModelSpec) -> Iterator[str]:
    for layer in spec.layers:
        if layer.model is not None:
            yield from _unsaid(layer.model)
        elif layer.class_name in _UNSAID:
            yield str([layer.config.get(key) for key in ("epsilon", "center", "scale")])


def _traced(spec: ModelSpec) -> Iterator[Tensor]:
    for layer in spec.layers:
        if layer.model is not None:
            yield from _traced(layer.model)
        elif layer.logic is not None:
            yield from (value for value in vars(layer.logic).values() if isinstance(value, Tensor))
