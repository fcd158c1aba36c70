"""The documented refusals: `refusals.yml` has a pattern for the message of each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

FILE = Path(__file__).parent / "refusals.yml"


@dataclass(frozen=True)
class Refusal:
    """reason: as it is shown; pattern: found in the message; why: what cannot be, and what to do instead."""

    reason: str
    pattern: re.Pattern[str]
    why: str


@cache
def refusals() -> tuple[Refusal, ...]:
    """All of them in the order of the file."""
    entries = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return tuple(Refusal(e["reason"], re.compile(e["pattern"]), e["why"]) for e in entries)


def reason_of(message: str) -> str | None:
    """The reason of a message of which every line is documented; the first one's. None where one is not."""
    lines = [line for line in message.splitlines() if not re.search(r"cannot become hardware:$", line)]
    found = [next((r.reason for r in refusals() if r.pattern.search(line)), None) for line in lines]
    return None if None in found or not found else found[0]
