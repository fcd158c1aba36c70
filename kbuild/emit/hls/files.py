"""The template files that are copied as they are."""

from __future__ import annotations

import re
from collections.abc import Iterable

from kbuild.emit.hls.design import Step
from kbuild.resources import resource

_INCLUDE = re.compile(r'^#include "([a-z_]+\.h)"$', re.MULTILINE)
_ALWAYS = ("integer.h",)  # the testbench includes it


def text_of(*parts: str) -> str:
    """A file under `backends/`."""
    return resource("backends", *parts).read_text(encoding="utf-8")


def kernel_files(steps: Iterable[Step]) -> list[str]:
    """The kernel templates that the steps need, and what those include."""
    found: set[str] = set()
    wanted = {*(step.header for step in steps), *_ALWAYS}
    while wanted:
        found |= wanted
        wanted = {name for file in wanted for name in _INCLUDE.findall(text_of("hls", file))} - found
    return sorted(found)


def type_headers() -> list[str]:
    """kbuild's own headers behind the `ap_` names."""
    folder = resource("backends", "fixed")
    return sorted(file.name for pattern in ("ap_*.h", "kfixed*.h") for file in folder.glob(pattern))
