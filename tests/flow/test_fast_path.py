"""The stamp of a finished build: nothing that matters may change without it being seen."""

import hashlib
import os
import time
from pathlib import Path

import pytest

from kbuild.flow import fast_path
from kbuild.flow.fast_path import StageState, record, stamp_file, unchanged

STATES = [StageState("a", "validate", None), StageState("a", "synthesize", "no tool")]


@pytest.fixture
def stamped(tmp_path: Path) -> tuple[Path, Path]:
    recipe, model = tmp_path / "recipe.yml", tmp_path / "model.h5"
    recipe.write_text("a: 1\n")
    model.write_bytes(b"weights")
    old = time.time() - 10
    for path in (recipe, model):
        os.utime(path, (old, old))
    record(recipe, [], "report", {path: stamp_file(path) for path in (recipe, model)}, STATES)
    return recipe, model


def test_nothing_changed(stamped: tuple[Path, Path]) -> None:
    assert unchanged(stamped[0], [], "report") == STATES


@pytest.mark.parametrize(("overrides", "to"), [(["A=1"], "report"), ([], "emit")])
def test_other_arguments_are_another_build(stamped: tuple[Path, Path], overrides: list[str], to: str) -> None:
    assert unchanged(stamped[0], overrides, to) is None


@pytest.mark.parametrize("content", [b"Weights", b"weights and more", b""])
def test_a_changed_file_is_seen(stamped: tuple[Path, Path], content: bytes) -> None:
    stamped[1].write_bytes(content)
    assert unchanged(stamped[0], [], "report") is None


def test_a_removed_file_is_seen(stamped: tuple[Path, Path]) -> None:
    stamped[1].unlink()
    assert unchanged(stamped[0], [], "report") is None


def test_a_touched_file_is_not_a_changed_one(stamped: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    stamped[1].touch()
    assert unchanged(stamped[0], [], "report") == STATES
    time.sleep(0.06)
    assert unchanged(stamped[0], [], "report") == STATES  # written anew with the new time, long enough after it
    monkeypatch.setattr(fast_path, "file_digest", lambda path: pytest.fail("the new time was not remembered"))
    assert unchanged(stamped[0], [], "report") == STATES


def test_a_file_written_in_the_tick_of_the_stamp_is_read_again(tmp_path: Path) -> None:
    """Same size, same time, other content: only possible right after the stamp, and then the digest decides."""
    path = tmp_path / "x"
    path.write_text("one")
    record(path, [], "report", {path: stamp_file(path)}, STATES)
    status = path.stat()
    path.write_text("two")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert unchanged(path, [], "report") is None


def test_what_was_written_decides_not_what_is_there_when_it_is_stamped(tmp_path: Path) -> None:
    """A file that someone changes between its writing and its stamp is a changed one."""
    path = tmp_path / "x"
    path.write_bytes(b"two")
    record(path, [], "report", {path: stamp_file(path, hashlib.sha256(b"one").hexdigest())}, STATES)
    assert unchanged(path, [], "report") is None
    record(path, [], "report", {path: stamp_file(path, hashlib.sha256(b"two").hexdigest())}, STATES)
    assert unchanged(path, [], "report") == STATES


@pytest.mark.parametrize("variable", ["CXX", "KERAS_BACKEND", "PYTHONPATH", "VIRTUAL_ENV"])
def test_another_environment_is_seen(
    stamped: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "something else")
    assert unchanged(stamped[0], [], "report") is None


def test_a_new_tool_is_seen(stamped: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "bin" / "vivado_hls"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")
    assert unchanged(stamped[0], [], "report") is None


def test_changed_code_is_seen(stamped: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "kbuild"
    package.mkdir()
    (package / "a.py").write_text("x = 1\n")
    monkeypatch.setattr(fast_path, "_PACKAGE", package)
    assert unchanged(stamped[0], [], "report") is None
    record(stamped[0], [], "report", {stamped[1]: stamp_file(stamped[1])}, STATES)
    assert unchanged(stamped[0], [], "report") == STATES
    (package / "a.py").write_text("x = 12\n")
    assert unchanged(stamped[0], [], "report") is None


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"surroundings": []}', "null"])
def test_a_damaged_stamp_is_no_stamp(stamped: tuple[Path, Path], own_cache: Path, text: str) -> None:
    (file,) = (own_cache / "stamps").iterdir()
    file.write_text(text)
    assert unchanged(stamped[0], [], "report") is None


def test_a_cache_that_cannot_be_written_is_no_error(stamped: tuple[Path, Path], own_cache: Path) -> None:
    for file in (own_cache / "stamps").iterdir():
        file.unlink()
    (own_cache / "stamps").rmdir()
    (own_cache / "stamps").write_text("a file in the way")
    record(stamped[0], [], "report", {}, STATES)
    assert unchanged(stamped[0], [], "report") is None
