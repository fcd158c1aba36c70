"""Arrays that users give (inputs, predictions, labels), and the random inputs used when they give none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from kbuild.dataclass import dataclass, field_names
from kbuild.errors import RecipeError
from kbuild.fixed import FloatArray, IntArray
from kbuild.ir import Graph, Node

RANDOM_SAMPLES = 1000
FEWEST_SAMPLES = 32
_WORK = 5e8  # multiplications that the random samples of a large model may take
_BEYOND = 1e300


@dataclass(frozen=True)
class Source:
    """A file and the recipe's key that names it, for messages: `recipe.yml:4:12: InputData`."""

    path: Path
    key: str

    def wrong(self, what: str) -> RecipeError:
        """The error for something that is wrong with the file."""
        return RecipeError(f"{self.key}: {self.path.name} {what}")


def load_values(source: Source, ports: Sequence[Node], what: str) -> dict[str, FloatArray]:
    """The arrays of a file by node name, each of shape (samples, *node.shape).

    `.npy` holds one array; `.npz` one for each port, by the layer's name, else in order; any other file is text, one
    sample a line, the values of all ports one after the other. `what` is "input" or "output", for messages.
    Raises RecipeError for a file that is not that.
    """
    suffix = source.path.suffix.lower()
    if suffix == ".npz":
        arrays = _of_npz(source, ports, what)
    elif suffix == ".npy":
        if len(ports) != 1:
            raise source.wrong(f"holds one array, the model has {len(ports)} {what}s; give a .npz with one array each")
        arrays = {ports[0].name: _load_npy(source)}
    else:
        arrays = _of_text(source, ports, what)
    found = {node.name: _shaped(source, arrays[node.name], node, what) for node in ports}
    if len({len(array) for array in found.values()}) > 1:
        counts = ", ".join(f"{node.layer.name} {len(found[node.name])}" for node in ports)
        raise source.wrong(f"has different numbers of samples: {counts}")
    return found


def load_labels(source: Source, samples: int, classes: int) -> IntArray:
    """True classes, one a sample; one-hot rows are accepted. Raises RecipeError."""
    if source.path.suffix.lower() == ".npz":
        arrays = list(_load_npz(source).values())
        if len(arrays) != 1:
            raise source.wrong(f"holds {len(arrays)} arrays; give one with the true classes")
        labels = arrays[0]
    else:
        labels = _load_npy(source) if source.path.suffix.lower() == ".npy" else _load_text(source)
    if labels.ndim == 2 and labels.shape[1] == classes > 1:
        labels = np.argmax(labels, axis=1)
    labels = labels.reshape(len(labels), -1)
    if labels.shape != (samples, 1):
        raise source.wrong(f"has labels of shape {labels.shape}; {samples} samples were given, one label each")
    flat = np.asarray(labels[:, 0], dtype=np.float64)
    if not np.array_equal(flat, np.floor(flat)) or flat.min(initial=0) < 0 or flat.max(initial=0) >= classes:
        raise source.wrong(f"has labels that are not classes 0 to {classes - 1}")
    return flat.astype(np.int64)


def random_values(graph: Graph, ranges: Mapping[str, tuple[float, float]], seed: int = 1) -> dict[str, FloatArray]:
    """Uniform samples inside each input's range: the one in `ranges` (by layer name, or "" for every input), else that
    of its type, or of each element's where the model normalizes it, or the rows that it is an index of. Fewer samples
    for a model with many weights."""
    from kbuild.passes.normalized import bounds_within
    from kbuild.passes.ranges import rows_read

    rng = np.random.default_rng(seed)
    samples = _sample_count(graph)
    found = {}
    for node in graph.inputs:
        span, rows = ranges.get(node.layer.name) or ranges.get(""), rows_read(graph, node)
        low, high = span or bounds_within(graph, node, node.fixed())
        if span is None and rows is not None:
            found[node.name] = np.floor(rng.uniform(0, rows, (samples, *node.shape)))
        else:
            found[node.name] = rng.uniform(low, high, (samples, *node.shape))
    return found


