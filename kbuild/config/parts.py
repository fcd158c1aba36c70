"""FPGA parts by name: family, backends, Yosys command, and what is on the chip. The data is `backends/parts.yml`."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from kbuild.config.schema import default_of
from kbuild.config.suggestions import nearest
from kbuild.dataclass import dataclass
from kbuild.resources import resource


@dataclass(frozen=True)
class Resources:
    """What a part has: 4- or 6-input look-up tables, flip-flops, DSP blocks, block RAMs of the native size."""

    lut: int
    ff: int
    dsp: int
    bram: int


@dataclass(frozen=True)
class Part:
    """An FPGA part.

    `device` is the part without package and speed grade where it is known by name, else the empty string;
    `synth` the Yosys command with its family options, empty where Yosys has none; `available` None where unknown.
    """

    name: str
    family: str
    device: str
    backends: tuple[str, ...]
    synth: tuple[str, ...]
    available: Resources | None


@cache
def find_part(name: str) -> Part:
    """The part called `name`. Raises `ValueError` with a sentence (and the nearest known name) if there is none."""
    for family, data in _families().items():
        if re.fullmatch(data["pattern"], name, re.IGNORECASE):
            device = _device(name, data["devices"])
            counts = data["devices"].get(device)
            return Part(
                name=name,
                family=family,
                device=device,
                backends=tuple(data["backends"]),
                synth=tuple(data.get("synth", ())),
                available=Resources(**counts) if counts else None,
            )
    raise ValueError(f'"{name}" is no known part; ' + _remedy(name))


def part_problem(name: str, backend: str) -> str | None:
    """Why a backend cannot target a part, as a sentence; None when it can."""
    try:
        part = find_part(name)
    except ValueError as error:
        return str(error)
    if backend in part.backends:
        return None
    usable = " or ".join(part.backends)
    example = default_of("Part", backend)
    return f"{backend} cannot target {name}; write a part such as {example}, or a backend that can: {usable}"


def _remedy(name: str) -> str:
    match = nearest(name, known_parts())
    return (
        f"did you mean {match}?"
        if match
        else "known are for example " + ", ".join(str(data["example"]) for data in _families().values())
    )


def known_parts(backend: str | None = None) -> list[str]:
    """Part and device names to suggest, all or those of one backend."""
    names = []
    for data in _families().values():
        if backend is None or backend in data["backends"]:
            names += [data["example"], *(device for device in data["devices"] if device != data["example"])]
    return names


@cache
def _families() -> dict[str, Any]:
    import yaml

    loader: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
    text = resource("backends", "parts.yml").read_text(encoding="utf-8")
    families: dict[str, Any] = yaml.load(text, Loader=loader)["families"]
    return families


def _device(name: str, devices: dict[str, Any]) -> str:
    folded = _fold(name)
    matches = [device for device in devices if folded.startswith(_fold(device))]
    return max(matches, key=len, default="")


def _fold(name: str) -> str:
    return name.casefold().replace("-", "")
