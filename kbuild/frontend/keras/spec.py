"""A Keras model as data, the same for every file format and for live models: what `build` turns into a graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kbuild.dataclass import dataclass, field
from kbuild.fixed import FloatArray

if TYPE_CHECKING:
    from kbuild.ops.logic import Logic


@dataclass(frozen=True)
class TensorRef:
    """Output `index` of the call number `call` of the layer `layer` of the same model."""

    layer: str
    call: int = 0
    index: int = 0


@dataclass(frozen=True)
class Slot:
    """A tensor among the arguments of a function: `Call.inputs[index]`."""

    index: int


@dataclass(frozen=True)
class Call:
    """One use of a layer: the tensors it reads, and its other arguments as they stand in the file.

    A function (`ops.<name>`) has all of its arguments there, positional ones by number from "1", tensors as `Slot`s.
    """

    inputs: tuple[TensorRef, ...]
    arguments: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class LayerSpec:
    """A layer. `class_name` has no package; a class that is not Keras' own is `package>Class`.

    weights: float64 arrays by Keras' names (`kernel`, `bias`, ...), behind the path of a part that owns them, as in
    `cell/kernel`; model: the inner model of a nested one, or of a TimeDistributed around one; keras: the major version
    that saved it; live: the layer object of a model in memory; logic: what it was traced into, having no handler.
    """

    name: str
    class_name: str
    config: Mapping[str, object]
    calls: tuple[Call, ...] = ()
    weights: Mapping[str, FloatArray] = field(default_factory=dict)
    model: ModelSpec | None = None
    keras: int = 3
    live: object = field(default=None, compare=False, repr=False)
    logic: Logic | None = None


@dataclass(frozen=True)
class ModelSpec:
    """A model: layers in the file's order; `inputs` are names of InputLayers and `outputs` tensors, in its order."""

    name: str
    layers: tuple[LayerSpec, ...]
    inputs: tuple[str, ...]
    outputs: tuple[TensorRef, ...]
