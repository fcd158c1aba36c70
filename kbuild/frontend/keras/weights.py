"""The weights of a model from the HDF5 layouts of Keras.

- by name (`model.save("x.h5")`, `save_weights` of Keras 2): a group for each layer, whose attribute `weight_names`
  lists datasets such as `fc1/kernel:0`; the group of a nested model holds those of all its layers;
- by number (`.weights.h5`, also inside `.keras`): `layers/dense_1/vars/0`, where a layer is called by its class in
  snake case, counted within its model from `dense`, `dense_1`; nested models have a `layers` of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from kbuild.dataclass import replace
from kbuild.errors import UnsupportedModel
from kbuild.fixed import FloatArray
from kbuild.frontend.keras.config import Config
from kbuild.frontend.keras.handler import ALL
from kbuild.frontend.keras.hdf5 import Folder
from kbuild.frontend.keras.layers import handler_of
from kbuild.frontend.keras.part_names import by_number
from kbuild.frontend.keras.safety import MAX_NESTING, quoted
from kbuild.frontend.keras.spec import LayerSpec, ModelSpec

_SHOWN = 8
_NUMBERED, _NUMBERED_BEFORE_2_15 = "layers", "_layer_checkpoint_dependencies"


def with_weights(model: ModelSpec, root: Folder) -> ModelSpec:
    """The model with the weights of every layer that has some. Raises UnsupportedModel, naming the layers."""
    wanted = list(wanted_weights(model))
    stored = root.folder("model_weights") or root
    if stored.texts("layer_names") is not None:
        found = _by_name(wanted, stored)
    elif _NUMBERED in root or _NUMBERED_BEFORE_2_15 in root:
        found = _by_number(model, root, ())
    elif not wanted:
        found = {}
    else:
        raise UnsupportedModel("it holds no weights in a layout of Keras; save them with model.save_weights")
    missing = [path for path, _ in wanted if path not in found]
    if missing:
        raise UnsupportedModel(_missing(missing, len(wanted), stored.texts("layer_names")))
    return _filled(model, (), found)


def filled(model: ModelSpec, found: Found) -> ModelSpec:
    """The model with weights that were found elsewhere. Raises UnsupportedModel, naming the layers without."""
    wanted = list(wanted_weights(model))
    missing = [path for path, _ in wanted if path not in found]
    if missing:
        raise UnsupportedModel(_missing(missing, len(wanted), None))
    return _filled(model, (), found)


def wanted_weights(model: ModelSpec) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Layers with weights, and the names of these in Keras' order."""
    return _wanted(model, ())


def assigned(path: Path, names: tuple[str, ...], stored: list[str]) -> dict[str, int]:
    """Which of the weights of a layer each name means, where none but its own are stored. Raises UnsupportedModel.

    They are called as in the files by name, `fc1/kernel` or `kernel`; those of alike parts may be called the same.
    """
    if len(stored) != len(names):
        raise UnsupportedModel(_count(path, names, len(stored)))
    # by order, too, since two that nobody reads may be called the same
    in_order = [name.rpartition("/")[2] for name in stored] == list(names)
    if in_order or _parts(path, names, stored) is not None:
        return {name: number for number, name in enumerate(names)}
    chosen = {name: _choose(path, name, stored) for name in names}
    if None in chosen.values():
        raise UnsupportedModel(_count(path, names, len(stored)))
    return {name: stored.index(own) for name, own in chosen.items() if own is not None}


Path = tuple[str, ...]  # names of the models that a layer is nested in, then its own
Found = dict[Path, dict[str, FloatArray]]


