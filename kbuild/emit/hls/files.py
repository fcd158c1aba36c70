"""The template files that are copied as they are."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from functools import cache

from kbuild.emit.hls.design import Step, everywhere
from kbuild.errors import UnsupportedModel
from kbuild.resources import resource

_INCLUDE = re.compile(r'^#include "([a-z0-9_./]+)"$', re.MULTILINE)


@cache
def text_of(*parts: str) -> str:
    """A file under `backends/`."""
    return resource("backends", *parts).read_text(encoding="utf-8")


def kernel_texts(steps: Iterable[Step], further: Iterable[str] = ()) -> dict[str, str]:
    """The headers of the steps, further files of `backends/hls` and all that they include, by path below it.

    Raises UnsupportedModel where an operation that is not kbuild's own has two different kernels of one name.
    """
    found: dict[str, str] = {}
    for step in everywhere(steps):
        text = text_of("hls", *step.header.split("/")) if step.source is None else step.source
        if found.setdefault(step.header, text) != text:
            kind = step.header.removeprefix("custom/").removesuffix(".h")
            raise UnsupportedModel(f"the operation {kind} has several kernels; their source may depend on no field")
    found |= {name: text_of("hls", *name.split("/")) for name in further}
    wanted = dict(found)
    while wanted:
        included = {posixpath.normpath(posixpath.join(posixpath.dirname(file), name))
                    for file, text in wanted.items() for name in _INCLUDE.findall(text)} - set(found)  # fmt: skip
        wanted = {name: text_of("hls", *name.split("/")) for name in included}
        found |= wanted
    return dict(sorted(found.items()))


def type_headers() -> list[str]:
    """kbuild's own headers behind the names of the vendor's."""
    folder = resource("backends", "fixed")
    return sorted(file.name for pattern in ("ap_*.h", "hls_*.h", "kfixed*.h") for file in folder.glob(pattern))
