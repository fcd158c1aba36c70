"""The tasks of every recipe in recipes/: `doit list --all`, `doit`, `doit -n 2`, `doit build:digits`."""

from pathlib import Path

from kbuild.flow.tasks import DOIT_CONFIG, tasks_for

__all__ = ["DOIT_CONFIG", "task_kbuild"]


def task_kbuild():
    """One task for each stage of each recipe."""
    yield from tasks_for(*sorted(Path("recipes").glob("*/recipe.yml")))
