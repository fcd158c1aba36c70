"""A graph on disk: `graph.txt` and `tensors.npz` in a folder. Read without pickle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kbuild.fixed import FixedType, bits_of
from kbuild.ir.graph import Graph
from kbuild.ir.op import Op
from kbuild.ir.tensor import Tensor
from kbuild.ir.text import parse, tensors, to_text


def save(graph: Graph, folder: Path) -> None:
    """Write the graph into an existing folder; bytes depend on the graph only."""
    (folder / "graph.txt").write_text(to_text(graph, inline=0), encoding="utf-8")
    arrays = {}
    for digest, tensor in sorted(tensors(graph).items()):
        arrays[f"{digest}|{tensor.type or 'float'}"] = _narrow(tensor)
    with (folder / "tensors.npz").open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # numpy's stub mistakes **arrays for allow_pickle


def _narrow(tensor: Tensor) -> NDArray[Any]:
    """The values in the smallest array that holds them exactly: a large model spends its time on files."""
    data = tensor.data
    if data.dtype == object:  # integers beyond int64 are stored as decimal digits: an object array would need pickle
        return data.astype(str)
    if tensor.type is not None:
        bits = bits_of(data) + 1
        return data.astype(next(t for t in (np.int8, np.int16, np.int32, np.int64) if bits <= np.iinfo(t).bits))
    single = data.astype(np.float32)
    return single if np.array_equal(single, data) else data


def load(folder: Path, op_class: Callable[[str], type[Op]]) -> Graph:
    """Read what `save` wrote."""
    known = {}
    with np.load(folder / "tensors.npz", allow_pickle=False) as arrays:
        for name in arrays.files:
            digest, _, spelled = name.partition("|")
            data = arrays[name]
            if data.dtype.kind == "U":
                data = np.array([int(v) for v in data.ravel().tolist()], dtype=object).reshape(data.shape)
            known[digest] = Tensor(data, None if spelled == "float" else FixedType.parse(spelled))
    return parse((folder / "graph.txt").read_text(encoding="utf-8"), known, op_class)
