"""A Keras model as data, the same for every file format and for live models: what `build` turns into a graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kbuild.fixed import FloatArray


@dataclass(frozen=True)
class TensorRef:
    """Output `index` of the call number `call` of the layer `layer` of the same model."""

    layer: str
    call: int = 0
    index: int = 0


@dataclass(frozen=True)
class Call:
    """One use of a layer: the tensors it reads, and every other argument as it stands in the file."""

    inputs: tuple[TensorRef, ...]
    arguments: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class LayerSpec:
    """A layer. `class_name` has no package; a class that is not Keras' own is `package>Class`.

    weights: float64 arrays by Keras' names (`kernel`, `bias`, ...), behind the path of a part that owns them, as in
    `cell/kernel`; model: the inner model of a nested one; keras: the major version that saved it.
    """

    name: str
    class_name: str
    config: Mapping[str, object]
    calls: tuple[Call, ...] = ()
    weights: Mapping[str, FloatArray] = field(default_factory=dict)
    model: ModelSpec | None = None
    keras: int = 3


@dataclass(frozen=True)
class ModelSpec:
    """A model: layers in the file's order; `inputs` are names of InputLayers and `outputs` tensors, in its order."""

    name: str
    layers: tuple[LayerSpec, ...]
    inputs: tuple[str, ...]
    outputs: tuple[TensorRef, ...]
