"""The same stages through doit."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kbuild.flow.names import STAGE_NAMES
from kbuild.flow.tasks import tasks_for

RAN = re.compile(r"\.  (\w+:\w+)")  # of several processes: not always at the beginning of a line
DODO = """\
from kbuild.flow.tasks import DOIT_CONFIG, tasks_for
def task_kbuild():
    yield from tasks_for("recipe.yml")
"""


def doit(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "doit", *words], cwd=folder, capture_output=True, text=True,
                          timeout=300)  # fmt: skip


@pytest.fixture
def recipe(project: Callable[..., Path]) -> Path:
    path = project()
    (path.parent / "dodo.py").write_text(DODO)
    return path


def test_names(tmp_path: Path) -> None:
    (tmp_path / "digits").mkdir()
    tasks = list(tasks_for(tmp_path / "digits" / "recipe.yml", tmp_path / "other.yml"))
    names = {f"{task['basename']}:{task['name']}" for task in tasks if task["name"]}
    assert names == {f"{stage}:{recipe}" for stage in (*STAGE_NAMES, "build") for recipe in ("digits", "other")}


def test_two_recipes_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="digits"):
        list(tasks_for(tmp_path / "a" / "digits.yml", tmp_path / "b" / "digits.yml"))


@pytest.mark.parametrize("jobs", [(), ("-n", "2")])
def test_runs_once(recipe: Path, jobs: tuple[str, ...]) -> None:
    first = doit(recipe.parent, *jobs)
    assert first.returncode == 0, first.stderr
    assert "synthesize: skipped" in first.stdout.replace("synthesize:digits: skipped", "synthesize: skipped")
    assert (recipe.parent / "out" / "reports" / "build.json").is_file()
    again = doit(recipe.parent, *jobs)
    ran = set(RAN.findall(again.stdout))
    assert ran == {"synthesize:digits"}, again.stdout  # which is skipped, and says so every time
    command = subprocess.run([sys.executable, "-m", "kbuild", "build", "recipe.yml"], cwd=recipe.parent,
                             capture_output=True, text=True, timeout=300)  # fmt: skip
    assert "simulate: up to date" in command.stdout and command.returncode == 0
    assert sorted(path.name for path in recipe.parent.iterdir() if path.name.startswith(".")) == []


def test_one_task_brings_what_it_needs(recipe: Path) -> None:
    done = doit(recipe.parent, "emit:digits")
    assert done.returncode == 0, done.stderr
    ran = RAN.findall(done.stdout)
    assert ran == ["validate:digits", "parse:digits", "optimize:digits", "emit:digits"]


def test_list(recipe: Path) -> None:
    listed = doit(recipe.parent, "list", "--all", "-q").stdout.split()
    assert set(listed) >= {f"{stage}:digits" for stage in STAGE_NAMES} | {"build", "build:digits"}


def test_a_wrong_recipe_is_one_message(recipe: Path) -> None:
    recipe.write_text(recipe.read_text().replace("Vitis", "Vitiss"))
    done = doit(recipe.parent)
    assert done.returncode != 0
    assert "recipe.yml:4:10: Backend" in done.stderr and "Traceback" not in done.stdout + done.stderr
    assert not (recipe.parent / "out").exists()
