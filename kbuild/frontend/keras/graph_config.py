"""Sequential and Functional configurations of Keras 2.0 to 3 → `ModelSpec`, without weights.

Functional configurations list for each layer its `inbound_nodes`, one entry for each call, which `calls.py` reads.
Calls of a nested model are counted from 1 in Keras 2 (a model is born with a call of its own), from 0 in Keras 3; yet
in Keras 3's `output_layers` those of a nested Functional are counted from 1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from kbuild.dataclass import dataclass, replace
from kbuild.errors import UnsupportedModel
from kbuild.frontend.keras.calls import RawCall, Reference, read_call, references
from kbuild.frontend.keras.functions import translated
from kbuild.frontend.keras.safety import MAX_LAYERS, MAX_NESTING, quoted
from kbuild.frontend.keras.spec import Call, LayerSpec, ModelSpec, TensorRef

FUNCTIONAL = ("Functional", "Model")
MODELS = (*FUNCTIONAL, "Sequential")
_KERAS_PACKAGES = (
    "keras",
    "tf_keras",
    "tensorflow",
    "tensorflow.keras",
    "tf.keras",
    "tensorflow.python.keras",
    "builtins",
)
# Their classes have names of their own.
_KNOWN_PACKAGES = ("qkeras", "HGQ", "hls4ml", "caloGraphNN", "caloGraphNN_keras")
_SHAPE_KEYS = ("batch_shape", "batch_input_shape")


def read_config(config: object) -> ModelSpec:
    """The model of a parsed configuration: what `model.to_json()` and `model_config` hold. Raises UnsupportedModel."""
    if not isinstance(config, dict) or "class_name" not in config or "config" not in config:
        raise UnsupportedModel('the configuration has no "class_name" and "config"; it is not a Keras model')
    class_name = class_of(config)
    if class_name not in MODELS:
        raise UnsupportedModel(
            f"the model is of the class {quoted(class_name)}, whose structure is code and not in the file; "
            "save it as a Sequential or Functional model"
        )
    return _saved_by(_keras_major(config), _model(class_name, config["config"], 0))


def _keras_major(config: Mapping[str, object]) -> int:
    """The version that wrote a configuration: its own word, else Keras 2 where shapes have that version's key."""
    version = config.get("keras_version")
    if isinstance(version, str) and version:
        return 2 if re.match(r"[0-2]\.", version) else 3
    waiting: list[object] = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if "batch_input_shape" in value:
                return 2
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return 3


def _saved_by(keras: int, model: ModelSpec) -> ModelSpec:
    layers = [
        replace(layer, keras=keras, model=None if layer.model is None else _saved_by(keras, layer.model))
        for layer in model.layers
    ]
    return replace(model, layers=tuple(layers))


def class_of(entry: Mapping[str, object]) -> str:
    """The class of a serialized object: without package where it is Keras' own, else `package>Class`."""
    name = entry.get("class_name")
    if not isinstance(name, str):
        raise UnsupportedModel(f"a layer has the class name {quoted(name)}, which is not a string")
    package, _, short = name.rpartition(">")
    if _is_operation(entry):
        return f"ops.{short}"
    registered, module = entry.get("registered_name"), entry.get("module")
    if not package and isinstance(registered, str) and ">" in registered:
        package = registered.rpartition(">")[0]
    if not package and isinstance(module, str):
        package = module
    if package and not _is_keras(package) and package.split(".")[0] not in _KNOWN_PACKAGES:
        return f"{package}>{short}"
    return short


def _is_operation(entry: Mapping[str, object]) -> bool:
    """Whether this is a function of `keras.ops` rather than a layer, which may have the same class name.

    Where the module is not written, it shows in the configuration: every layer has `dtype`, or `trainable`, or both.
    """
    module, config, nodes = entry.get("module"), entry.get("config"), entry.get("inbound_nodes")
    if isinstance(module, str):
        return _is_keras(module) and "ops" in module.split(".")
    called = isinstance(nodes, list) and any(isinstance(node, dict) and "args" in node for node in nodes)
    return called and isinstance(config, dict) and not config.keys() & {"trainable", "dtype"}


def _is_keras(package: str) -> bool:
    return any(package == known or package.startswith(known + ".") for known in _KERAS_PACKAGES)


