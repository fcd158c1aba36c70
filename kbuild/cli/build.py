"""`kbuild build`."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kbuild.cli.common import add_allow_code, add_recipe
from kbuild.flow import fast_path
from kbuild.flow.names import STAGE_NAMES

if TYPE_CHECKING:
    from kbuild.flow.build import Build, Event, Listener
    from kbuild.flow.scheduler import Failure


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    add_recipe(parser, many=True)
    add_allow_code(parser)
    parser.add_argument("--to", choices=STAGE_NAMES, default=STAGE_NAMES[-1], metavar="STAGE",
                        help=f"the last stage to run: {', '.join(STAGE_NAMES)} (default: all)")  # fmt: skip
    parser.add_argument("-n", "--jobs", type=_positive, default=None, metavar="JOBS",
                        help="how many stages run at a time (default: the number of processors)")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print what was done as JSON; progress goes to stderr")


def run(given: argparse.Namespace) -> int:
    """Build; the exit code is that of the first failure."""
    known = [fast_path.unchanged(recipe, given.overrides, given.to) for recipe in given.recipe]
    if all(states is not None for states in known):
        states = [state for found in known for state in found or ()]
        return _nothing_to_do(states, given.json)
    return _build(given, given.jobs or os.cpu_count() or 1)


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of jobs")
    return int(text)


def _nothing_to_do(states: Sequence[fast_path.StageState], as_json: bool) -> int:
    if as_json:
        _print_json([(s.recipe, s.stage, "skipped" if s.reason else "up to date", 0.0, s.reason) for s in states], [])
        return 0
    many = len({state.recipe for state in states}) > 1
    for state in states:
        name = f"{state.stage}:{state.recipe}" if many else state.stage
        print(f"{name}: skipped: {state.reason}" if state.reason else f"{name}: up to date")
    return 0


def _build(given: argparse.Namespace, jobs: int) -> int:
    # OpenBLAS' idle threads spin before they sleep, 2^26 cycles where nobody says otherwise: a tenth of the processor's
    # time in a short build, taken from whoever else runs. 2^20 bridges the gap between two products as well.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "20")
    # First of all, while the stack is shallow: CPython's is in pieces, and one is allocated and freed for each call
    # that crosses its end. NumPy's import makes thousands of calls from one depth.
    importlib.import_module("numpy")
    from kbuild.config import load_recipe
    from kbuild.flow import scheduler
    from kbuild.flow.build import Build
    from kbuild.flow.progress import showing

    paths, overrides, to, as_json = given.recipe, given.overrides, given.to, given.json
    events: list[Event] = []
    before = {path: fast_path.stamp_file(path) for path in paths if path.is_file()}
    recipes = [(path, recipe) for path in paths for recipe in load_recipe(path, overrides)]
    with showing(sys.stderr if as_json else sys.stdout, len(recipes) > 1) as show:
        listen = _both(show, events)
        builds = [(path, Build(recipe, listener=listen, allow_code=given.allow_code)) for path, recipe in recipes]
        failures = scheduler.run([build for _, build in builds], scheduler.plan(to), jobs)
    for path in paths:
        own = [build for other, build in builds if other == path]
        if not failures:
            _remember(path, overrides, to, own, {path: before[path]})
    if as_json:
        finished = [(e.recipe, e.stage, e.status, e.seconds, e.detail) for e in events if e.status is not None]
        _print_json(finished, failures)
    return _tell(failures, len(recipes) > 1)


def _both(show: Listener, events: list[Event]) -> Listener:
    def listen(event: Event) -> None:
        events.append(event)
        show(event)

    return listen


def _remember(
    path: Path,
    overrides: Sequence[str],
    to: str,
    builds: Sequence[Build],
    files: dict[Path, fast_path.FileStamp],
) -> None:
    states = []
    for build in builds:
        files |= build.files_read
        with contextlib.suppress(OSError):
            files |= {made: fast_path.stamp_file(made, digest) for made, digest in build.output.digests().items()}
        for stage in STAGE_NAMES[: STAGE_NAMES.index(to) + 1]:
            states.append(fast_path.StageState(build.recipe.name, stage, build.skip(stage)))
    fast_path.record(path, overrides, to, files, states)


def _print_json(
    finished: Sequence[tuple[str, str, str | None, float, str | None]], failures: Sequence[Failure]
) -> None:
    stages = [
        {"recipe": recipe, "stage": stage, "status": status, "seconds": round(seconds, 3), "reason": reason}
        for recipe, stage, status, seconds, reason in finished
    ]
    errors = [{"recipe": f.recipe, "stage": f.stage, "error": str(f.error)} for f in failures]
    print(json.dumps({"stages": stages, "errors": errors}, indent=2))


def _tell(failures: Sequence[Failure], many: bool) -> int:
    """Every failure as one message; what is not kbuild's own error is raised, for the command to report as a bug."""
    from kbuild.errors import KbuildError
    from kbuild.flow.scheduler import exit_code

    for failure in failures:
        if not isinstance(failure.error, KbuildError):
            raise failure.error
        where = f"{failure.recipe}: " if many else ""
        print(f"{where}{failure.error}", file=sys.stderr)
    return exit_code(failures)
