"""The build that has nothing to do, found out in milliseconds: a stamp of everything the last one depended on.

A stamp holds the size, time and digest of every file that was read, of every file that was written, of kbuild's own
code and of the tools that could be found. Where size and time are as recorded a file is taken to be unchanged; where
they are not its digest decides. Anything else that differs leaves the decision to the stages. This module imports
nothing that takes time to import.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import site
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from kbuild import __version__
from kbuild.dataclass import dataclass
from kbuild.flow.files import file_digest
from kbuild.resources import ROOT, user_cache

_RACY_NS = 50_000_000  # a file written this shortly before the stamp may have been written again in the same tick
_PACKAGE = Path(__file__).resolve().parent.parent
_PROGRAMS = (
    "g++", "clang++", "verilator", "yosys", "nextpnr-ecp5", "nextpnr-ice40", "ecppack", "icepack",
    "vivado", "vivado_hls", "vitis_hls", "vitis-run", "v++",
)  # fmt: skip
_VARIABLES = ("CXX", "KBUILD_CACHE", "KERAS_BACKEND", "PYTHONPATH", "VIRTUAL_ENV")


@dataclass(frozen=True)
class FileStamp:
    """A file as it was: size in bytes, time of change in ns, SHA-256."""

    size: int
    time: int
    digest: str


@dataclass(frozen=True)
class StageState:
    """What is to be said of a stage when nothing has changed."""

    recipe: str
    stage: str
    reason: str | None  # why it is skipped; None: it is up to date


def stamp_file(path: Path, digest: str | None = None) -> FileStamp:
    """The stamp of a file. The time is taken first, so that a change in between is seen next time.

    digest: of what kbuild has written there just now.
    """
    status = path.stat()
    return FileStamp(status.st_size, status.st_mtime_ns, digest or file_digest(path))


def unchanged(recipe: Path, overrides: Sequence[str], to: str) -> list[StageState] | None:
    """The stages of the last successful build with these arguments, if nothing at all has changed since; else None."""
    file = _stamp_path(recipe, overrides, to)
    try:
        stamp = json.loads(file.read_text(encoding="utf-8"))
        if stamp["surroundings"] != _surroundings():
            return None
        states = [StageState(**state) for state in stamp["stages"]]
        changed = False
        for name, recorded in stamp["files"].items():
            same = _same(Path(name), FileStamp(**recorded), stamp["written"])
            if same is None:
                return None
            changed |= not same
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if changed:
        record(recipe, overrides, to, {Path(name): stamp_file(Path(name)) for name in stamp["files"]}, states)
    return states


def record(
    recipe: Path, overrides: Sequence[str], to: str, files: dict[Path, FileStamp], states: Iterable[StageState]
) -> None:
    """Remember a successful build. A cache that cannot be written costs the next build some time, nothing else."""
    stamp = {
        "surroundings": _surroundings(),
        "written": time.time_ns(),
        "files": {str(path): vars(files[path]) for path in sorted(files)},
        "stages": [vars(state) for state in states],
    }
    target = _stamp_path(recipe, overrides, to)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_text(json.dumps(stamp), encoding="utf-8")
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)


def _same(path: Path, recorded: FileStamp, written: int) -> bool | None:
    """True: untouched; False: touched, but with the same content; None: changed."""
    status = path.stat()
    if status.st_size != recorded.size:
        return None
    if status.st_mtime_ns == recorded.time and recorded.time < written - _RACY_NS:
        return True
    return False if file_digest(path) == recorded.digest else None


def _surroundings() -> list[object]:
    """kbuild's code, this Python and its packages, and the programs that a build may start."""
    programs = [shutil.which(name) for name in _PROGRAMS]
    return [
        __version__,
        sys.version,
        sys.prefix,
        [os.environ.get(name) for name in _VARIABLES],
        [_stat(path) for path in programs if path is not None],
        # Installing or removing a package changes the folders that hold it and its programs.
        [_stat(path) for path in (*site.getsitepackages(), os.path.dirname(sys.executable)) if os.path.isdir(path)],
        _code(),
    ]


def _stat(path: str) -> list[object]:
    status = os.stat(path)
    return [path, status.st_size, status.st_mtime_ns]


def _code() -> str:
    """A digest of the sizes and times of kbuild's modules and data."""
    found = []
    folders = [str(_PACKAGE), str(ROOT / "backends"), str(ROOT / "schemas")]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_file():
                    status = entry.stat()
                    found.append(f"{entry.path} {status.st_size} {status.st_mtime_ns}")
                elif entry.name != "__pycache__":
                    folders.append(entry.path)
    return hashlib.sha256("\n".join(sorted(found)).encode()).hexdigest()


def _stamp_path(recipe: Path, overrides: Sequence[str], to: str) -> Path:
    name = hashlib.sha256(json.dumps([os.path.realpath(recipe), list(overrides), to]).encode()).hexdigest()
    return user_cache() / "stamps" / f"{name}.json"