def _wanted(model: ModelSpec, above: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Layers with weights, and the names of these in Keras' order."""
    for layer in model.layers:
        path = (*above, layer.name)
        if layer.model is not None:
            yield from _wanted(layer.model, path)
        elif names := _names(layer):
            yield path, names


def _names(layer: LayerSpec) -> tuple[str, ...]:
    handler = handler_of(layer.class_name, layer.keras)
    return () if handler is None else handler.weights(Config(layer.name, layer.class_name, layer.config, layer.keras))


def _filled(model: ModelSpec, above: Path, found: Found) -> ModelSpec:
    layers = []
    for layer in model.layers:
        path = (*above, layer.name)
        if layer.model is not None:
            layers.append(replace(layer, model=_filled(layer.model, path, found)))
        else:
            layers.append(replace(layer, weights=found.get(path, {})))
    return replace(model, layers=tuple(layers))


def _missing(paths: list[Path], total: int, stored: list[str] | None) -> str:
    shown = ", ".join(quoted("/".join(path)) for path in paths[:_SHOWN])
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    text = f"it has no weights for {len(paths)} of {total} layers: {shown}{more}"
    if stored is None:
        return f"{text}; are these the weights of this model?"
    inside = ", ".join(quoted(name) for name in stored[:_SHOWN]) + (" ..." if len(stored) > _SHOWN else "")
    return f"{text}; it holds {inside or 'no layers'}. Are these the weights of this model?"


# By name


def _by_name(wanted: list[tuple[Path, tuple[str, ...]]], root: Folder) -> Found:
    found: Found = {}
    groups: dict[str, list[tuple[Path, tuple[str, ...]]]] = {}
    for path, names in wanted:
        groups.setdefault(path[0], []).append((path, names))
    for group, layers in groups.items():
        folder = root.folder(group)
        stored = (folder.texts("weight_names") if folder is not None else None) or []
        if folder is None or not stored:
            continue
        if any(names == ALL for _, names in layers):
            found[layers[0][0]] = _all_by_name(layers, folder, stored)
            continue
        expected = [name for _, names in layers for name in names]
        if len(stored) != len(expected):
            raise UnsupportedModel(_count((group,), expected, len(stored)))
        for path, names in layers:
            chosen = _parts(path, names, stored) or {name: _choose(path, name, stored) for name in names}
            arrays = {name: folder.array(dataset) for name, dataset in chosen.items() if dataset is not None}
            if len(arrays) == len(names) and all(array is not None for array in arrays.values()):
                found[path] = {name: array for name, array in arrays.items() if array is not None}
    return found


def _all_by_name(
    layers: list[tuple[Path, tuple[str, ...]]], folder: Folder, stored: list[str]
) -> dict[str, FloatArray]:
    """Every variable of the only layer of a group, by path and number."""
    (path, _), *others = layers
    chosen = by_number(path[-1], stored) if not others else None
    arrays = {name: folder.array(dataset) for name, dataset in (chosen or {}).items()}
    if not arrays or any(array is None for array in arrays.values()):
        raise UnsupportedModel(
            f"the weights of the layer {quoted('/'.join(path))} are in parts that have no names here; "
            "save the model as .keras"
        )
    return {name: array for name, array in arrays.items() if array is not None}


def _count(path: Path, names: Sequence[str], stored: int) -> str:
    return (
        f"the layer {quoted('/'.join(path))} has {stored} weights in the file and {len(names)} in the model "
        f"({', '.join(names)}); are these the weights of this model?"
    )


def _parts(path: Path, names: tuple[str, ...], stored: list[str]) -> dict[str, str | None] | None:
    """The datasets of a layer whose weights are those of its parts; None where it has none of its own name.

    Parts that are alike differ in their path only, which depends on the names of the inner layers: it is the order that
    counts, which is Keras' order of weights in every version.
    """
    if not any("/" in name for name in names):
        return None
    own = [dataset for dataset in stored if len(path) == 1 or path[-1] in dataset.split("/")]
    kinds = [name.rpartition("/")[2] for name in names]
    if [dataset.removesuffix(":0").rpartition("/")[2] for dataset in own] != kinds:
        raise UnsupportedModel(
            f"the layer {quoted('/'.join(path))} has the weights {', '.join(map(quoted, own)) or 'of nothing'} in the "
            f"file and {', '.join(kinds)} in the model; are these the weights of this model?"
        )
    return dict(zip(names, own, strict=True))


_UNNAMED = re.compile(r"variable(_\d+)?")


def _choose(path: Path, name: str, stored: list[str]) -> str | None:
    """The dataset that holds the weight `name` of the layer: that whose name ends most like the layer's path."""
    wanted = [*path, name]
    best: list[str] = []
    longest = 0
    for dataset in stored:
        parts = dataset.removesuffix(":0").split("/")
        if name == "depthwise_kernel" and parts[-1] == "kernel":  # Keras 3's name in DepthwiseConv layers
            parts[-1] = name
        if name == "gamma" and _UNNAMED.fullmatch(parts[-1]):  # Keras 3's LayerScale gives it no name
            parts[-1] = name
        common = 0
        while common < min(len(parts), len(wanted)) and parts[-1 - common] == wanted[-1 - common]:
            common += 1
        # in the group of a nested model the layer's name must be right too, where it is given (not before Keras 3.1)
        least = 1 if len(path) == 1 or len(parts) == 1 else 2
        if common >= max(least, longest):
            best = [*best, dataset] if common == longest else [dataset]
            longest = common
    if len(best) > 1:
        raise UnsupportedModel(f"the weight {quoted('/'.join(wanted))} is there twice: {', '.join(map(quoted, best))}")
    return best[0] if best else None


# By number


_OTHER_NAMES = {"GroupQueryAttention": "GroupedQueryAttention"}  # classes that are called otherwise when saved


def snake_case(class_name: str) -> str:
    """How Keras spells a class in the paths of weights."""
    name = re.sub(r"\W+", "", _OTHER_NAMES.get(class_name, class_name))
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _by_number(model: ModelSpec, root: Folder, above: Path) -> Found:
    found: Found = {}
    for layer, folder in _numbered(model, root):
        path = (*above, layer.name)
        if layer.model is not None:
            inner = folder.folder("layer") if layer.class_name == "TimeDistributed" else folder
            found |= {} if inner is None else _by_number(layer.model, inner, path)
        elif names := _names(layer):
            arrays = _variables(path, names, folder)
            if arrays is not None:
                found[path] = arrays
    return found


def _numbered(model: ModelSpec, root: Folder) -> Iterator[tuple[LayerSpec, Folder]]:
    """The layers that have a group, with it. Before Keras 2.15 a layer with weights counted twice."""
    layers, step = root.folder(_NUMBERED), 1
    if layers is None:
        layers, step = root.folder(_NUMBERED_BEFORE_2_15), 2
    if layers is None:
        return
    used: dict[str, int] = {}
    for layer in model.layers:
        stem = snake_case(layer.class_name.rpartition(">")[2])
        number = used.get(stem, 0)
        has_weights = any(_wanted(replace(model, layers=(layer,)), ()))
        used[stem] = number + (step if has_weights else 1)
        folder = layers.folder(f"{stem}_{number}" if number else stem)
        if folder is not None:
            yield layer, folder


def _tree(path: Path, folder: Folder, depth: int) -> dict[str, FloatArray]:
    """Every variable of a layer and of its parts, by their paths: `0`, `iq/quantizer/1`."""
    if depth > MAX_NESTING:
        raise UnsupportedModel(f"the weights of the layer {quoted('/'.join(path))} are nested too deep")
    found: dict[str, FloatArray] = {}
    for part in folder.names():
        inner = folder.folder(part)
        if inner is None:
            continue
        if part == "vars":
            arrays = {name: inner.array(name) for name in inner.names() if name.isdecimal()}
            found |= {name: array for name, array in arrays.items() if array is not None}
        else:
            found |= {f"{part}/{name}": array for name, array in _tree(path, inner, depth + 1).items()}
    return found


def _variables(path: Path, names: tuple[str, ...], folder: Folder) -> dict[str, FloatArray] | None:
    """The weights of a layer, each by number in the `vars` of the part that owns it."""
    if names == ALL:
        return _tree(path, folder, 0)
    parts: dict[str, list[str]] = {}
    for name in names:
        parts.setdefault(name.rpartition("/")[0], []).append(name)
    found: dict[str, FloatArray] = {}
    for part, own in parts.items():
        owner = (folder.folder(part) or folder.folder(f"_{part}")) if part else folder
        arrays = None if owner is None else _numbered_variables(path, tuple(own), owner, bool(part))
        if arrays is None:
            return None
        found |= arrays
    return found


def _numbered_variables(path: Path, names: tuple[str, ...], folder: Folder, part: bool) -> dict[str, FloatArray] | None:
    variables = folder.folder("vars")
    if variables is None:
        return None
    owner = variables.text("name")
    if owner is not None and owner != path[-1] and not part:
        raise UnsupportedModel(
            f"the weights of the layer {quoted('/'.join(path))} are those of a layer {quoted(owner)}; "
            "are these the weights of this model?"
        )
    there = variables.names()
    stored = [name for name in there if name.isdecimal()]
    numbered = list(names)
    if stored and len(stored) != len(names):  # a layer may save some of its variables by their names itself
        numbered = [name for name in names if name not in there]
    if stored and len(stored) != len(numbered):
        raise UnsupportedModel(_count(path, names, len(stored)))
    arrays = {name: variables.array(str(numbered.index(name)) if name in numbered else name) for name in names}
    present = {name: array for name, array in arrays.items() if array is not None}
    return present if len(present) == len(names) else None
