"""Arrays as Keras takes and returns them ↔ arrays by node name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kbuild.config.suggestions import listing
from kbuild.dataclass import dataclass
from kbuild.errors import RecipeError
from kbuild.fixed import FloatArray
from kbuild.ir import Graph, Node

_LARGEST = 1e300  # as for data files


@dataclass(frozen=True)
class Samples:
    """Inputs by node name, samples first; `single`: they were given without the axis of samples."""

    values: Mapping[str, FloatArray]
    single: bool


def samples_of(graph: Graph, x: Any) -> Samples:
    """The inputs of a model, from what `model.predict` takes: an array, or a list or mapping of arrays.

    Each has the shape (samples, *shape of the input), or for one sample the shape of the input alone; a mapping is by
    the names of the input layers. Any real numbers do. Raises RecipeError for anything else, NaN and infinity included.
    """
    arrays = _by_input(graph, x)
    found = {node.name: _shaped(node, arrays[node.name]) for node in graph.inputs}
    if len({single for _, single in found.values()}) > 1:
        raise RecipeError("some of the inputs have an axis of samples and some have none")
    counts = {node.layer.name: len(found[node.name][0]) for node in graph.inputs}
    if len(set(counts.values())) > 1:
        text = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise RecipeError(f"the inputs have different numbers of samples: {text}")
    return Samples({name: values for name, (values, _) in found.items()}, next(iter(found.values()))[1])


def as_keras(graph: Graph, values: Mapping[str, FloatArray], single: bool) -> Any:
    """The outputs as `model.predict` returns them: an array, or a list of them where the model has several outputs."""
    outputs = [values[name][0] if single else values[name] for name in graph.outputs]
    return outputs[0] if len(outputs) == 1 else outputs


def _by_input(graph: Graph, x: Any) -> dict[str, Any]:
    names = [node.layer.name for node in graph.inputs]
    if isinstance(x, Mapping):
        missing, unknown = [n for n in names if n not in x], [str(n) for n in x if n not in names]
        if missing or unknown:
            what = f"no input is called {listing(unknown)}" if unknown else f"the input {listing(missing)} is missing"
            raise RecipeError(f"{what}; the inputs of the model are {listing(names)}")
        return {node.name: x[node.layer.name] for node in graph.inputs}
    if len(names) == 1 and not (isinstance(x, (list, tuple)) and len(x) == 1 and np.ndim(x[0]) > 0):
        return {graph.inputs[0].name: x}
    if not isinstance(x, (list, tuple)) or len(x) != len(names):
        given = f"{len(x)} arrays" if isinstance(x, (list, tuple)) else "one array"
        raise RecipeError(f"{given} given; the model has {len(names)} inputs, {listing(names)}: give a list of arrays")
    return {node.name: array for node, array in zip(graph.inputs, x, strict=True)}


def _shaped(node: Node, given: Any) -> tuple[FloatArray, bool]:
    """The values with their axis of samples, and whether it was missing."""
    name = node.layer.name
    try:
        array = np.asarray(given)
    except (TypeError, ValueError) as error:
        raise RecipeError(f"the input {name} is no array of numbers ({error})") from error
    if array.dtype.kind not in "biuf":
        try:  # bfloat16 and the like
            array = array.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise RecipeError(f"the input {name} holds {array.dtype} values; give real numbers") from error
    single = array.shape == node.shape
    if single:
        array = array[np.newaxis]
    elif node.shape == (1,) and array.ndim == 1:  # as Keras does
        array = array[:, np.newaxis]
    if array.ndim == 0 or array.shape[1:] != node.shape or not len(array):
        wanted = ", ".join(["samples", *map(str, node.shape)])
        raise RecipeError(f"the input {name} has shape {np.shape(given)}; it takes ({wanted})")
    return _finite(name, array.astype(np.float64, copy=False)), single


def _finite(name: str, values: FloatArray) -> FloatArray:
    bad = ~(np.abs(values).reshape(len(values), -1).max(axis=1) <= _LARGEST)
    if bad.any():
        raise RecipeError(f"the input {name} holds NaN or infinity, first in sample {int(np.flatnonzero(bad)[0])}")
    return values
