"""Cases that the libraries have answered once, in two archives: what is checked where they are not.

python -m conformance.golden                # makes goldens.zip anew: one case of each layer and version of Keras
python -m conformance.golden quantized      # quantized.zip: one of each layer and quantizer of QKeras, HGQ and HGQ2
python -m conformance.golden quantized more # adds those that quantized.zip has not yet
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from conformance.catalog import KERAS, QUANTIZED, CaseId, generators
from conformance.reference import Reference, make

HERE = Path(__file__).parent
FILES = {HERE / "goldens.zip": KERAS, HERE / "quantized.zip": QUANTIZED}
SEED = 7


@cache
def _opened(file: Path) -> tuple[zipfile.ZipFile, dict[str, Any]]:
    archive = zipfile.ZipFile(file)
    return archive, json.loads(archive.read("cases.json"))


def cases(libraries: Sequence[str]) -> list[CaseId]:
    """The cases of these libraries."""
    found = [CaseId.parse(text) for file in FILES for text in _opened(file)[1]]
    return [case for case in found if case.answered_by in libraries]


def load(case: CaseId, folder: Path) -> Reference:
    """What `reference.make` gave, its files in the folder."""
    archive, index = next(_opened(file) for file, libraries in FILES.items() if case.answered_by in libraries)
    known = index[str(case)]
    with np.load(io.BytesIO(archive.read(f"{known['number']}/arrays.npz"))) as arrays:
        inputs = [arrays[f"x{i}"].astype(np.float64) for i in range(known["inputs"])]
        outputs = [arrays[f"y{i}"].astype(np.float64) for i in range(known["outputs"])]
    files: dict[str, Path | None] = dict.fromkeys(("json", "h5", "archive"))
    for kind, name in known["files"].items():
        files[kind] = Path(archive.extract(f"{known['number']}/{name}", folder))
    return Reference(known["code"], files, inputs, outputs, tuple(known.get("subject", ())))


def write(file: Path, more: bool) -> None:
    """Make an archive with the libraries themselves; what it has already stays as it is where there are only `more`."""
    index: dict[str, Any] = {}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        if more:
            old, known = _opened(file)
            index |= known
            for name in old.namelist():
                if name != "cases.json":
                    archive.writestr(zipfile.ZipInfo(name), old.read(name), zipfile.ZIP_DEFLATED)
        for library in FILES[file]:
            for layer in generators(library):
                case = CaseId(layer, library, SEED)
                if str(case) not in index:
                    with tempfile.TemporaryDirectory() as folder:
                        index[str(case)] = _add(archive, len(index), make(case, Path(folder)))
        archive.writestr(zipfile.ZipInfo("cases.json"), json.dumps(index, indent=1), zipfile.ZIP_DEFLATED)
    file.write_bytes(buffer.getvalue())


def _add(archive: zipfile.ZipFile, number: int, found: Reference) -> dict[str, object]:
    files = {kind: path for kind, path in found.files.items() if path is not None}
    for kind, path in files.items():
        data = _stored(path) if kind == "archive" else path.read_bytes()
        archive.writestr(zipfile.ZipInfo(f"{number}/{path.name}"), data, zipfile.ZIP_DEFLATED)
    arrays = io.BytesIO()
    values = {f"x{i}": x for i, x in enumerate(found.inputs)} | {f"y{i}": y for i, y in enumerate(found.outputs)}
    np.savez(arrays, **{name: x.astype(np.float32) for name, x in values.items()})
    archive.writestr(zipfile.ZipInfo(f"{number}/arrays.npz"), arrays.getvalue(), zipfile.ZIP_DEFLATED)
    return {
        "number": number,
        "code": found.code,
        "inputs": len(found.inputs),
        "outputs": len(found.outputs),
        "files": {kind: path.name for kind, path in files.items()},
        "subject": list(found.subject),
    }


def _stored(path: Path) -> bytes:
    """A `.keras` archive without compression of its own, which the outer one can then compress, and without dates."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            new.writestr(zipfile.ZipInfo(name), old.read(name))
    return buffer.getvalue()


if __name__ == "__main__":
    write(HERE / ("quantized.zip" if "quantized" in sys.argv else "goldens.zip"), more="more" in sys.argv)
