"""Every kind of case, and the cases by their names: `<layer>/keras<2|3>/<seed>`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from conformance.layers import (
    activation,
    attention,
    convolution,
    core,
    merging,
    models,
    normalization,
    operators,
    recurrent,
    refused,
    reshaping,
)

FAMILIES = {
    "core": core,
    "activation": activation,
    "convolution and pooling": convolution,
    "normalization": normalization,
    "recurrent and wrappers": recurrent,
    "merge and products": merging,
    "reshape": reshaping,
    "attention": attention,
    "models": models,
    "keras.ops": operators,
    "refused": refused,
}
HEAVY = {"network": 4, "Conv2D": 2, "Conv1D": 2, "LSTM": 2, "GRU": 2, "network, channels_first": 2}  # cases more


@dataclass(frozen=True)
class CaseId:
    """A case: the layer it is about, the major version of Keras, the seed."""

    layer: str
    major: int
    seed: int

    def __str__(self) -> str:
        return f"{self.layer}/keras{self.major}/{self.seed}"

    @classmethod
    def parse(cls, text: str) -> CaseId:
        """The case of a name. Raises ValueError."""
        layer, keras, seed = text.rsplit("/", 2)
        if keras not in ("keras2", "keras3") or layer not in generators(int(keras[-1])):
            raise ValueError(f"no case is called {text}")
        return cls(layer, int(keras[-1]), int(seed))


def generators(major: int) -> dict[str, Callable[..., object]]:
    """Generators by layer for a version of Keras."""
    found: dict[str, Callable[..., object]] = {}
    for module in FAMILIES.values():
        for name in ("CASES", f"KERAS{major}_CASES"):
            found |= getattr(module, name, {})
    return found


def family_of(layer: str) -> str:
    """The family of a layer of either version."""
    tables = ("CASES", "KERAS2_CASES", "KERAS3_CASES")
    return next(family for family, module in FAMILIES.items() for t in tables if layer in getattr(module, t, {}))


def all_layers() -> list[str]:
    """Every layer of either version, by family."""
    known = {**generators(3), **generators(2)}
    return sorted(known, key=lambda layer: list(FAMILIES).index(family_of(layer)))


def draw(count: int, seed: int) -> Iterator[CaseId]:
    """`count` cases spread over all layers and both versions; another seed gives others."""
    kinds = [(layer, major) for major in (3, 2) for layer in generators(major) for _ in range(HEAVY.get(layer, 1))]
    kinds.sort(key=lambda kind: hash_of(kind, seed))
    for number in range(count):
        layer, major = kinds[number % len(kinds)]
        yield CaseId(layer, major, seed * 1_000_000 + number)


def hash_of(kind: tuple[str, int], seed: int) -> str:
    """A number for a shuffled order that does not depend on the machine."""
    import hashlib

    return hashlib.sha256(f"{kind} {seed}".encode()).hexdigest()
