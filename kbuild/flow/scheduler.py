"""Runs stages of recipes in the order of what they need, several at a time."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass

from kbuild.errors import KbuildError
from kbuild.flow.build import Build
from kbuild.flow.names import STAGE_NAMES
from kbuild.flow.stages import stage_named

Task = tuple[Build, str]


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
        if jobs <= 1:
            return _one_by_one(builds, stages)
        return _Parallel(builds, stages, jobs).run()


def _one_by_one(builds: Sequence[Build], stages: Sequence[str]) -> list[Failure]:
    failures: list[Failure] = []
    for build in builds:
        failed: set[str] = set()
        for stage in stages:
            if failed.intersection(stage_named(stage).after):
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
        self._waiting: list[Task] = [(build, stage) for build in builds for stage in stages]
        self._running: dict[Future[str], Task] = {}
        self._finished: set[tuple[int, str]] = set()
        self._failed: set[tuple[int, str]] = set()
        self._failures: list[Failure] = []
        self._jobs = jobs

    def run(self) -> list[Failure]:
        with ThreadPoolExecutor(self._jobs, thread_name_prefix="kbuild-stage") as pool:
            try:
                while self._waiting or self._running:
                    self._start(pool)
                    for future in wait(self._running, timeout=1.0, return_when=FIRST_COMPLETED).done:
                        self._collect(future)
            except BaseException:
                self._waiting.clear()
                _interrupt_stages()
                raise
        return self._failures

    def _start(self, pool: ThreadPoolExecutor) -> None:
        for task in list(self._waiting):
            build, stage = task
            needs = [(id(build), name) for name in stage_named(stage).after]
            if self._failed.intersection(needs):
                self._failed.add((id(build), stage))
                self._waiting.remove(task)
            elif len(self._running) < self._jobs and self._finished.issuperset(needs):
                self._running[pool.submit(build.run, stage)] = task
                self._waiting.remove(task)

    def _collect(self, future: Future[str]) -> None:
        build, stage = self._running.pop(future)
        error = future.exception()
        if error is None:
            self._finished.add((id(build), stage))
        elif isinstance(error, Exception):
            self._failures.append(_failure(build, stage, error))
            self._failed.add((id(build), stage))
        else:
            raise error


def _interrupt_stages() -> None:
    """Raise KeyboardInterrupt in every stage's thread, so that each ends the tools it has started.

    Python delivers an interrupt to the main thread only; this is its own way to pass it on.
    """
    for thread in threading.enumerate():
        if thread.name.startswith("kbuild-stage") and thread.ident is not None:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(thread.ident), ctypes.py_object(KeyboardInterrupt)
            )


def exit_code(failures: Sequence[Failure]) -> int:
    """The command's exit code: that of the first failure; 1 for what is no error of kbuild's own."""
    for failure in failures:
        return failure.error.exit_code if isinstance(failure.error, KbuildError) else 1
    return 0
