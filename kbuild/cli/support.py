"""What is supported, layer by layer: the facts of the last conformance run, and what the backends declare today.

`backends/layers.json` says for each layer how many random models were right or refused, and which `operations` they
need: all of them together, and the `least` sets of them with which a model was made. A backend prints a layer when it
prints all operations, and a part of its configurations when it prints one of the least sets.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from kbuild.config.backends import Backend, all_backends
from kbuild.dataclass import dataclass
from kbuild.flow.engines import engines_of
from kbuild.frontend.keras import supported_layers
from kbuild.resources import resource

YES, PARTLY, NO = "yes", "partly", "no"
IO_TYPES = ("io_parallel", "io_stream")


@dataclass(frozen=True)
class Facts:
    """What the conformance run found of a layer. refused: how many models by reason; operations and least: above."""

    name: str
    family: str
    right: int
    failed: int
    refused: Mapping[str, int]
    operations: frozenset[str]
    least: tuple[frozenset[str], ...]

    @property
    def emulated(self) -> str:
        """Whether its models are read, and right on the emulator."""
        if not self.right:
            return NO
        return PARTLY if self.refused or self.failed else YES

    def printed(self, backend: Backend, io_type: str) -> str:
        """Whether a backend prints it with an io type."""
        missing = self.missing(backend, io_type)
        if self.emulated == NO or all(kinds & set(missing) for kinds in self.least):
            return NO
        return PARTLY if missing else self.emulated

    def missing(self, backend: Backend, io_type: str) -> list[str]:
        """The operations that some of its configurations need and the backend does not print."""
        return sorted(kind for kind in self.operations if not backend.supports(kind, io_type))


@dataclass(frozen=True)
class Run:
    """The conformance run: its seed, its number of models, the facts by layer, and what each refusal means."""

    seed: int
    cases: int
    layers: Mapping[str, Facts]
    refusals: Mapping[str, str]


@cache
def recorded() -> Run:
    """The run that is kept with the backends."""
    data: dict[str, Any] = json.loads(resource("backends", "layers.json").read_text(encoding="utf-8"))
    layers = {
        name: Facts(
            name, entry["family"], entry["right"], entry["failed"], entry["refused"],
            frozenset(entry["operations"]), tuple(map(frozenset, entry["least"])),
        )
        for name, entry in data["layers"].items()
    }  # fmt: skip
    return Run(data["seed"], data["cases"], layers, data["refusals"])


@dataclass(frozen=True)
class Target:
    """A column: an engine that runs what a backend prints with an io type."""

    backend: Backend
    io_type: str
    engines: Sequence[str]

    @property
    def title(self) -> str:
        """Such as `Vitis stream`."""
        return f"{self.backend.name} {self.io_type.removeprefix('io_')}"


def targets() -> list[Target]:
    """Every backend with each io type that it has."""
    return [
        Target(backend, io_type, [name for name in engines_of(backend.name) if name != "emulate"])
        for backend in all_backends().values()
        for io_type in IO_TYPES
        if io_type in backend.io_types
    ]


def note(facts: Facts) -> str:
    """What is supported of the layer, or why it is not."""
    told = [_note_of(facts.name)] if facts.right else []
    told += [f"not {_lower(reason)}" if facts.right else recorded().refusals[reason] for reason in facts.refused]
    told += [f"{facts.failed} of its models wrong"] if facts.failed else []
    return "; ".join(part for part in told if part)


def _lower(reason: str) -> str:
    return reason[0].lower() + reason[1:] if reason[1:2].islower() else reason


@cache
def _handled() -> Mapping[str, tuple[str, str]]:
    """Class and note of every handler by its name in the facts."""
    return {_key(name): (name, support.note) for name, support in supported_layers().items()}


def _key(name: str) -> str:
    return name.removeprefix("activation ").replace("_", "").lower()


_KINDS = {
    "activation": "by name, as a layer or fused into another",
    "quantizer": "of values",
    "kernel": "of weights",
    "FixedPointQuantizer": "a type for each element",
    "proxy": "as HGQ's to_proxy_model writes it",
}


def _note_of(name: str) -> str:
    kind, _, rest = name.partition(" ")
    if rest and kind in _KINDS:
        return _KINDS[kind]
    return _handled()[_key(name)][1] if _key(name) in _handled() else ""


def others() -> list[str]:
    """Classes that are read without facts of their own: other names of layers, and those that no random model has."""
    known = {_key(name) for name in recorded().layers}
    return [name for key, (name, _) in _handled().items() if key not in known]


def documents() -> Iterator[dict[str, Any]]:
    """The rows for machines."""
    for facts in recorded().layers.values():
        support: dict[str, Any] = {"emulate": {io_type: facts.emulated for io_type in IO_TYPES}}
        for target in targets():
            answer = {"support": facts.printed(target.backend, target.io_type)}
            missing = facts.missing(target.backend, target.io_type)
            for engine in target.engines:
                cell = {**answer, **({"missing": missing} if missing else {})}
                support.setdefault(engine, {}).setdefault(target.backend.name, {})[target.io_type] = cell
        yield {
            "class": facts.name, "family": facts.family, "note": note(facts), "support": support,
            "models": {"right": facts.right, "failed": facts.failed, "refused": dict(facts.refused)},
        }  # fmt: skip
    for name in others():
        yield {"class": name, "family": supported_layers()[name].family, "note": supported_layers()[name].note}
