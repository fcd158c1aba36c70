"""External tools: what they are called, where they are, which version, and how to run one safely.

A tool is described by a `ToolSpec` (data), found as a `Program` (an argument list to start it with) and run
by `run`, which never uses a shell, keeps the whole output in a log file, ends the whole process group on a
timeout or an interrupt, and turns a failure into the tool's own first error.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from kbuild.dataclass import dataclass
from kbuild.errors import MissingTool, StageError
from kbuild.resources import user_cache

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.001, 0.02  # seconds between two looks at running processes
_PAUSE_SHARE = 1 / 32  # of the time waited so far
_TERMINATION_GRACE = 3.0  # seconds between SIGTERM and SIGKILL
_VERSION_TIMEOUT = 60.0
_TAIL_LINES = 5
_LONGEST_LINE = 500  # of a message; vendor tools print lines of many kilobytes


@dataclass(frozen=True)
class Wheel:
    """The pip package that brings a tool, for machines that have none installed."""

    distribution: str  # as pip knows it
    script: str | None  # console script beside the Python executable
    extra: str | None = None  # the extra of kbuild that installs it; None: `pip install kbuild` does
    entry: str | None = None  # "module:function", where the package can be imported but has no script here
    module: tuple[str, ...] = ()  # arguments after `python -m`, for packages without a console script


@dataclass(frozen=True)
class ToolSpec:
    """What is to be known of an external tool before it is started."""

    name: str
    programs: tuple[str, ...]  # names looked for on PATH, best first
    needed_for: str
    how_to_get: str
    wheel: Wheel | None = None
    variable: str | None = None  # environment variable that names the program, e.g. CXX
    version_arguments: tuple[str, ...] = ("--version",)
    version_pattern: str = r"(\d+\.\d+[\w.+-]*)"  # first match in the output; its group 1 is the version
    error_pattern: str = r"(?i)^.*\berror\b.*"  # first line of the log that matches is shown to the user


@dataclass(frozen=True)
class Program:
    """A tool found on this machine: `command` is the start of its argument list."""

    spec: ToolSpec
    command: tuple[str, ...]
    origin: str  # "PATH", "pip" or the name of the environment variable
    env: tuple[tuple[str, str], ...] = ()  # what it needs in its environment

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def path(self) -> str:
        return self.command[0] if len(self.command) == 1 else " ".join(self.command)


@dataclass(frozen=True)
class Completed:
    """A finished run. `returncode` is 0 unless `check=False` was asked for."""

    command: tuple[str, ...]
    returncode: int
    seconds: float
    log: Path

    def text(self) -> str:
        """The whole output, standard error included; bytes that are not UTF-8 are replaced."""
        return self.log.read_text(encoding="utf-8", errors="replace")


# -- finding ---------------------------------------------------------------------------------------


def locate(spec: ToolSpec) -> Program | None:
    """Find a tool: the environment variable, then PATH, then the pip package; None when it is nowhere."""
    if spec.variable and os.environ.get(spec.variable, "").strip():
        words = shlex.split(os.environ[spec.variable])
        path = shutil.which(words[0])
        return Program(spec, (path, *words[1:]), f"${spec.variable}") if path else None
    for name in spec.programs:
        path = shutil.which(name)
        if path:
            return Program(spec, (path,), "PATH")
    return _from_wheel(spec)


def find(spec: ToolSpec) -> Program:
    """As `locate`, but raises MissingTool, saying where it was looked for and how to get it."""
    program = locate(spec)
    if program is None:
        raise missing(spec)
    return program


def missing(spec: ToolSpec, found: str | None = None) -> MissingTool:
    """The error for a tool that is not here, or (`found`) was here a moment ago."""
    if found is not None:
        head = f"{spec.name} was found at {found}, but is gone or cannot be started now."
    elif spec.variable and os.environ.get(spec.variable, "").strip():
        head = f"{spec.name}: ${spec.variable} is {os.environ[spec.variable]!r}, which is not a program here."
    else:
        looked = f"looked for {', '.join(spec.programs)} on PATH"
        if spec.wheel:
            looked += f" and for the pip package {spec.wheel.distribution} beside {sys.executable}"
        head = f"{spec.name} is not on this machine ({looked}). It is needed for {spec.needed_for}."
    return MissingTool(f"{head} To get it: {spec.how_to_get}")


def script_folders() -> tuple[Path, ...]:
    """Where this Python's console scripts are: beside the executable, and in the scheme's own folder."""
    beside = Path(sys.executable).parent
    scheme = Path(sysconfig.get_path("scripts"))
    return (beside,) if scheme == beside else (beside, scheme)


def _from_wheel(spec: ToolSpec) -> Program | None:
    wheel = spec.wheel
    if wheel is None:
        return None
    if wheel.script:
        path = shutil.which(wheel.script, path=os.pathsep.join(map(str, script_folders())))
        if path:
            return Program(spec, (path,), "pip")
    if _wheel_version(wheel) is None:
        return None
    if wheel.module:
        return Program(spec, (sys.executable, "-m", *wheel.module), "pip")
    if wheel.entry:
        module, function = wheel.entry.split(":")
        code = f"import sys; from {module} import {function}; sys.exit({function}())"
        return Program(spec, (sys.executable, "-c", code), "pip")
    return None


def _wheel_version(wheel: Wheel) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(wheel.distribution)
    except metadata.PackageNotFoundError:
        return None


def wheel_folder(wheel: Wheel, package: str) -> Path | None:
    """Folder of an importable package that the pip package brings; it is not imported."""
    from importlib import metadata

    try:
        folder = Path(str(metadata.distribution(wheel.distribution).locate_file(package)))
    except metadata.PackageNotFoundError:
        return None
    return folder if folder.is_dir() else None


# -- version ---------------------------------------------------------------------------------------


def version(program: Program) -> str:
    """The tool's version, e.g. "0.33"; asked once per executable (path, size, time of change), remembered.

    A pip package's version is its package version: no process is started. A tool that prints no version that
    can be recognised has version "unknown"; one that cannot be started raises as `run` does.
    """
    if program.origin == "pip" and program.spec.wheel:
        found = _wheel_version(program.spec.wheel)
        if found:
            return found
    try:
        status = os.stat(program.command[0])
    except OSError as error:
        raise missing(program.spec, program.path) from error
    key = " ".join(program.command)
    stamp = [status.st_mtime_ns, status.st_size]
    memory = _read_versions()
    known = memory.get(key)
    if isinstance(known, list) and len(known) == 3 and known[:2] == stamp and isinstance(known[2], str):
        return known[2]
    answer = _ask_version(program)
    memory[key] = [*stamp, answer]
    _write_versions(memory)
    return answer


def _ask_version(program: Program) -> str:
    with tempfile.TemporaryDirectory(prefix="kbuild-") as folder:
        log = Path(folder, "version.log")
        done = run(program, program.spec.version_arguments, cwd=Path(folder), log=log,
                   timeout=_VERSION_TIMEOUT, check=False)
        match = re.search(program.spec.version_pattern, done.text())
    return match.group(1) if match else "unknown"


def _versions_file() -> Path:
    return user_cache() / "tool-versions.json"


def _read_versions() -> dict[str, object]:
    try:
        memory = json.loads(_versions_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return memory if isinstance(memory, dict) else {}


def _write_versions(memory: Mapping[str, object]) -> None:
    """Remember; a cache that cannot be written (read-only home, full disk) only costs the next question."""
    path = _versions_file()
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(memory, indent=1, sort_keys=True) + "\n")


# -- running ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """One run of a tool in `cwd` with its whole output in `log`; `env` is added to the environment."""

    program: Program
    arguments: Sequence[str | Path]
    cwd: Path
    log: Path
    env: Mapping[str, str] | None = None

    def command(self) -> tuple[str, ...]:
        return (*self.program.command, *(str(a) for a in self.arguments))


def run(program: Program, arguments: Sequence[str | Path], *, cwd: Path, log: Path,
        project: Path | None = None, timeout: float | None = None, env: Mapping[str, str] | None = None,
        check: bool = True) -> Completed:
    """Run a tool in `cwd` with its whole output in `log`, and return when it is done.

    `project` is the folder that messages give the log's path relative to (default `cwd`). `env` is added to
    the environment. Raises StageError when the return code is not 0 (and `check`), or after `timeout`
    seconds; MissingTool when the program has vanished since it was found. On a timeout or any exception, an
    interrupt included, the tool and all its children in the process group are ended before this returns.
    """
    job = Job(program, arguments, cwd, log, env)
    return run_all([job], project=project, timeout=timeout, check=check)[0]


def run_all(jobs: Sequence[Job], *, at_once: int = 1, project: Path | None = None,
            timeout: float | None = None, check: bool = True) -> list[Completed]:
    """Run jobs, at most `at_once` at a time, started in order; the first failure stops the others.

    `timeout` is for each job; errors and the end of processes are as for `run`.
    """
    waiting = list(reversed(jobs))
    running: list[_Running] = []
    done: dict[int, Completed] = {}
    since = time.monotonic()
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                running.append(_Running(len(jobs) - len(waiting), waiting[-1], timeout))
                waiting.pop()
            ended = [r for r in running if r.ended()]
            running = [r for r in running if r not in ended]
            for finished in ended:
                done[finished.index] = finished.completed(project, check)
            if ended:
                since = time.monotonic()
            elif running:
                waited = time.monotonic() - since
                time.sleep(min(max(waited * _PAUSE_SHARE, _SHORTEST_PAUSE), _LONGEST_PAUSE))
    except _TimedOut as late:
        shown = relative(late.job.log, project or late.job.cwd)
        raise StageError(f"{late.job.program.name} was still running after {timeout:g} s and was stopped.\n"
                         f"  log: {shown}") from None
    finally:
        for unfinished in running:
            _end_group(unfinished.process)
    return [done[index] for index in range(len(jobs))]


class _TimedOut(Exception):
    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.job = job


class _Running:
    """A started job."""

    def __init__(self, index: int, job: Job, timeout: float | None) -> None:
        self.index = index
        self.job = job
        self.started = time.monotonic()
        self.deadline = None if timeout is None else self.started + timeout
        job.log.parent.mkdir(parents=True, exist_ok=True)
        with job.log.open("wb") as output:
            self.process = _start(job, output.fileno())

    def ended(self) -> bool:
        if self.process.poll() is not None:
            return True
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise _TimedOut(self.job)
        return False

    def completed(self, project: Path | None, check: bool) -> Completed:
        job, code = self.job, self.process.returncode
        if code != 0 and check:
            raise StageError(_failure(job.program, code, job.log, relative(job.log, project or job.cwd)))
        return Completed(job.command(), code, time.monotonic() - self.started, job.log)


def _start(job: Job, output: int) -> subprocess.Popen[bytes]:
    program, cwd = job.program, job.cwd
    if not cwd.is_dir():
        raise StageError(f"{program.name} cannot be started in {cwd}: there is no such folder")
    # Messages are searched for "error": they have to be in English.
    environment = {**os.environ, "LC_ALL": "C", **dict(program.env), **(job.env or {})}
    try:
        return subprocess.Popen(job.command(), cwd=cwd, env=environment, stdin=subprocess.DEVNULL,
                                stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    except (FileNotFoundError, PermissionError) as error:
        raise missing(program.spec, program.path) from error
    except OSError as error:
        raise StageError(f"{program.name} at {program.path} cannot be started: {error.strerror}") from error


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Ask the process group to end, then make it. The tool leads its group (start_new_session)."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_TERMINATION_GRACE)
    with contextlib.suppress(ProcessLookupError):  # children that ignore SIGTERM outlive their leader
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _failure(program: Program, code: int, log: Path, shown: str) -> str:
    if code < 0:
        how = f"was ended by {signal.Signals(-code).name}"
        if -code == signal.SIGKILL:
            how += " (out of memory?)"
    else:
        how = f"failed (exit code {code})"
    return "\n".join([f"{program.name} {how}:", *(f"  {line}" for line in first_error(program.spec, log)),
                      f"  log: {shown}"])


def first_error(spec: ToolSpec, log: Path) -> list[str]:
    """The first line of a log that is an error of this tool; without one, the last few lines."""
    pattern = re.compile(spec.error_pattern)
    tail: list[str] = []
    for line in _lines(log):
        if pattern.search(line):
            return [line]
        tail = [*tail[-_TAIL_LINES + 1:], line]
    return tail or ["it printed nothing"]


def _lines(log: Path) -> Iterator[str]:
    with log.open(encoding="utf-8", errors="replace") as text:
        for line in text:
            line = line.strip()
            if line:
                yield line if len(line) <= _LONGEST_LINE else line[:_LONGEST_LINE] + " …"


def relative(path: Path, folder: Path) -> str:
    """How a tool that runs in `folder` names `path`. Symbolic links are followed: `..` means what the system means."""
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()


def write_atomically(path: Path, text: str) -> None:
    """Write a text file whole or not at all: a temporary file in the same folder, renamed."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as output:
            output.write(text)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
