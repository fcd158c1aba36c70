"""Reading HDF5 without trust: only what is inside the file, only plain numbers, only as much as is really there."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kbuild.errors import UnsupportedModel
from kbuild.fixed import FloatArray
from kbuild.frontend.keras.safety import MAX_EXPANSION, MAX_JSON_BYTES, MAX_WEIGHT_BYTES, quoted

if TYPE_CHECKING:
    import h5py

SIGNATURE = b"\x89HDF\r\n\x1a\n"  # HDF5 File Format Specification 3.0, II.A


@contextmanager
def _guarded() -> Iterator[None]:
    """The library reports damage by almost any exception; all mean that the file cannot be read."""
    try:
        yield
    except UnsupportedModel:
        raise
    except Exception as error:
        raise UnsupportedModel(f"the HDF5 file is damaged: {_first_sentence(error)}") from error


def _first_sentence(error: Exception) -> str:
    text = str(error).strip("'\"").splitlines()
    return quoted(text[0])[1:-1] if text and text[0] else type(error).__name__


@contextmanager
def opened(source: Path | bytes) -> Iterator[Folder]:
    """The root of an HDF5 file, open for reading. Raises UnsupportedModel."""
    import h5py

    head = source[:8] if isinstance(source, bytes) else _head(source)
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    if head != SIGNATURE:
        raise UnsupportedModel("it is not an HDF5 file")
    with _guarded():
        file = h5py.File(io.BytesIO(source) if isinstance(source, bytes) else source, "r")
    with file:
        yield Folder(file, "", _Budget(size))


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(8)
    except OSError as error:
        raise UnsupportedModel(f"it cannot be read: {error.strerror}") from error


class _Budget:
    """Bytes that the weights may still take, and the size of the file they come from."""

    def __init__(self, file_size: int) -> None:
        self.file_size, self.left = file_size, MAX_WEIGHT_BYTES

    def spend(self, size: int, name: str) -> None:
        if size > self.left:
            raise UnsupportedModel(f"the weights up to {quoted(name)} exceed {MAX_WEIGHT_BYTES >> 30} GiB")
        self.left -= size


class Folder:
    """A group. Links that leave it, virtual and external data, objects and oversized data are refused."""

    def __init__(self, group: h5py.Group, path: str, budget: _Budget) -> None:
        self._group, self._path, self._budget = group, path, budget

    def __contains__(self, name: str) -> bool:
        with _guarded():
            return name in self._group

    def names(self) -> list[str]:
        """Names of the members, sorted."""
        with _guarded():
            return sorted(self._group.keys())

    def folder(self, path: str) -> Folder | None:
        """The group at a path below this one; None where there is none."""
        import h5py

        found = self._member(path)
        if found is None:
            return None
        if not isinstance(found, h5py.Group):
            raise UnsupportedModel(f"{quoted(f'{self._path}/{path}')} is not a group")
        return Folder(found, f"{self._path}/{path}", self._budget)

    def _member(self, path: str) -> Any:
        import h5py

        at: Any = self._group
        with _guarded():
            for part in path.split("/"):
                if not isinstance(at, h5py.Group) or not part or part == "." or part not in at:
                    return None
                if not isinstance(at.get(part, getlink=True), h5py.HardLink):
                    raise UnsupportedModel(
                        f"{quoted(f'{self._path}/{path}')} is a link to elsewhere; save the weights in the file itself"
                    )
                at = at[part]
        return at

    def text(self, attribute: str) -> str | None:
        """A string attribute; None where there is none."""
        with _guarded():
            if attribute not in self._group.attrs:
                return None
            if self._group.attrs.get_id(attribute).get_storage_size() > MAX_JSON_BYTES:
                raise UnsupportedModel(f"the attribute {quoted(attribute)} has more than {MAX_JSON_BYTES} bytes")
            value = self._group.attrs[attribute]
            value = value.decode("utf-8") if isinstance(value, bytes) else value
        if not isinstance(value, str):
            raise UnsupportedModel(f"the attribute {quoted(attribute)} is not a string")
        return value

    def texts(self, attribute: str) -> list[str] | None:
        """A list of strings; Keras splits one that is too long for HDF5 into `name0`, `name1` ..."""
        found: list[str] = []
        with _guarded():
            if attribute in self._group.attrs:
                chunks = [self._group.attrs[attribute]]
            else:
                chunks = []
                while f"{attribute}{len(chunks)}" in self._group.attrs:
                    chunks.append(self._group.attrs[f"{attribute}{len(chunks)}"])
                if not chunks:
                    return None
            for chunk in chunks:
                found += [v.decode("utf-8") if isinstance(v, bytes) else str(v) for v in np.asarray(chunk).ravel()]
        return found

    def array(self, path: str) -> FloatArray | None:
        """The dataset at a path as float64; None where there is none. NaN and infinity are refused."""
        import h5py

        found = self._member(path)
        if found is None:
            return None
        name = f"{self._path}/{path}"
        if not isinstance(found, h5py.Dataset):
            raise UnsupportedModel(f"{quoted(name)} is not a dataset")
        with _guarded():
            self._check(found, name)
            data = _as_float(found, name)
        if not np.isfinite(data).all():
            raise UnsupportedModel(f"the weights {quoted(name)} hold NaN or infinity; train the model again")
        return data

    def _check(self, dataset: h5py.Dataset, name: str) -> None:
        if dataset.is_virtual or dataset.external:
            raise UnsupportedModel(f"{quoted(name)} keeps its data in other files; save the weights in the file itself")
        if dataset.shape is None:
            raise UnsupportedModel(f"{quoted(name)} has no data")
        count = 1
        for extent in dataset.shape:
            count *= int(extent)
        self._budget.spend(count * 8, name)
        size = count * dataset.dtype.itemsize
        stored = int(dataset.id.get_storage_size())
        if stored > self._budget.file_size or size > stored * MAX_EXPANSION:
            raise UnsupportedModel(f"{quoted(name)} claims {count} values, of which the file does not hold the data")


def _as_float(dataset: h5py.Dataset, name: str) -> FloatArray:
    if dataset.dtype.kind in "fiu":
        return np.asarray(dataset[()], dtype=np.float64)
    if dataset.dtype.itemsize == 2 and dataset.dtype.kind == "V" and dataset.attrs.get("dtype") == "bfloat16":
        # bfloat16 is the upper half of float32
        bits = np.asarray(dataset[()]).view(np.uint16).astype(np.uint32) << 16
        return bits.view(np.float32).astype(np.float64)
    raise UnsupportedModel(f"{quoted(name)} holds values of type {quoted(dataset.dtype)}, not numbers")
