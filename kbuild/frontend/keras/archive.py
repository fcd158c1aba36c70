"""`.keras` archives: a ZIP file of config.json, metadata.json and model.weights.h5. Nothing is extracted to disk."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from kbuild.errors import UnsupportedModel
from kbuild.frontend.keras.safety import MAX_EXPANSION, MAX_JSON_BYTES, MAX_WEIGHT_BYTES, quoted

ARCHIVE_CONFIG = "config.json"
ARCHIVE_WEIGHTS = "model.weights.h5"
_LIMITS = {ARCHIVE_CONFIG: MAX_JSON_BYTES, ARCHIVE_WEIGHTS: MAX_WEIGHT_BYTES}
_DAMAGE = (zlib.error, lzma.LZMAError, EOFError, RuntimeError, NotImplementedError, ValueError)


def read_members(path: Path) -> dict[str, bytes]:
    """The members that hold the model, by name. Raises UnsupportedModel."""
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            infos = {info.filename: info for info in archive.infolist()}
            _check_names(list(infos))
            return {name: _read(archive, infos[name], limit) for name, limit in _LIMITS.items()}
    except UnsupportedModel:
        raise
    except OSError as error:
        raise UnsupportedModel(f"it cannot be read: {error.strerror or quoted(error)[1:-1]}") from error
    except zipfile.BadZipFile as error:
        raise UnsupportedModel(f"it is not a .keras archive: {quoted(error)[1:-1]}") from error
    except _DAMAGE as error:
        raise UnsupportedModel(f"the archive is damaged: {quoted(error)[1:-1]}") from error


def _check_names(names: list[str]) -> None:
    for name in names:
        if name.startswith(("/", "\\")) or ".." in PurePosixPath(name.replace("\\", "/")).parts or ":" in name:
            raise UnsupportedModel(f"the archive has a member {quoted(name)}, a path outside it; it is not from Keras")
    for name in _LIMITS:
        if name not in names:
            inside = ", ".join(map(quoted, names[:8])) or "nothing"
            raise UnsupportedModel(f"the archive has no {name}; it holds {inside}")


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int) -> bytes:
    if info.file_size > limit or info.file_size > max(info.compress_size, 1) * MAX_EXPANSION:
        raise UnsupportedModel(f"{info.filename} claims {info.file_size} bytes, which the archive cannot hold")
    with archive.open(info) as file:
        return file.read(info.file_size)
