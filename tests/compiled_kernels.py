"""The emulator's kernels for tests, compiled once in a run: for this processor, and for the least one of its kind.

`AVX2` is the kind between them, where this processor has it.
"""

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
_CPU = Path("/proc/cpuinfo")
AVX2 = ("avx2",) if _CPU.exists() and " avx2 " in _CPU.read_text(encoding="utf-8") else ()
needs_compiler = pytest.mark.skipif(locate(cxx.CXX) is None, reason="no C++ compiler here")


@cache
def compiled(kind: str) -> Kernels:
    options = OPTIONS if kind == "native" else replace(OPTIONS, native=False)
    if kind in AVX2:
        options = replace(options, flags=(*options.flags, "-mavx2"))
    with tempfile.TemporaryDirectory(prefix="kbuild-") as folder:
        return Kernels(build(Path(folder), options))
