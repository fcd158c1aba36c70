"""The artifact cache: whole or not there, verified, made once."""

import errno
import multiprocessing
import os
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from kbuild.errors import StageError
from kbuild.flow.cache import MANIFEST, Cache


def write(folder: Path, text: str = "content") -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "a.txt").write_text(text)
    (folder / "b.bin").write_bytes(bytes(range(256)))


def test_what_was_made_is_found(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    made = cache.get("parse", "k1", write)
    found = cache.get("parse", "k1", lambda folder: pytest.fail("made twice"))
    assert made.fresh and not found.fresh
    assert found.files == made.files and set(found.files) == {"b.bin", "sub/a.txt"}
    assert found.text("sub/a.txt") == "content"
    assert found.digest == made.digest
    assert cache.find("parse", "k2") is None and cache.find("emit", "k1") is None


def test_the_digest_is_of_the_content(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    one, same = cache.get("s", "a", write), cache.get("s", "b", write)
    other = cache.get("s", "c", lambda folder: write(folder, "other"))
    assert one.digest == same.digest != other.digest


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "manifest", "no manifest"])
def test_a_damaged_artifact_is_made_anew(tmp_path: Path, damage: str) -> None:
    cache = Cache(tmp_path)
    made = cache.get("s", "k", write)
    victim = made.path("b.bin")
    if damage == "flip":
        victim.write_bytes(bytes(255) + b"x")
    elif damage == "truncate":
        victim.write_bytes(b"")
    elif damage == "remove":
        victim.unlink()
    elif damage == "manifest":
        made.path(MANIFEST).write_text("{ not json")
    else:
        made.path(MANIFEST).unlink()
    assert cache.find("s", "k") is None
    again = cache.get("s", "k", write)
    assert again.fresh and again.files == made.files
    assert cache.find("s", "k") is not None


def test_a_failing_maker_leaves_nothing(tmp_path: Path) -> None:
    cache = Cache(tmp_path)

    def fail(folder: Path) -> None:
        write(folder)
        raise StageError("no")

    with pytest.raises(StageError, match="no"):
        cache.get("s", "k", fail)
    assert cache.find("s", "k") is None
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_disk_that_refuses_is_named(tmp_path: Path, code: int) -> None:
    cache = Cache(tmp_path)

    def full(folder: Path) -> None:
        write(folder)
        raise OSError(code, os.strerror(code), str(folder / "x"))

    with pytest.raises(StageError, match=r"disk is full|quota|read-only"):
        cache.get("s", "k", full)
    assert cache.find("s", "k") is None
    assert list((tmp_path / "tmp").iterdir()) == []


def test_an_error_of_another_kind_stays_what_it_is(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        raise FileNotFoundError(errno.ENOENT, "gone")

    with pytest.raises(FileNotFoundError):
        Cache(tmp_path).get("s", "k", fail)


def slow_writer(root: Path, log: Path) -> None:
    def make(folder: Path) -> None:
        with log.open("a") as file:
            file.write("made\n")
        time.sleep(0.3)
        write(folder)

    Cache(root).get("s", "k", make)


def test_two_processes_make_it_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=slow_writer, args=(tmp_path / "cache", log)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(20)
    assert [process.exitcode for process in processes] == [0] * 4
    assert log.read_text() == "made\n"


def test_the_scratch_of_a_dead_process_is_removed(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    process = multiprocessing.get_context("fork").Process(target=_die_while_making, args=(tmp_path,))
    process.start()
    process.join(20)
    assert process.exitcode == 9
    assert len(list((tmp_path / "tmp").iterdir())) == 1
    made = cache.get("s", "k", write)
    assert made.fresh
    assert list((tmp_path / "tmp").iterdir()) == []


def _die_while_making(root: Path) -> None:
    def make(folder: Path) -> None:
        write(folder)
        os._exit(9)

    Cache(root).get("s", "k", make)


def test_prune_removes_what_is_unused(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    old, new = cache.get("s", "old", write), cache.get("s", "new", write)
    os.utime(old.folder, (1, 1))
    assert cache.prune(days=1) > 256
    assert cache.find("s", "old") is None and cache.find("s", "new") is not None
    os.utime(new.folder, (1, 1))
    assert cache.find("s", "new") is not None  # a use counts
    assert cache.prune(days=1) == 0
    assert cache.find("s", "new") is not None


def test_clear_removes_everything(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.get("s", "k", write)
    (tmp_path / "stamps").mkdir()
    (tmp_path / "stamps" / "x").write_text("x")
    assert cache.clear() > 256
    assert cache.find("s", "k") is None and sum(found.artifacts for found in cache.usage()) == 0
    assert not (tmp_path / "stamps").exists()


def test_clearing_waits_for_builds(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.get("s", "k", write)
    context = multiprocessing.get_context("fork")
    holding, waiting = context.Event(), context.Event()
    process = context.Process(target=_use, args=(tmp_path, holding, waiting))
    process.start()
    assert holding.wait(20)
    cache.clear(waiting.set)  # returns once the other process, told that it is waited for, has let go
    assert waiting.is_set()
    process.join(20)
    assert process.exitcode == 0


def _use(root: Path, holding: Event, waiting: Event) -> None:
    cache = Cache(root)
    with cache.in_use():
        holding.set()
        assert waiting.wait(20)
        assert cache.find("s", "k") is not None


def test_an_empty_cache_is_no_error(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "none")
    assert cache.usage() == [] and cache.prune() == 0
