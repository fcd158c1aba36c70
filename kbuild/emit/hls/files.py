"""The template files that are copied as they are."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from functools import cache

from kbuild.resources import resource

_INCLUDE = re.compile(r'^#include "([a-z0-9_./]+)"$', re.MULTILINE)


@cache
def text_of(*parts: str) -> str:
    """A file under `backends/`."""
    return resource("backends", *parts).read_text(encoding="utf-8")


def kernel_files(headers: Iterable[str]) -> list[str]:
    """These files of `backends/hls` and all that they include from there, as paths below it."""
    found: set[str] = set()
    wanted = set(headers)
    while wanted:
        found |= wanted
        included = {posixpath.normpath(posixpath.join(posixpath.dirname(file), name))
                    for file in wanted for name in _INCLUDE.findall(text_of("hls", *file.split("/")))}  # fmt: skip
        wanted = included - found
    return sorted(found)


def type_headers() -> list[str]:
    """kbuild's own headers behind the names of the vendor's."""
    folder = resource("backends", "fixed")
    return sorted(file.name for pattern in ("ap_*.h", "hls_*.h", "kfixed*.h") for file in folder.glob(pattern))
