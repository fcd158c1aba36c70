"""The artifact cache: folders named by what made them, shared by all recipes of a user.

    <cache>/artifacts/<kind>/<key>/     what a stage made, and manifest.json with the digest of every file
    <cache>/locks/<key>                 held while that artifact is made
    <cache>/locks/use                   shared by all builds, held alone by prune and clear
    <cache>/tmp/<host>-<pid>-<random>/  artifacts in the making

An artifact is made in `tmp` and renamed into place: it is there whole or not at all, whenever its maker dies. It is
held against its manifest whenever it is used, and made anew when it does not fit.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from kbuild.dataclass import dataclass
from kbuild.flow.digests import value_digest
from kbuild.flow.disk import disk_errors
from kbuild.flow.files import file_digest, files_below
from kbuild.flow.lock import locked
from kbuild.resources import user_cache

MANIFEST = "manifest.json"
UNUSED_DAYS = 30
_USE = "use"

# Fills a folder. May return the SHA-256 of files that it knows, by relative path: large files are not hashed twice.
Make = Callable[[Path], Mapping[str, str] | None]


@dataclass(frozen=True)
class Artifact:
    """A verified folder of the cache. `digest` names its content, `key` what it was made from."""

    kind: str
    key: str
    folder: Path
    files: Mapping[str, str]  # relative path → SHA-256
    fresh: bool = False  # made just now rather than found

    @property
    def digest(self) -> str:
        """A name for the content of all files."""
        return value_digest(dict(self.files))

    def path(self, name: str) -> Path:
        """Where one of its files is."""
        return self.folder / name

    def text(self, name: str) -> str:
        """One of its files as text."""
        return self.path(name).read_text(encoding="utf-8")


@dataclass(frozen=True)
class Usage:
    """What a kind of artifacts takes in the cache."""

    kind: str
    artifacts: int
    size: int  # bytes


class Cache:
    """The cache in `root` (default: the user's)."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or user_cache()

    def find(self, kind: str, key: str) -> Artifact | None:
        """The artifact, verified; None when it is not there or not what its manifest says."""
        folder = self._folder(kind, key)
        try:
            files = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
            intact = all(file_digest(folder / name) == digest for name, digest in files.items())
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        if not intact:
            return None
        with contextlib.suppress(OSError):  # the time of its last use, for prune
            os.utime(folder)
        return Artifact(kind, key, folder, files)

    def get(self, kind: str, key: str, make: Make, waiting: Callable[[], None] | None = None) -> Artifact:
        """Find the artifact, or have `make` fill an empty folder with it.

        Two processes that want the same one do not make it twice: `waiting` is called when another is at it.
        Raises what `make` raises, and StageError when the disk refuses; then nothing is left behind.
        """
        found = self.find(kind, key)
        if found is not None:
            return found
        with disk_errors(f"the cache {self.root}"), locked(self.root / "locks" / key, waiting):
            found = self.find(kind, key)
            if found is not None:
                return found
            return self._make(kind, key, make)

    def _make(self, kind: str, key: str, make: Make) -> Artifact:
        with self.scratch() as folder:
            known = make(folder) or {}
            files = {name: known.get(name) or file_digest(folder / name) for name in files_below(folder)}
            manifest = json.dumps({"kind": kind, "key": key, "files": files}, sort_keys=True)
            (folder / MANIFEST).write_text(manifest + "\n", encoding="utf-8")
            target = self._folder(kind, key)
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():  # one that did not verify
                with self.scratch() as grave:
                    os.rename(target, grave / key)
            os.rename(folder, target)
        return Artifact(kind, key, target, files, fresh=True)

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """An empty folder in the cache's file system that is gone afterwards, at the latest when the next one is made
        after its process has died."""
        base = self.root / "tmp"
        base.mkdir(parents=True, exist_ok=True)
        _bury_the_dead(base)
        folder = base / f"{_host()}-{os.getpid()}-{os.urandom(6).hex()}"
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def usage(self) -> list[Usage]:
        """How many artifacts of each kind there are, and their size."""
        found = []
        for kind in sorted(_folders(self.root / "artifacts")):
            keys = list(_folders(kind))
            found.append(Usage(kind.name, len(keys), sum(_size(key) for key in keys)))
        return found

    @contextlib.contextmanager
    def in_use(self, waiting: Callable[[], None] | None = None) -> Iterator[None]:
        """While this is held nobody prunes or clears the cache."""
        with disk_errors(f"the cache {self.root}"), locked(self.root / "locks" / _USE, waiting, shared=True):
            yield

    def prune(self, days: float = UNUSED_DAYS, waiting: Callable[[], None] | None = None) -> int:
        """Remove artifacts that no build has used for `days`, and what dead builds left; return the bytes freed.

        Waits for running builds.
        """
        if not self.root.is_dir():
            return 0
        freed, limit = 0, time.time() - days * 86400
        with locked(self.root / "locks" / _USE, waiting):
            for kind in _folders(self.root / "artifacts"):
                for folder in _folders(kind):
                    if folder.stat().st_mtime <= limit:
                        freed += self._discard(folder)
            for lock in (self.root / "locks").iterdir():
                if lock.name != _USE and lock.stat().st_mtime <= limit:
                    lock.unlink()
            with self.scratch():
                pass  # making one removes those of the dead
        return freed

    def clear(self, waiting: Callable[[], None] | None = None) -> int:
        """Remove everything in the cache; return the bytes freed. Waits for running builds."""
        freed = self.prune(0, waiting)
        for entry in ("stamps", "verilator"):
            if (self.root / entry).is_dir():
                freed += self._discard(self.root / entry)
        return freed

    def _discard(self, folder: Path) -> int:
        size = _size(folder)
        with self.scratch() as grave:  # a rename first: nobody sees half an artifact
            os.rename(folder, grave / folder.name)
        return size

    def _folder(self, kind: str, key: str) -> Path:
        return self.root / "artifacts" / kind / key


def _folders(base: Path) -> Iterator[Path]:
    if base.is_dir():
        yield from (path for path in base.iterdir() if path.is_dir())


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.stat().st_size if path.is_file() else 0
    return total


def _host() -> str:
    return hashlib.sha256(os.uname().nodename.encode()).hexdigest()[:8]


def _bury_the_dead(base: Path) -> None:
    """Remove scratch folders whose process on this machine is gone."""
    for folder in _folders(base):
        host, pid, _ = (*folder.name.split("-"), "", "")[:3]
        if host == _host() and pid.isdigit() and not _alive(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
