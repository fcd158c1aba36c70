"""The library of the emulator's kernels: what names it, and what the compiler says of it."""

from pathlib import Path

import pytest
from compiled_kernels import needs_compiler

from kbuild.dataclass import replace
from kbuild.engines import kernels
from kbuild.ops.native.kernels import Kernels


def test_named_by_the_compiler_and_the_source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The compiler's identity has the processor in it, for which alone the library is compiled."""
    assert "-march=native" in kernels.OPTIONS.arguments() or "-mcpu=native" in kernels.OPTIONS.arguments()
    first = kernels.fingerprint("g++ 12")
    assert kernels.fingerprint("g++ 12") == first != kernels.fingerprint("g++ 13")
    other = tmp_path / "kernels.cpp"
    other.write_text("")
    monkeypatch.setattr(kernels, "resource", lambda *parts: other)
    assert kernels.fingerprint("g++ 12") != first


@needs_compiler
def test_no_warning(tmp_path: Path) -> None:
    options = replace(kernels.OPTIONS, optimise="-O0", flags=(*kernels.OPTIONS.flags, "-Wall", "-Wextra", "-Werror"))
    Kernels(kernels.build(tmp_path, options))
