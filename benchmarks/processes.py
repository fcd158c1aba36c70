"""Runs a command as a process of its own: seconds, peak memory and what it printed as JSON."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Run:
    """`peak_mb` is the largest resident set of the process itself; `result` is the JSON of its last line, if any."""

    seconds: float
    peak_mb: float
    result: dict[str, float]


def run(command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> Run:
    """Raises SystemExit with the end of what the command printed when it fails."""
    words = [str(word) for word in command]
    settings = {**os.environ, **(environment or {})}
    settings.pop("PYTHONDONTWRITEBYTECODE", None)  # as an installed package: compiled once
    with tempfile.TemporaryFile("w+") as errors:
        begin = time.perf_counter()
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=errors, text=True, env=settings)
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            errors.seek(0)
            said = (output + errors.read())[-3000:]
            raise SystemExit(f"{' '.join(words)}\nexit code {process.returncode}\n{said}")
    last = output.strip().rsplit("\n", 1)[-1]
    unit = 1 if sys.platform == "darwin" else 1024
    return Run(seconds, usage.ru_maxrss * unit / 1e6, json.loads(last) if last.startswith("{") else {})


def worker(
    python: str | Path, script: str, action: str, environment: Mapping[str, str] | None = None, **args: Any
) -> Run:
    """One action of a worker script, its keyword arguments sent as JSON."""
    return run([python, HERE / script, action, json.dumps(args, default=str)], environment)
