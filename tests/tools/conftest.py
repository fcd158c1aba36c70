"""Fake tools, first on PATH, and a cache of their own."""

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

DATA = Path(__file__).parent / "data"
FakeTool = Callable[..., Path]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KBUILD_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CXX", raising=False)


@pytest.fixture
def empty_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """PATH with nothing on it but what the test puts there."""
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeTool:
    """`fake(name, body)` puts a Python script called `name` first on PATH; its arguments are in `argv`.

    It appends its command line to `calls.txt` in its own folder.
    """
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def make(name: str, body: str = "") -> Path:
        path = folder / name
        path.write_text(
            f"#!{sys.executable}\n"
            "import json, os, pathlib, shutil, subprocess, sys, time\n"
            "argv = sys.argv[1:]\n"
            f"with open({str(folder / 'calls.txt')!r}, 'a') as calls: calls.write(json.dumps(argv) + '\\n')\n"
            f"DATA = pathlib.Path({str(DATA)!r})\n"
            f"{body}\n"
        )
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    return make