def _model(class_name: str, config: object, depth: int) -> ModelSpec:
    if depth > MAX_NESTING:
        raise UnsupportedModel(f"models are nested more than {MAX_NESTING} levels deep")
    if class_name == "Sequential":
        return _sequential(config, depth)
    return _functional(config, depth)


def _layer_list(entries: object, model: str) -> list[dict[str, object]]:
    """The entries of a model's layers, checked to be objects with a class."""
    if not isinstance(entries, list) or not entries:
        raise UnsupportedModel(f"the model {quoted(model)} has no layers")
    if len(entries) > MAX_LAYERS:
        raise UnsupportedModel(f"the model {quoted(model)} has {len(entries)} layers; kbuild reads up to {MAX_LAYERS}")
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("config"), dict | list):
            raise UnsupportedModel(f"a layer of the model {quoted(model)} is not an object with class_name and config")
    return entries


def _layer(entry: Mapping[str, object], calls: tuple[Call, ...], depth: int) -> LayerSpec:
    class_name, config = class_of(entry), entry["config"]
    own = config.get("name") if isinstance(config, dict) else None
    name = entry.get("name", own)
    if not isinstance(name, str) or not name:
        raise UnsupportedModel(f"a layer of class {quoted(class_name)} has no name")
    inner = _model(class_name, config, depth + 1) if class_name in MODELS else _wrapped_model(class_name, config, depth)
    return LayerSpec(name, class_name, config if isinstance(config, dict) else {}, calls, model=inner)


def _wrapped_model(class_name: str, config: object, depth: int) -> ModelSpec | None:
    """The model that a TimeDistributed applies to each step, if it is one."""
    wrapped = config.get("layer") if class_name == "TimeDistributed" and isinstance(config, dict) else None
    if not isinstance(wrapped, dict) or class_of(wrapped) not in MODELS:
        return None
    return _model(class_of(wrapped), wrapped.get("config"), depth + 1)


def _check_names(layers: tuple[LayerSpec, ...], model: str) -> None:
    seen: set[str] = set()
    for layer in layers:
        if layer.name in seen:
            raise UnsupportedModel(f"two layers of the model {quoted(model)} are called {quoted(layer.name)}")
        seen.add(layer.name)


# Sequential


def _sequential(config: object, depth: int) -> ModelSpec:
    """A chain. Before Keras 2.2 the configuration is the bare list of layers."""
    fields: Mapping[str, object] = config if isinstance(config, dict) else {"layers": config}
    name = str(fields.get("name", "sequential"))
    entries = _layer_list(fields.get("layers"), name)
    layers = [_layer(entry, (), depth) for entry in entries]
    if layers[0].class_name != "InputLayer":
        shape = _input_shape(layers[0])
        shape = fields.get("build_input_shape") if shape is None else shape
        layers.insert(0, LayerSpec(f"{layers[0].name}_input", "InputLayer", {"batch_shape": shape}))
    first = layers[0]
    chained = [first]
    for layer in layers[1:]:
        chained.append(replace(layer, calls=(Call((TensorRef(chained[-1].name),)),)))
    _check_names(tuple(chained), name)
    return ModelSpec(name, tuple(chained), (first.name,), (TensorRef(chained[-1].name),))


def _input_shape(layer: LayerSpec) -> object:
    """The shape with the batch axis that a first layer was given; None where it was not."""
    if layer.class_name in MODELS and layer.model is not None:
        inputs = [inner for inner in layer.model.layers if inner.name == layer.model.inputs[0]]
        return _input_shape(inputs[0]) if inputs else None
    for key in _SHAPE_KEYS:
        if layer.config.get(key) is not None:
            return layer.config[key]
    shape = layer.config.get("input_shape")
    return [None, *shape] if isinstance(shape, list) else None


# Functional


