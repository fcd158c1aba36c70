"""OutputDir: what is in it, which stage put it there, and how it gets there whole.

`.kbuild/manifest.json` holds for each stage the key of what it was made from and the digest of each of its files. A
stage whose key and files are as recorded is up to date. Files that no stage put there are never touched.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

from kbuild.dataclass import dataclass, replace
from kbuild.errors import StageError
from kbuild.flow.digests import text_digest
from kbuild.flow.disk import disk_errors, remove_empty, write_file
from kbuild.flow.files import file_digest
from kbuild.flow.lock import locked
from kbuild.resources import user_cache

LOCK_FILE = "recipe.lock.yml"
PRIVATE = ".kbuild"
Content = bytes | Path


@dataclass(frozen=True)
class Entry:
    """What one stage has put into the folder. `key` is empty while it is being written and after a failed check."""

    key: str
    files: Mapping[str, str]  # relative path → SHA-256
    content: str = ""  # digest of the artifact that the files are from
    status: str = ""
    seconds: float = 0.0
    reason: str | None = None


class Output:
    """One OutputDir."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._private = folder / PRIVATE
        self._manifest = self._private / "manifest.json"
        self._scratch = self._private / "tmp"
        self._thread = threading.RLock()
        self._held = False

    @contextlib.contextmanager
    def session(self, waiting: Callable[[], None] | None = None) -> Iterator[None]:
        """Keep other builds out of the folder."""
        name = "output-" + text_digest(os.path.realpath(self.folder))
        with disk_errors("the cache"), locked(user_cache() / "locks" / name, waiting):
            self._held = True
            try:
                yield
            finally:
                self._held = False

    def entries(self) -> dict[str, Entry]:
        """What is recorded, by stage; nothing for a folder that kbuild has not written."""
        try:
            stages = json.loads(self._manifest.read_text(encoding="utf-8"))["stages"]
            return {str(name): Entry(**entry) for name, entry in stages.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def current(self, stage: str, key: str) -> bool:
        """Whether the stage's files are those made from `key`, unchanged."""
        entry = self.entries().get(stage)
        return entry is not None and entry.key == key and self._intact(entry)

    def _intact(self, entry: Entry) -> bool:
        try:
            return all(file_digest(self.folder / name) == digest for name, digest in entry.files.items())
        except OSError:
            return False

    def publish(self, stage: str, entry: Entry, files: Mapping[str, Content], later: Iterable[str]) -> None:
        """Bring the stage's files to what `files` says: write what differs, remove what it had put there before.

        Files of the stages `later`, made from what the stage made before, are removed when that was something else.
        Raises StageError when the disk refuses, or when something that is not kbuild's is in the way.
        """
        with self._alone(), disk_errors(f"writing {self.folder}"):
            shutil.rmtree(self._scratch, ignore_errors=True)  # of a build that was killed
            before = self.entries()
            old = before.get(stage)
            stale = set(old.files) if old else set()
            if old is None or old.content != entry.content:
                for name in later:
                    stale |= set(before.pop(name, Entry("", {})).files)
            others = {path for name, other in before.items() if name != stage for path in other.files}
            digests = {path: _digest(content) for path, content in files.items()}
            if files or stale:
                # Until all is written the record says: these files are kbuild's, made from nothing that is known.
                self._record({**before, stage: Entry("", {**dict.fromkeys(stale, ""), **dict.fromkeys(digests, "")})})
            inside = cache(self._inside)
            for path, content in sorted(files.items()):
                target = self.folder / path
                if not inside(target.parent) or (target.is_symlink() and not inside(target)):
                    raise StageError(f"{path} would be written outside {self.folder}; is a symbolic link in the way?")
                self._put(target, content, digests[path])
            self._remove(stale - set(digests) - others)
            self._record({**before, stage: replace(entry, files=digests)})
            shutil.rmtree(self._scratch, ignore_errors=True)

    def retract(self, stage: str, status: str, reason: str | None) -> None:
        """Remove what a stage that is skipped now had put there, and record why it is skipped."""
        self.publish(stage, Entry("", {}, "", status, 0.0, reason), {}, ())

    def remove(self) -> list[Path]:
        """Remove every file that a stage put here; return what is left because it is not kbuild's."""
        with self._alone(), disk_errors(f"removing {self.folder}"):
            self._remove({path for entry in self.entries().values() for path in entry.files})
            shutil.rmtree(self._private, ignore_errors=True)
            with contextlib.suppress(OSError):
                self.folder.rmdir()
        return sorted(path for path in self.folder.rglob("*") if path.is_file())

    def digests(self) -> dict[Path, str]:
        """The SHA-256 of every file that the stages have put here, as it was put."""
        return {self.folder / path: digest for entry in self.entries().values() for path, digest in entry.files.items()}

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        with self._thread, contextlib.nullcontext() if self._held else self.session():
            yield

    def _record(self, entries: Mapping[str, Entry]) -> None:
        document = {"stages": {name: vars(entry) for name, entry in sorted(entries.items())}}
        text = json.dumps(document, default=dict) + "\n"
        write_file(self._manifest, text.encode(), self._scratch)

    def _put(self, target: Path, content: Content, digest: str) -> None:
        if os.path.isdir(target):
            raise StageError(f"{target} is a folder where kbuild writes a file; move it away")
        if os.path.isfile(target) and file_digest(target) == digest:
            return
        write_file(target, content, self._scratch)

    def _inside(self, path: Path) -> bool:
        """Whether a path leads into the folder, links followed."""
        folder = os.path.realpath(self.folder)
        return os.path.commonpath((folder, os.path.realpath(path))) == folder

    def _remove(self, paths: Iterable[str]) -> None:
        for path in sorted(paths):
            target = self.folder / path
            if not self._inside(target.parent):
                continue  # not something that kbuild has written
            target.unlink(missing_ok=True)
            remove_empty(target.parent, self.folder)


def _digest(content: Content) -> str:
    return file_digest(content) if isinstance(content, Path) else hashlib.sha256(content).hexdigest()
