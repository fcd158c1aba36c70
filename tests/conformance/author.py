"""Cases made in another Python, where their library is: `python -m conformance.author` answers on its standard output.

A line of input is a case and a folder for its files; a line of output is what `Reference` has beside the arrays, which
are in the folder. The process stays, since importing a library takes seconds.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from conformance.catalog import CaseId
from conformance.reference import NoModel, Reference

PYTHON = "KBUILD_KERAS2_PYTHON"  # names the Python of .venv-keras2
TESTS = Path(__file__).parents[1]
_ARRAYS = "arrays.npz"


def python() -> str | None:
    """The Python with QKeras and HGQ, None where there is none."""
    given = os.environ.get(PYTHON, "")
    return given if given and Path(given).exists() else None


@cache
def _worker() -> subprocess.Popen[str]:
    command = [python() or "", "-m", "conformance.author"]
    return subprocess.Popen(command, cwd=TESTS, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL)  # fmt: skip


def make(case: CaseId, folder: Path) -> Reference:
    """As `reference.make`, by the other Python. Raises NoModel."""
    worker = _worker()
    assert worker.stdin is not None and worker.stdout is not None
    try:
        worker.stdin.write(f"{json.dumps([str(case), str(folder)])}\n")
        worker.stdin.flush()
        line = worker.stdout.readline()
    except BrokenPipeError:
        line = ""
    except BaseException:  # as a case that takes too long: its answer would be taken for that of the next
        worker.kill()
        _worker.cache_clear()
        raise
    if not line:
        _worker.cache_clear()
        raise NoModel(f"{case}: the process of its library died")
    found = json.loads(line)
    if "error" in found:
        raise NoModel(found["error"])
    return load(found, folder)


def store(found: Reference, folder: Path) -> dict[str, Any]:
    """What is not an array; the arrays go to the folder."""
    arrays = {f"x{i}": x for i, x in enumerate(found.inputs)} | {f"y{i}": y for i, y in enumerate(found.outputs)}
    np.savez(folder / _ARRAYS, **{name: x.astype(np.float32) for name, x in arrays.items()})
    files = {kind: path.name for kind, path in found.files.items() if path is not None}
    return {"code": found.code, "files": files, "inputs": len(found.inputs), "outputs": len(found.outputs),
            "subject": list(found.subject)}  # fmt: skip


def load(found: dict[str, Any], folder: Path) -> Reference:
    """The other way."""
    with np.load(folder / _ARRAYS) as arrays:
        inputs = [arrays[f"x{i}"].astype(np.float64) for i in range(found["inputs"])]
        outputs = [arrays[f"y{i}"].astype(np.float64) for i in range(found["outputs"])]
    files = {
        kind: folder / found["files"][kind] if kind in found["files"] else None for kind in ("json", "h5", "archive")
    }
    return Reference(found["code"], files, inputs, outputs, tuple(found["subject"]))


def _answer(line: str, answers: TextIO) -> None:
    from conformance.quantized import reference

    name, folder = json.loads(line)
    try:
        found = store(reference.make(CaseId.parse(name), Path(folder)), Path(folder))
    except Exception as error:  # it is for the other side to say
        found = {"error": f"{type(error).__name__}: {error}"}
    answers.write(f"{json.dumps(found)}\n")
    answers.flush()


def main() -> None:
    """Answer until there is no more input; what libraries print goes nowhere."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        for line in sys.stdin:
            _answer(line, answers)


if __name__ == "__main__":
    main()
