"""Every kind of case, and the cases by their names: `<layer>/<library>/<seed>`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from conformance.layers import (
    activation,
    applications,
    attention,
    convolution,
    core,
    graphs,
    merging,
    models,
    normalization,
    operators,
    recurrent,
    refused,
    reshaping,
)
from conformance.quantized import binary, hgq, hgq2, qkeras

FAMILIES = {
    "core": core,
    "activation": activation,
    "convolution and pooling": convolution,
    "normalization": normalization,
    "recurrent and wrappers": recurrent,
    "merge and products": merging,
    "reshape": reshaping,
    "attention": attention,
    "graph networks": graphs,
    "models": models,
    "keras.applications": applications,
    "keras.ops": operators,
    "QKeras": qkeras,
    "HGQ": hgq,
    "HGQ2": hgq2,
    "binary and ternary": binary,
    "refused": refused,
}
KERAS = ("keras3", "keras2")  # compared in floats, and within bounds in fixed point
QUANTIZED = ("qkeras", "qkeras3", "hgq", "hgq2")  # compared as integers, by equality
LIBRARIES = (*KERAS, *QUANTIZED)
HEAVY = {"network": 4, "Conv2D": 2, "Conv1D": 2, "LSTM": 2, "GRU": 2, "network, channels_first": 2}  # cases more


@dataclass(frozen=True)
class CaseId:
    """A case: the layer it is about, the library that answers it (one of LIBRARIES), the seed."""

    layer: str
    answered_by: str
    seed: int

    def __str__(self) -> str:
        return f"{self.layer}/{self.answered_by}/{self.seed}"

    @classmethod
    def parse(cls, text: str) -> CaseId:
        """The case of a name. Raises ValueError."""
        layer, library, seed = text.rsplit("/", 2)
        if library not in LIBRARIES or layer not in generators(library):
            raise ValueError(f"no case is called {text}")
        return cls(layer, library, int(seed))


def generators(library: str) -> dict[str, Callable[..., object]]:
    """Generators by layer for a library."""
    found: dict[str, Callable[..., object]] = {}
    for module in FAMILIES.values():
        for name in _tables(library):
            found |= getattr(module, name, {})
    return found


def _tables(library: str) -> tuple[str, ...]:
    own = "QKERAS_CASES" if library == "qkeras3" else f"{library.upper()}_CASES"
    return ("CASES", own) if library in KERAS else (own,)


def family_of(layer: str) -> str:
    """The family of a layer of any library."""
    tables = {table for library in LIBRARIES for table in _tables(library)}
    return next(family for family, module in FAMILIES.items() for t in tables if layer in getattr(module, t, {}))


def all_layers() -> list[str]:
    """Every layer of every library, by family."""
    known = {name: None for library in LIBRARIES for name in generators(library)}
    return sorted(known, key=lambda layer: list(FAMILIES).index(family_of(layer)))


def draw(count: int, seed: int, libraries: Sequence[str] = KERAS) -> Iterator[CaseId]:
    """`count` cases spread over all layers of the libraries; another seed gives others."""
    kinds = [(layer, library) for library in libraries for layer in generators(library)
             for _ in range(HEAVY.get(layer, 1))]  # fmt: skip
    kinds.sort(key=lambda kind: hash_of(kind, seed))
    for number in range(count):
        layer, library = kinds[number % len(kinds)]
        yield CaseId(layer, library, seed * 1_000_000 + number)


def hash_of(kind: tuple[str, str], seed: int) -> str:
    """A number for a shuffled order that does not depend on the machine."""
    import hashlib

    return hashlib.sha256(f"{kind} {seed}".encode()).hexdigest()
