"""Tools that pip brings as WebAssembly (YoWASP): Yosys and nextpnr.

Their first run translates the module to machine code (half a minute for Yosys on two cores, whatever the
optimisation level) and keeps the result in YoWASP's own cache; `prepare` does that beforehand, so that it can be
announced, is not part of a timeout, and leaves a whole file or none. Inside, `/tmp` is an empty folder of its own:
files are named relative to the working folder.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from kbuild.tools.process import Program, run, wheel_folder


def prepare(program: Program, package: str, module: str, announce: Callable[[str], None]) -> None:
    """Translate `module` of the Python package `package` unless the cache has it; nothing for native tools.

    `announce` gets a sentence before a translation starts. One that fails is left to the tool's run, which has to
    translate then and shows why it cannot.
    """
    wheel = program.spec.wheel
    if program.origin != "pip" or wheel is None:
        return
    folder = wheel_folder(wheel, package)
    if folder is None or not (folder / module).is_file():
        return
    kept = _cache() / package / module / hashlib.sha1((folder / module).read_bytes()).hexdigest()
    if kept.is_file():
        return
    announce(f"preparing {program.name} of the pip package {wheel.distribution} (only once, up to a minute)")
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".new-") as scratch:
        run(program, program.spec.version_arguments, cwd=Path(scratch), log=Path(scratch, "prepare.log"),
            env={"YOWASP_CACHE_DIR": scratch}, timeout=1800, check=False)  # icepack has no --version
        made = Path(scratch, package, module, kept.name)
        if made.is_file():
            os.replace(made, kept)


def _cache() -> Path:
    """Where YoWASP keeps machine code: as platformdirs has it."""
    if "YOWASP_CACHE_DIR" in os.environ:
        return Path(os.environ["YOWASP_CACHE_DIR"])
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "YoWASP"
    return Path(os.environ.get("XDG_CACHE_HOME", "").strip() or Path.home() / ".cache") / "YoWASP"
