"""The stages as doit tasks, `<stage>:<recipe name>`, and `build:<recipe name>` for all of them.

A project's `dodo.py` is three lines:

    from kbuild.flow.tasks import DOIT_CONFIG, tasks_for
    def task_kbuild():
        yield from tasks_for("recipe.yml")
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from kbuild.config import load_recipe
from kbuild.config.build import recipe_name
from kbuild.errors import KbuildError
from kbuild.flow.build import SKIPPED, Build, Event
from kbuild.flow.names import AFTER
from kbuild.flow.progress import line
from kbuild.flow.stages import stage_named

# What is up to date is known from the artifacts: doit has nothing to remember.
DOIT_CONFIG = {"default_tasks": ["build"], "verbosity": 2, "backend": "sqlite3", "dep_file": ":memory:"}
BUILD = "build"


def tasks_for(*recipes: str | Path) -> Iterator[dict[str, Any]]:
    """doit's tasks for recipe files (paths relative to where doit runs). Nothing is read before a task needs it.

    Raises ValueError when two recipes have one name.
    """
    paths = [Path(recipe) for recipe in recipes]
    names = [recipe_name(path.absolute()) for path in paths]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"two recipes are called {', '.join(sorted(twice))}; rename one, for the tasks' names")
    for stage in AFTER:
        yield {"basename": stage, "name": None, "doc": _doc(stage)}
    yield {"basename": BUILD, "name": None, "doc": "all stages that the recipe asks for"}
    for path, name in zip(paths, names, strict=True):
        for stage, needs in AFTER.items():
            yield {
                "basename": stage,
                "name": name,
                "doc": str(path),
                "actions": [(_run, (str(path), stage))],
                "task_dep": [f"{needed}:{name}" for needed in needs],
                "uptodate": [(_is_current, (str(path), stage))],
                "title": _title,
            }
        yield {
            "basename": BUILD,
            "name": name,
            "doc": str(path),
            "actions": None,
            "task_dep": [f"{stage}:{name}" for stage in AFTER],
        }


def _doc(stage: str) -> str:
    return (type(stage_named(stage)).__doc__ or "").splitlines()[0].rstrip(".")


def _title(task: Any) -> str:
    return str(task.name)


@cache
def _builds(path: str) -> list[Build]:
    """The builds of a recipe file, one a document; made once in a process."""
    return [Build(recipe, listener=_tell) for recipe in load_recipe(Path(path))]


def _tell(event: Event) -> None:
    """doit itself shows what runs and what is up to date."""
    # In one write each, or the lines of several processes would run together.
    if event.lasting:
        print(f"{event.stage}:{event.recipe}: {event.detail}\n", end="", flush=True)
    elif event.status == SKIPPED:
        print(f"{line(event, many=True)}\n", end="", flush=True)


def _run(path: str, stage: str) -> Any:
    """doit's action: run a stage; an error is its one message, not a traceback."""
    from doit.exceptions import TaskFailed

    try:
        for build in _builds(path):
            with build.cache.in_use():
                build.run(stage)
    except KbuildError as error:
        print(error, file=sys.stderr, flush=True)
        return TaskFailed(f"{stage} failed", report=False)
    return True


def _is_current(path: str, stage: str) -> bool:
    """doit's `uptodate`. What it depends on has run by then."""
    try:
        return all(build.is_current(stage) for build in _builds(path))
    except KbuildError:
        return False