def _functional(config: object, depth: int) -> ModelSpec:
    if not isinstance(config, dict):
        raise UnsupportedModel("the configuration of a Functional model is not an object")
    name = str(config.get("name", "model"))
    entries = _layer_list(config.get("layers"), name)
    nodes: list[list[RawCall]] = []
    keras3 = False
    layers: list[LayerSpec] = []
    for entry in entries:
        layer = _layer(entry, (), depth)
        inbound = entry.get("inbound_nodes", [])
        if not isinstance(inbound, list):
            raise UnsupportedModel(f"the inbound_nodes of the layer {quoted(layer.name)} are not a list")
        keras3 = keras3 or any(isinstance(node, dict) and "args" in node for node in inbound)
        calls = [read_call(node, layer.name, layer.class_name) for node in inbound]
        layer, calls = translated(layer, calls)
        layers.append(layer)
        nodes.append(calls)
    _check_names(tuple(layers), name)
    inputs = [ref.layer for ref in references(config.get("input_layers"), f"the inputs of the model {quoted(name)}")]
    outputs = references(config.get("output_layers"), f"the outputs of the model {quoted(name)}")
    counts = {layer.name: max(len(calls), 1) for layer, calls in zip(layers, nodes, strict=True)}
    resolve = _Resolver({layer.name: layer for layer in layers}, counts, keras3)
    inbound_bases = resolve.bases([ref for calls in nodes for node in calls for ref in node.inputs], outputs=False)
    built = [
        replace(
            layer,
            calls=tuple(
                Call(tuple(resolve(ref, inbound_bases, layer.name) for ref in node.inputs), node.arguments)
                for node in calls
            ),
        )
        for layer, calls in zip(layers, nodes, strict=True)
    ]
    output_bases = resolve.bases(outputs, outputs=True)
    where = f"outputs of the model {name}"
    found = tuple(resolve(ref, output_bases, where) for ref in outputs)
    return ModelSpec(name, _used(built, found), _inputs(inputs, built, name), found)


def _used(layers: list[LayerSpec], outputs: tuple[TensorRef, ...]) -> tuple[LayerSpec, ...]:
    """The layers without functions that no output reads: Keras 3 saves those that compute masks."""
    by_name = {layer.name: layer for layer in layers}
    waiting = [ref.layer for ref in outputs]
    reached = set(waiting)
    while waiting:
        sources = {ref.layer for call in by_name[waiting.pop()].calls for ref in call.inputs} - reached
        reached |= sources
        waiting += sources
    return tuple(layer for layer in layers if layer.name in reached or not layer.class_name.startswith("ops."))


def _inputs(names: list[str], layers: list[LayerSpec], model: str) -> tuple[str, ...]:
    classes = {layer.name: layer.class_name for layer in layers}
    if not names:
        raise UnsupportedModel(f"the model {quoted(model)} has no input_layers")
    for name in names:
        if classes.get(name) != "InputLayer":
            raise UnsupportedModel(f"the input {quoted(name)} of the model {quoted(model)} is not an InputLayer of it")
    if len(set(names)) < len(names):
        raise UnsupportedModel(f"the model {quoted(model)} names an input twice")
    return tuple(names)


@dataclass(frozen=True)
class _Resolver:
    """Turns the file's references into `TensorRef`s, whose calls are counted from 0."""

    layers: Mapping[str, LayerSpec]
    counts: Mapping[str, int]
    keras3: bool

    def bases(self, references: list[Reference], outputs: bool) -> dict[str, int]:
        """The number of the first call of each nested model that is referred to."""
        used: dict[str, set[int]] = {}
        for ref in references:
            layer = self.layers.get(ref.layer)
            if layer is not None and layer.class_name in MODELS:
                used.setdefault(ref.layer, set()).add(ref.call)
        found = {}
        for name, calls in used.items():
            base = int(not self.keras3 or (outputs and self.layers[name].class_name in FUNCTIONAL))
            in_range = all(base <= call < base + self.counts[name] for call in calls)
            found[name] = base if in_range else 1 - base
        return found

    def __call__(self, ref: Reference, bases: Mapping[str, int], reader: str) -> TensorRef:
        if ref.layer not in self.layers:
            raise UnsupportedModel(f"{quoted(reader)} reads {quoted(ref.layer)}, which is not a layer of the model")
        layer = self.layers[ref.layer]
        call = ref.call - bases.get(ref.layer, 0)
        tensors = 1 if layer.model is None else len(layer.model.outputs)
        if not 0 <= call < self.counts[ref.layer] or ref.index < 0 or (layer.model and ref.index >= tensors):
            raise UnsupportedModel(
                f"{quoted(reader)} reads output {ref.index} of call {ref.call} of {quoted(ref.layer)}, "
                "which the model does not have"
            )
        return TensorRef(ref.layer, call, ref.index)
