"""Reading HDF5 without trust: only what is inside the file, only plain numbers, only as much as is really there."""

from __future__ import annotations

import io
import mmap
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kbuild.errors import UnsupportedModel
from kbuild.fixed import FloatArray
from kbuild.frontend.keras.hdf5_heap import check_heaps
from kbuild.frontend.keras.safety import MAX_EXPANSION, MAX_JSON_BYTES, MAX_WEIGHT_BYTES, quoted

if TYPE_CHECKING:
    import h5py


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
    size = _checked_size(source)
    # h5py asks for the machine's kind in a way that has Python start the program `uname` for another thing beside it.
    vars(platform.uname()).setdefault("processor", "")
    import h5py

    with _guarded():
        file = h5py.File(io.BytesIO(source) if isinstance(source, bytes) else source, "r")
    with file:
        yield Folder(file, "", _Budget(size))


def _checked_size(source: Path | bytes) -> int:
    """Bytes of the file, after a look at what the library does not survive."""
    if isinstance(source, bytes):
        check_heaps(source)
        return len(source)
    try:
        with source.open("rb") as file:
            size = source.stat().st_size
            if size == 0:
                raise UnsupportedModel("it is not an HDF5 file")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                check_heaps(content)
    except OSError as error:
        raise UnsupportedModel(f"it cannot be read: {error.strerror}") from error
    return size


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
            found = _strings(self._group, attribute)
        if found is not None and len(found) != 1:
            raise UnsupportedModel(f"the attribute {quoted(attribute)} is not one string")
        return None if found is None else found[0]

    def texts(self, attribute: str) -> list[str] | None:
        """A list of strings; Keras splits one that is too long for HDF5 into `name0`, `name1` ..."""
        with _guarded():
            found = _strings(self._group, attribute)
            chunks: list[str] = []
            for number in range(len(self._group.attrs)):
                chunk = _strings(self._group, f"{attribute}{number}")
                if found is not None or chunk is None:
                    break
                chunks += chunk
        return found if found is not None else chunks or None

    def array(self, path: str) -> FloatArray | None:
        """The dataset at a path as float64; None where there is none.

        NaN and infinity are refused but in a single number, which is never a weight: it is a setting or a count of a
        training that a quantizer keeps there.
        """
        import h5py

        found = self._member(path)
        if found is None:
            return None
        name = f"{self._path}/{path}"
        if not isinstance(found, h5py.Dataset):
            raise UnsupportedModel(f"{quoted(name)} is not a dataset")
        with _guarded():
            self._check(found, name)
            return _as_float(found, name)

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


def _strings(owner: h5py.Group | h5py.Dataset, attribute: str) -> list[str] | None:
    """The strings of an attribute; None where there is none."""
    import h5py

    if attribute not in owner.attrs:
        return None
    stored = owner.attrs.get_id(attribute)
    # an empty list has no strings, and NumPy's default type; the library does not survive damaged types of others
    if 0 in stored.shape:
        return []
    if not isinstance(stored.get_type(), h5py.h5t.TypeStringID):
        raise UnsupportedModel(f"the attribute {quoted(attribute)} is not a string")
    if stored.get_storage_size() > MAX_JSON_BYTES:
        raise UnsupportedModel(f"the attribute {quoted(attribute)} has more than {MAX_JSON_BYTES} bytes")
    values = np.asarray(owner.attrs[attribute], dtype=object).ravel().tolist()
    return [value.decode("utf-8") if isinstance(value, bytes) else str(value) for value in values]


def _as_float(dataset: h5py.Dataset, name: str) -> FloatArray:
    dtype = dataset.dtype
    if dtype.kind in "fiu":
        data = np.asarray(dataset[()])
    elif dtype.itemsize == 2 and dtype.kind == "V" and _strings(dataset, "dtype") == ["bfloat16"]:
        # bfloat16 is the upper half of float32
        data = (np.asarray(dataset[()]).view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    else:
        raise UnsupportedModel(f"{quoted(name)} holds values of type {quoted(dtype)}, not numbers")
    # NaN and infinity make any sum NaN or infinite; the converse needs a closer look
    with np.errstate(over="ignore", invalid="ignore"):
        suspect = not np.isfinite(data.sum())
    if suspect and not np.isfinite(data).all() and data.ndim > 0:
        raise UnsupportedModel(f"the weights {quoted(name)} hold NaN or infinity; train the model again")
    return np.asarray(data, dtype=np.float64)
