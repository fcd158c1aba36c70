"""A build that is killed at any moment: the next one is right, and nothing is half there."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SAMPLE, ALL = 5, 50


def command(recipe: Path) -> list[str]:
    return [sys.executable, "-m", "kbuild", "build", str(recipe), "--to", "simulate"]


def tree(folder: Path) -> dict[str, object]:
    """What is in OutputDir but for how long things took."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != "manifest.json":
            found[str(path.relative_to(folder))] = _content(path)
    return found


def _content(path: Path) -> object:
    content = path.read_bytes()
    if path.suffix != ".json":
        return content
    try:
        return _timeless(json.loads(content))
    except ValueError:  # half of a file: equal to no whole one
        return content


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(item) for key, item in value.items() if key not in ("seconds", "status")}
    return [_timeless(item) for item in value] if isinstance(value, list) else value


def kill_after(recipe: Path, delay: float) -> bool:
    """Start a build, kill its process group after `delay` seconds; whether it was still at it."""
    process = subprocess.Popen(command(recipe), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               start_new_session=True)  # fmt: skip
    time.sleep(delay)
    running = process.poll() is None
    if running:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(20)
    return running


def whole(folder: Path, right: dict[str, object]) -> None:
    """What a killed build has left: files are those of a right build, each whole, or not there."""
    if folder.is_dir():
        for name, content in tree(folder).items():
            if not name.startswith(".kbuild"):
                assert content == right[name], f"{name} is half written"


def check(project: Callable[..., Path], own_cache: Path, times: int, seed: int) -> None:
    recipe = project()
    out = recipe.parent / "out"
    started = time.monotonic()
    subprocess.run(command(recipe), check=True, capture_output=True, timeout=300)
    duration = time.monotonic() - started
    right = tree(out)
    rng = random.Random(seed)
    hits = 0
    for round_ in range(times):
        if rng.random() < 0.7:
            shutil.rmtree(own_cache)
        if rng.random() < 0.7:
            shutil.rmtree(out)
        hits += kill_after(recipe, rng.uniform(0, duration))
        whole(out, right)
        done = subprocess.run(command(recipe), capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"round {round_}: {done.stderr}"
        assert tree(out) == right, f"round {round_}"
    assert hits >= times // 3


def test_killed_a_few_times(project: Callable[..., Path], own_cache: Path) -> None:
    check(project, own_cache, SAMPLE, seed=1)


@pytest.mark.slow
def test_killed_fifty_times(project: Callable[..., Path], own_cache: Path) -> None:
    check(project, own_cache, ALL, seed=2)


def test_two_builds_at_once(project: Callable[..., Path], own_cache: Path) -> None:
    """Of one recipe, and of the same recipe with another setting: each ends well, the folder is that of one of them."""
    recipe = project()
    out = recipe.parent / "out"
    other = [*command(recipe), "--set", "HLSConfig.Model.Precision=fixed<12,4>"]
    trees = []
    for words in (command(recipe), other):
        subprocess.run(words, check=True, capture_output=True, timeout=300)
        trees.append(tree(out))
    assert trees[0] != trees[1]
    for pair in ([command(recipe)] * 2, [command(recipe), other]):
        shutil.rmtree(own_cache)
        shutil.rmtree(out)
        processes = [subprocess.Popen(words, stdout=subprocess.DEVNULL) for words in pair]
        assert [process.wait(300) for process in processes] == [0, 0]
        assert tree(out) in trees


def test_an_interrupt_ends_cleanly(project: Callable[..., Path], own_cache: Path, tmp_path: Path) -> None:
    """Ctrl-C and SIGTERM: exit 130, one line, the tools are ended, the next build is right."""
    recipe = project()
    started, slow = tmp_path / "started", tmp_path / "slow-g++"
    slow.write_text(f'#!/bin/sh\ncase "$*" in *-o*) touch {started}; exec sleep 60;; *) exec g++ "$@";; esac\n')
    slow.chmod(0o755)
    for number in (signal.SIGINT, signal.SIGTERM):
        shutil.rmtree(own_cache, ignore_errors=True)
        started.unlink(missing_ok=True)
        process = subprocess.Popen(command(recipe), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   start_new_session=True, env={**os.environ, "CXX": str(slow)})  # fmt: skip
        deadline = time.monotonic() + 60
        while not started.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
        assert (process.returncode, errors) == (130, "kbuild: interrupted\n")
        leftovers = [path for path in (own_cache / "tmp").iterdir()] if (own_cache / "tmp").is_dir() else []
        assert leftovers == []
    subprocess.run(command(recipe), check=True, capture_output=True, timeout=300)
