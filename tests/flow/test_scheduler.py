"""The scheduler: order, independence, failures, interrupts."""

import contextlib
import threading
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from kbuild.errors import MissingTool, StageError
from kbuild.flow import scheduler
from kbuild.flow.names import AFTER, STAGE_NAMES, descendants
from kbuild.flow.stages import stage_named


class FakeBuild:
    """Records what runs; `errors` by stage; `wait` is how long a stage takes."""

    def __init__(self, name: str = "a", errors: dict[str, BaseException] | None = None, wait: float = 0.0) -> None:
        self.recipe = SimpleNamespace(name=name, output_dir=Path(name))
        self.errors, self.wait = errors or {}, wait
        self.log: list[tuple[str, str]] = []
        self.lock = threading.Lock()

    @contextlib.contextmanager
    def session(self, stages: Collection[str]) -> Iterator[None]:
        yield

    def run(self, stage: str) -> str:
        with self.lock:
            self.log.append(("start", stage))
        time.sleep(self.wait)
        with self.lock:
            self.log.append(("end", stage))
        if stage in self.errors:
            raise self.errors[stage]
        return "done"

    def ran(self) -> set[str]:
        return {stage for _, stage in self.log}


def run(builds: list[FakeBuild], to: str = "report", jobs: int = 1) -> list[scheduler.Failure]:
    return scheduler.run(builds, scheduler.plan(to), jobs)  # type: ignore[arg-type]


def test_the_published_order() -> None:
    for stage, needs in AFTER.items():
        assert stage_named(stage).name == stage
        assert all(STAGE_NAMES.index(needed) < STAGE_NAMES.index(stage) for needed in needs)
    assert scheduler.plan("optimize") == ("validate", "parse", "optimize")
    assert scheduler.plan("report") == STAGE_NAMES
    assert descendants("emit") == ("simulate", "synthesize", "report")


@pytest.mark.parametrize("jobs", [1, 2, 8])
def test_nothing_starts_before_what_it_needs(jobs: int) -> None:
    builds = [FakeBuild(name, wait=0.01) for name in "abc"]
    assert run(builds, jobs=jobs) == []
    for build in builds:
        assert build.ran() == set(STAGE_NAMES)
        for stage in STAGE_NAMES:
            start = build.log.index(("start", stage))
            assert all(build.log.index(("end", needed)) < start for needed in AFTER[stage])


@pytest.mark.parametrize(("to", "threads"), [("validate", False), ("emit", False), ("report", True)])
def test_stages_that_wait_for_one_another_need_no_threads(to: str, threads: bool) -> None:
    """Only simulation and synthesis of one recipe can run at once."""
    found = set()

    class Watched(FakeBuild):
        def run(self, stage: str) -> str:
            found.add(threading.current_thread() is not threading.main_thread())
            return super().run(stage)

    build = Watched()
    assert run([build], to, jobs=8) == []
    assert found == {threads} and build.ran() == set(scheduler.plan(to))


def test_two_jobs_run_at_once_and_never_three() -> None:
    builds = [FakeBuild(name, wait=0.02) for name in "abc"]
    running, most = 0, 0
    lock = threading.Lock()

    def counted(original: FakeBuild) -> None:
        real = original.run

        def wrapped(stage: str) -> str:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            try:
                return real(stage)
            finally:
                with lock:
                    running -= 1

        original.run = wrapped  # type: ignore[method-assign]

    for build in builds:
        counted(build)
    run(builds, jobs=2)
    assert most == 2


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("stage", STAGE_NAMES)
def test_a_failure_stops_what_needs_it_and_nothing_else(jobs: int, stage: str) -> None:
    bad, good = FakeBuild("bad", {stage: StageError("broken")}), FakeBuild("good")
    (failure,) = run([bad, good], jobs=jobs)
    assert (failure.recipe, failure.stage, str(failure.error)) == ("bad", stage, "broken")
    blocked = {name for name in STAGE_NAMES if _needs(name, stage)}
    assert bad.ran() == set(STAGE_NAMES) - blocked
    assert good.ran() == set(STAGE_NAMES)


def _needs(name: str, other: str) -> bool:
    after = AFTER[name]
    return other in after or any(_needs(needed, other) for needed in after)


def test_the_exit_code_is_that_of_the_first_failure() -> None:
    failures = [
        scheduler.Failure("a", "synthesize", MissingTool("x")), scheduler.Failure("b", "emit", StageError("y")),
    ]  # fmt: skip
    assert scheduler.exit_code(failures) == 3
    assert scheduler.exit_code(failures[1:]) == 1
    assert scheduler.exit_code([scheduler.Failure("a", "emit", ValueError("bug"))]) == 1
    assert scheduler.exit_code([]) == 0


def test_an_interrupt_reaches_running_stages() -> None:
    """The stage that runs in another thread is interrupted, too, and quickly: it would have to end its tools."""
    reached = threading.Event()

    class Interrupted(FakeBuild):
        def run(self, stage: str) -> str:
            if stage == "simulate":
                try:
                    for _ in range(1000):
                        time.sleep(0.01)
                except KeyboardInterrupt:
                    reached.set()
                    raise
            if stage == "synthesize":
                time.sleep(0.1)
                raise KeyboardInterrupt
            return "done"

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run([Interrupted()], jobs=2)
    assert reached.is_set() and time.monotonic() - started < 5
