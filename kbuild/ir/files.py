"""A graph on disk: `graph.txt`, its tensors as `tensors/<digest>.npy` and their types. Read without pickle."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from kbuild.fixed import FixedType
from kbuild.ir.graph import Graph
from kbuild.ir.op import Op
from kbuild.ir.tensor import Tensor
from kbuild.ir.text import parse, tensors, to_text

_GRAPH = "graph.txt"
_TENSORS = "tensors"
_TYPES = "tensors/types.json"


def save(graph: Graph, folder: Path) -> dict[str, str]:
    """Write the graph into an existing folder; bytes depend on the graph only.

    Returns the SHA-256 of each tensor's file by its relative path: of a large model nothing is hashed twice.
    """
    found = dict(sorted(tensors(graph).items()))
    (folder / _TENSORS).mkdir()
    for digest, tensor in found.items():
        with open(folder / _file(digest), "wb") as file:
            for part in tensor.stored():
                file.write(part)
    types = {digest: str(tensor.type or "float") for digest, tensor in found.items()}
    (folder / _TYPES).write_text(json.dumps(types, indent=0), encoding="utf-8")
    (folder / _GRAPH).write_text(to_text(graph, inline=0), encoding="utf-8")
    return {_file(digest): tensor.file_digest for digest, tensor in found.items()}


def load(folder: Path, op_class: Callable[[str], type[Op]]) -> Graph:
    """Read what `save` wrote."""
    known = {}
    for digest, spelled in json.loads((folder / _TYPES).read_text(encoding="utf-8")).items():
        data = np.load(folder / _file(digest), allow_pickle=False)
        if data.dtype.kind == "U":  # integers beyond int64
            data = np.array([int(v) for v in data.ravel().tolist()], dtype=object).reshape(data.shape)
        known[digest] = Tensor(data, None if spelled == "float" else FixedType.parse(spelled))
    return parse((folder / _GRAPH).read_text(encoding="utf-8"), known, op_class)


def _file(digest: str) -> str:
    return f"{_TENSORS}/{digest}.npy"