def _sample_count(graph: Graph) -> int:
    from kbuild.ir import Tensor

    constants = 1
    for node in graph.everywhere():
        for name in field_names(node.op):
            value = vars(node.op)[name]
            constants += value.data.size if isinstance(value, Tensor) else 0
    return int(min(max(_WORK // constants, FEWEST_SAMPLES), RANDOM_SAMPLES))


def _shaped(source: Source, array: FloatArray, node: Node, what: str) -> FloatArray:
    wanted = int(np.prod(node.shape))
    if array.ndim == 0 or len(array) == 0 or array.size != wanted * len(array):
        shape = ", ".join(["samples", *map(str, node.shape)])
        raise source.wrong(f"has shape {array.shape} for the {what} {node.layer.name}; it should be ({shape})")
    if not np.isfinite(array).all() or np.abs(array).max() > _BEYOND:
        bad = int(np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(axis=1))[:1].sum())
        raise source.wrong(f"holds NaN or infinity for the {what} {node.layer.name}, first in sample {bad}")
    return array.reshape(len(array), *node.shape)


def _of_npz(source: Source, ports: Sequence[Node], what: str) -> dict[str, FloatArray]:
    arrays = _load_npz(source)
    by_name = {node.layer.name: node.name for node in ports}
    if set(by_name) <= set(arrays):
        return {name: arrays[layer] for layer, name in by_name.items()}
    if len(arrays) != len(ports):
        raise source.wrong(
            f"holds the arrays {', '.join(arrays) or '(none)'}; the model's {what}s are {', '.join(by_name)}"
        )
    return {node.name: array for node, array in zip(ports, arrays.values(), strict=True)}


def _of_text(source: Source, ports: Sequence[Node], what: str) -> dict[str, FloatArray]:
    table = _load_text(source)
    sizes = [int(np.prod(node.shape)) for node in ports]
    if table.shape[1] != sum(sizes):
        raise source.wrong(f"has {table.shape[1]} values a line; the {what}s have {sum(sizes)} a sample")
    parts = np.split(table, np.cumsum(sizes)[:-1], axis=1)
    return {node.name: part for node, part in zip(ports, parts, strict=True)}


def _load_npy(source: Source) -> FloatArray:
    try:
        return _numeric(source, np.load(source.path, allow_pickle=False))
    except (OSError, ValueError, EOFError, MemoryError) as error:
        raise source.wrong(f"is not a readable .npy file ({_first_line(error)})") from error


def _load_npz(source: Source) -> dict[str, FloatArray]:
    import zipfile

    try:
        with np.load(source.path, allow_pickle=False) as arrays:
            return {name: _numeric(source, arrays[name]) for name in arrays.files}
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile, TypeError, AttributeError) as error:
        if isinstance(error, RecipeError):
            raise
        raise source.wrong(f"is not a readable .npz file ({_first_line(error)})") from error


def _numeric(source: Source, array: object) -> FloatArray:
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        raise source.wrong("does not hold numbers")
    return array.astype(np.float64)


def _load_text(source: Source) -> FloatArray:
    rows: list[list[float]] = []
    try:
        with source.path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                words = line.replace(",", " ").split()
                if not words:
                    continue
                rows.append([float(word) for word in words])
                if len(rows[-1]) != len(rows[0]):
                    raise source.wrong(f"line {number} has {len(rows[-1])} values, the first has {len(rows[0])}")
    except UnicodeDecodeError as error:
        raise source.wrong("is neither .npy, .npz nor text") from error
    except ValueError as error:
        if isinstance(error, RecipeError):
            raise
        raise source.wrong(f"line {len(rows) + 1}: {_first_line(error)}; one sample a line is expected") from error
    except OSError as error:
        raise source.wrong(f"cannot be read ({error.strerror})") from error
    if not rows:
        raise source.wrong("is empty")
    return np.array(rows, dtype=np.float64)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
