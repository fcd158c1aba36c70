"""The template files that are copied as they are."""

from __future__ import annotations

from collections.abc import Iterable

from kbuild.emit.hls.design import Step
from kbuild.resources import resource

_SHARED = ("broadcast.h", "divide.h", "integer.h", "products.h", "table.h", "window.h")  # included by kernels


def text_of(*parts: str) -> str:
    """A file under `backends/`."""
    return resource("backends", *parts).read_text(encoding="utf-8")


def kernel_files(steps: Iterable[Step]) -> list[str]:
    """The kernel templates that the steps need, and what those include."""
    return sorted({*(step.header for step in steps), *_SHARED})


def type_headers() -> list[str]:
    """kbuild's own headers behind the `ap_` names."""
    folder = resource("backends", "fixed")
    return sorted(file.name for pattern in ("ap_*.h", "kfixed*.h") for file in folder.glob(pattern))
