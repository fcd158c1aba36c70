"""The compiled kernels of the emulator: one library for a compiler and a processor, whatever the model."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from kbuild.resources import resource
from kbuild.tools.cxx import Options, compile_shared

LIBRARY = "libkernels.so"
OPTIONS = Options(flags=("-fwrapv",))  # native: it must never be loaded on another processor


def fingerprint(compiler: str) -> str:
    """A key for the compiled library: the source, the options and the compiler's `kbuild.tools.cxx.identity`."""
    body = json.dumps([_source().read_text(encoding="utf-8"), OPTIONS.arguments(), compiler])
    return hashlib.sha256(body.encode()).hexdigest()[:32]


def build(folder: Path, options: Options = OPTIONS) -> Path:
    """Compile the library into `folder`. Raises MissingTool without a compiler, StageError with its first error."""
    return compile_shared([_source()], folder / LIBRARY, build_dir=folder, log_dir=folder, options=options)


def _source() -> Path:
    return resource("backends", "emulator", "kernels.cpp")
