"""A graph on disk: `graph.txt` and `tensors.npz` in a folder. Read without pickle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from kbuild.fixed import FixedType
from kbuild.ir.graph import Graph
from kbuild.ir.op import Op
from kbuild.ir.tensor import Tensor
from kbuild.ir.text import parse, tensors, to_text


def save(graph: Graph, folder: Path) -> None:
    """Write the graph into an existing folder; bytes depend on the graph only."""
    (folder / "graph.txt").write_text(to_text(graph, inline=0), encoding="utf-8")
    arrays = {}
    for digest, tensor in sorted(tensors(graph).items()):
        # integers beyond int64 are stored as decimal digits: an object array would need pickle
        data = tensor.data if tensor.data.dtype != object else tensor.data.astype(str)
        arrays[f"{digest}|{tensor.type or 'float'}"] = data
    with (folder / "tensors.npz").open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # numpy's stub mistakes **arrays for allow_pickle


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
