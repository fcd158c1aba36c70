"""Damaged copies of valid files: each reads as a graph or is refused, and nothing else is ever raised."""

import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kbuild.errors import UnsupportedModel
from kbuild.frontend.keras import read_model
from kbuild.ir import Graph

DATA = Path(__file__).parent / "data"
ROUNDS = 300


def survives(read: Callable[[], Graph]) -> bool:
    """Whether it was read; False where it was refused with a sentence."""
    try:
        read()
    except UnsupportedModel as error:
        assert str(error)
        return False
    return True


def damaged(content: bytes, rng: random.Random) -> bytes:
    """A copy with some bytes flipped, or cut off, or overwritten by a piece of itself."""
    kind = rng.random()
    if kind < 0.2:
        return content[: rng.randrange(len(content))]
    result = bytearray(content)
    if kind < 0.35:
        size = rng.randrange(1, 64)
        source, to = rng.randrange(len(content) - size), rng.randrange(len(content) - size)
        result[to : to + size] = content[source : source + size]
    else:
        for _ in range(rng.randrange(1, 8)):
            result[rng.randrange(len(result))] ^= 1 << rng.randrange(8)
    return bytes(result)


@pytest.mark.parametrize("name", ["keras2_sequential.h5", "keras3_sequential.h5", "keras3_shared.keras"])
def test_damaged_files(tmp_path: Path, name: str) -> None:
    rng = random.Random(name)
    content = (DATA / name).read_bytes()
    path = tmp_path / name
    read = 0
    for _ in range(ROUNDS):
        path.write_bytes(damaged(content, rng))
        if name.endswith(".h5"):
            read += survives(lambda: read_model(None, path, None, "fuzz"))
        else:
            read += survives(lambda: read_model(None, None, path, "fuzz"))
    assert 0 < read < ROUNDS


_VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2, 3, 10**30, 1.5, float("nan"), float("inf"), "", "x", "relu", "softmax", "Dense",
    "Add", "Sequential", "Functional", "InputLayer", "BatchNormalization", [], [None], [1], [[]], [["x", 0, 0]],
    ["a", 0, 0], {}, {"class_name": "Dense"}, {"class_name": "ReLU", "config": {}},
    {"class_name": "__keras_tensor__", "config": {}},
    {"class_name": "__tuple__", "items": [1]}, {"args": [], "kwargs": {}},
]  # fmt: skip


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a JSON value."""
    found = []
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        found += [(value, key), *places(value[key])]
    return found


def mutate(config: Any, rng: random.Random) -> None:
    """Change, delete or move some values in place."""
    for _ in range(rng.randrange(1, 4)):
        all_places = places(config)
        container, key = rng.choice(all_places)
        kind = rng.random()
        if kind < 0.6:
            container[key] = json.loads(json.dumps(rng.choice(_VALUES)))
        elif kind < 0.8:
            del container[key]
        else:
            other, source = rng.choice(all_places)
            container[key] = json.loads(json.dumps(other[source]))


_MUTATED = [
    f"keras{major}_{name}"
    for major in (2, 3)
    for name in ("two_in_two_out", "activations", "nested", "merges", "relu", "deferred")
]


@pytest.mark.parametrize("name", _MUTATED)
def test_mutated_configurations(tmp_path: Path, name: str) -> None:
    rng = random.Random(name)
    text = (DATA / f"{name}.json").read_text()
    path = tmp_path / "model.json"
    read = 0
    for _ in range(ROUNDS):
        config = json.loads(text)
        mutate(config["config"], rng)
        path.write_text(json.dumps(config))
        read += survives(lambda: read_model(path, DATA / f"{name}.weights.h5", None, "fuzz"))
    assert 0 < read < ROUNDS


def test_mutated_batch_normalization(tmp_path: Path) -> None:
    rng = random.Random(1)
    with zipfile.ZipFile(DATA / "keras3_batch_norm.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    path = tmp_path / "model.keras"
    read = 0
    for _ in range(ROUNDS):
        config = json.loads(members["config.json"])
        mutate(config["config"], rng)
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, json.dumps(config) if name == "config.json" else content)
        read += survives(lambda: read_model(None, None, path, "fuzz"))
    assert 0 < read < ROUNDS


@pytest.mark.parametrize("name", ["qkeras_activation_1", "qkeras_dense_1", "qkeras_convolution_1", "hgq2_0"])
def test_mutated_quantized_models(tmp_path: Path, name: str) -> None:
    rng = random.Random(name)
    with zipfile.ZipFile(DATA / f"{name}.keras") as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    path = tmp_path / "model.keras"
    read = 0
    for _ in range(ROUNDS // 8):
        config = json.loads(members["config.json"])
        mutate(config["config"], rng)
        with zipfile.ZipFile(path, "w") as archive:
            for member, content in members.items():
                archive.writestr(member, json.dumps(config) if member == "config.json" else content)
        read += survives(lambda: read_model(None, None, path, "fuzz"))
    assert 0 < read < ROUNDS // 8
