"""The emulator's kernels for tests, compiled once in a run: for this processor, and for the least one of its kind."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import pytest

from kbuild.dataclass import replace
from kbuild.engines.kernels import OPTIONS, build
from kbuild.ops.native.kernels import Kernels
from kbuild.tools import cxx
from kbuild.tools.process import locate

KINDS = ("native", "portable")
needs_compiler = pytest.mark.skipif(locate(cxx.CXX) is None, reason="no C++ compiler here")


@cache
def compiled(kind: str) -> Kernels:
    options = OPTIONS if kind == "native" else replace(OPTIONS, native=False)
    with tempfile.TemporaryDirectory(prefix="kbuild-") as folder:
        return Kernels(build(Path(folder), options))
