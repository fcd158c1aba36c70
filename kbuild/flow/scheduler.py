"""Runs stages of recipes in the order of what they need, several at a time."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from itertools import pairwise
from typing import TYPE_CHECKING

from kbuild.dataclass import dataclass
from kbuild.errors import KbuildError
from kbuild.flow.build import Build
from kbuild.flow.names import AFTER, STAGE_NAMES

if TYPE_CHECKING:
    from queue import SimpleQueue

Task = tuple[Build, str]
_PATIENCE = 10.0  # seconds for a stage that is interrupted to end its tools


@dataclass(frozen=True)
class Failure:
    """A stage that failed; the stages that need it were not run."""

    recipe: str
    stage: str
    error: BaseException


def plan(to: str) -> tuple[str, ...]:
    """The stages of `build --to`: all up to and including that one, in the published order."""
    return STAGE_NAMES[: STAGE_NAMES.index(to) + 1]


def run(builds: Sequence[Build], stages: Sequence[str], jobs: int = 1) -> list[Failure]:
    """Run the stages of every build, at most `jobs` at a time; return what failed, in order.

    A failure stops the stages of its recipe that need it, and nothing else. An interrupt ends what is running.
    """
    with ExitStack() as held:
        for build in sorted(builds, key=lambda b: str(b.recipe.output_dir)):  # one order: no two builds lock crosswise
            held.enter_context(build.session(stages))
        if jobs <= 1 or (len(builds) == 1 and _is_chain(stages)):
            return _one_by_one(builds, stages)
        return _Parallel(builds, stages, jobs).run()


def _is_chain(stages: Sequence[str]) -> bool:
    """Whether each stage needs the one before it, so that no two can run at once."""
    return all(before in AFTER[stage] for before, stage in pairwise(stages))


def _one_by_one(builds: Sequence[Build], stages: Sequence[str]) -> list[Failure]:
    failures: list[Failure] = []
    for build in builds:
        failed: set[str] = set()
        for stage in stages:
            if failed.intersection(AFTER[stage]):
                failed.add(stage)
                continue
            try:
                build.run(stage)
            except Exception as error:
                failures.append(_failure(build, stage, error))
                failed.add(stage)
    return failures


def _failure(build: Build, stage: str, error: BaseException) -> Failure:
    return Failure(build.recipe.name, stage, error)


class _Parallel:
    """The same with a thread for each running stage. Tools are processes and NumPy works without Python's lock."""

    def __init__(self, builds: Sequence[Build], stages: Sequence[str], jobs: int) -> None:
        from queue import SimpleQueue  # which stages one after the other do without

        self._waiting: list[Task] = [(build, stage) for build in builds for stage in stages]
        self._running: dict[threading.Thread, Task] = {}
        self._ended: SimpleQueue[tuple[threading.Thread, BaseException | None]] = SimpleQueue()
        self._finished: set[tuple[int, str]] = set()
        self._failed: set[tuple[int, str]] = set()
        self._failures: list[Failure] = []
        self._jobs = jobs

    def run(self) -> list[Failure]:
        try:
            self._start()
            while self._running:
                self._collect(*self._ended.get())
                self._start()
        except BaseException:
            _interrupt(self._running)
            raise
        return self._failures

    def _start(self) -> None:
        """Start what can start; drop what needs something that has failed."""
        for task in list(self._waiting):
            build, stage = task
            needs = [(id(build), name) for name in AFTER[stage]]
            if self._failed.intersection(needs):
                self._failed.add((id(build), stage))
                self._waiting.remove(task)
            elif len(self._running) < self._jobs and self._finished.issuperset(needs):
                thread = threading.Thread(target=self._work, args=task, daemon=True)
                self._running[thread] = task
                self._waiting.remove(task)
                thread.start()

    def _work(self, build: Build, stage: str) -> None:
        error: BaseException | None = None
        try:
            build.run(stage)
        except BaseException as raised:
            error = raised
        self._ended.put((threading.current_thread(), error))

    def _collect(self, thread: threading.Thread, error: BaseException | None) -> None:
        build, stage = self._running.pop(thread)
        if error is None:
            self._finished.add((id(build), stage))
        elif isinstance(error, Exception):
            self._failures.append(_failure(build, stage, error))
            self._failed.add((id(build), stage))
        else:
            raise error


def _interrupt(threads: Iterable[threading.Thread]) -> None:
    """Raise KeyboardInterrupt in stages' threads and wait for them: each ends the tools it has started.

    Python delivers an interrupt to the main thread only; this is its own way to pass it on.
    """
    running = {thread.ident: thread for thread in threads if thread.ident is not None}
    for ident in running:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(KeyboardInterrupt))
    for thread in running.values():
        thread.join(_PATIENCE)


def exit_code(failures: Sequence[Failure]) -> int:
    """The command's exit code: that of the first failure; 1 for what is no error of kbuild's own."""
    for failure in failures:
        return failure.error.exit_code if isinstance(failure.error, KbuildError) else 1
    return 0
