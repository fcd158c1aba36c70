"""Names of files' content, and what is in a folder. This module imports nothing that takes time to import."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

_CHUNK = 1 << 20


def file_digest(path: Path | str) -> str:
    """SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    descriptor = os.open(path, os.O_RDONLY)
    try:
        # Most files are small: making room for a megabyte would take longer than reading them.
        chunk = min(os.fstat(descriptor).st_size + 1, _CHUNK)
        while block := os.read(descriptor, chunk):
            digest.update(block)
    finally:
        os.close(descriptor)
    return digest.hexdigest()


def files_below(folder: Path | str) -> list[str]:
    """The files of a folder and the folders in it, as sorted relative paths with `/`."""
    found, folders = [], [""]
    while folders:
        below = folders.pop()
        with os.scandir(os.path.join(folder, below)) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(f"{below}{entry.name}/")
                elif entry.is_file():
                    found.append(below + entry.name)
    return sorted(found)
