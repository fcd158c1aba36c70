"""The template files that are copied as they are."""

from __future__ import annotations

from collections.abc import Iterable

from kbuild.emit.hls.design import Step
from kbuild.resources import resource

TYPE_HEADERS = ("ap_fixed.h", "ap_int.h", "kfixed.h", "kfixed_cast.h", "kfixed_ops.h", "kfixed_store.h")
_SHARED = ("broadcast.h", "integer.h", "table.h")  # included by kernels


def text_of(*parts: str) -> str:
    """A file under `backends/`."""
    return resource("backends", *parts).read_text(encoding="utf-8")


def kernel_files(steps: Iterable[Step]) -> list[str]:
    """The kernel templates that the steps need, and what those include."""
    return sorted({*(step.header for step in steps), *_SHARED})
