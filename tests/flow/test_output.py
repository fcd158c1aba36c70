"""OutputDir: what kbuild wrote is whole and current, what it did not write is untouched."""

import errno
import hashlib
import json
import os
from pathlib import Path

import pytest

from kbuild.errors import StageError
from kbuild.flow import output as output_module
from kbuild.flow.output import Entry, Output


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".kbuild" not in path.parts
    }


@pytest.fixture
def output(tmp_path: Path) -> Output:
    return Output(tmp_path / "out")


def test_published_files_are_current(output: Output) -> None:
    output.publish("emit", Entry("k", {}), {"firmware/a.cpp": b"a", "b.tcl": b"b"}, ())
    assert tree(output.folder) == {"firmware/a.cpp": b"a", "b.tcl": b"b"}
    assert output.current("emit", "k")
    assert not output.current("emit", "other") and not output.current("parse", "k")


@pytest.mark.parametrize("change", ["edit", "remove"])
def test_a_changed_output_is_not_current_and_is_repaired(output: Output, change: str) -> None:
    files = {"firmware/a.cpp": b"a", "b.tcl": b"b"}
    output.publish("emit", Entry("k", {}), files, ())
    victim = output.folder / "firmware" / "a.cpp"
    victim.write_bytes(b"x") if change == "edit" else victim.unlink()
    assert not output.current("emit", "k")
    output.publish("emit", Entry("k", {}), files, ())
    assert output.current("emit", "k") and tree(output.folder) == files


def test_stale_files_go_foreign_files_stay(output: Output) -> None:
    old = {"firmware/old.cpp": b"1", "firmware/deep/x.h": b"2", "keep": b"3"}
    output.publish("emit", Entry("k1", {}, "c1"), old, ())
    (output.folder / "firmware" / "mine.txt").write_text("mine")
    output.publish("emit", Entry("k2", {}, "c2"), {"firmware/new.cpp": b"4", "keep": b"3"}, ())
    assert tree(output.folder) == {"firmware/mine.txt": b"mine", "firmware/new.cpp": b"4", "keep": b"3"}
    assert not (output.folder / "firmware" / "deep").exists()


@pytest.mark.parametrize(("mode", "copied"), [(0o644, False), (0o600, False), (0o755, True), (0o700, True)])
@pytest.mark.parametrize("size", [0, 5, 3 << 20])
def test_copied_files(output: Output, tmp_path: Path, mode: int, copied: bool, size: int) -> None:
    """A file of the cache becomes one of the user's own; a program stays one."""
    made = tmp_path / "made"
    made.write_bytes(os.urandom(size))
    made.chmod(mode)
    output.publish("emit", Entry("k", {}), {"bin/run": made}, ())
    found = output.folder / "bin" / "run"
    assert found.read_bytes() == made.read_bytes() and os.access(found, os.X_OK) is copied
    assert found.stat().st_mode & 0o200 and output.digests() == {found: hashlib.sha256(made.read_bytes()).hexdigest()}


def test_an_unchanged_file_is_not_written_again(output: Output) -> None:
    output.publish("emit", Entry("k1", {}, "c1"), {"a": b"a"}, ())
    before = os.stat(output.folder / "a")
    output.publish("emit", Entry("k2", {}, "c2"), {"a": b"a", "b": b"b"}, ())
    after = os.stat(output.folder / "a")
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_results_of_what_was_before_are_removed(output: Output) -> None:
    output.publish("emit", Entry("k1", {}, "c1"), {"a": b"a"}, ("simulate",))
    output.publish("simulate", Entry("s1", {}), {"reports/simulate.json": b"{}"}, ())
    output.publish("emit", Entry("another clock", {}, "c1"), {"a": b"a"}, ("simulate",))
    assert "reports/simulate.json" in tree(output.folder)
    output.publish("emit", Entry("k2", {}, "c2"), {"a": b"b"}, ("simulate",))
    assert tree(output.folder) == {"a": b"b"}


def test_a_stage_that_is_skipped_takes_its_files_with_it(output: Output) -> None:
    output.publish("synthesize", Entry("k", {}), {"reports/synthesize.json": b"{}"}, ())
    output.retract("synthesize", "skipped", "no tool")
    assert tree(output.folder) == {}
    assert output.entries()["synthesize"].reason == "no tool"


def test_remove_leaves_what_is_not_kbuilds(output: Output) -> None:
    output.publish("emit", Entry("k", {}), {"firmware/a": b"a"}, ())
    (output.folder / "notes.txt").write_text("mine")
    assert output.remove() == [output.folder / "notes.txt"]
    (output.folder / "notes.txt").unlink()
    output.publish("emit", Entry("k", {}), {"firmware/a": b"a"}, ())
    assert output.remove() == [] and not output.folder.exists()


@pytest.mark.parametrize("at", range(6))
def test_a_disk_that_fills_up_half_way(output: Output, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Whichever write fails: every file is old or new, never half; afterwards the build is right."""
    old = {f"f{i}": b"old" * 100 for i in range(4)}
    new = {f"f{i}": b"new" * 100 for i in range(1, 5)}
    output.publish("emit", Entry("k1", {}, "c1"), old, ())
    real, count = os.replace, iter(range(100))

    def refuse(source: Path, target: Path) -> None:
        if next(count) == at:
            raise OSError(errno.ENOSPC, "No space left on device", str(target))
        real(source, target)

    monkeypatch.setattr("kbuild.flow.disk.os.replace", refuse)
    with pytest.raises(StageError, match="disk is full"):
        output.publish("emit", Entry("k2", {}, "c2"), new, ())
    monkeypatch.setattr("kbuild.flow.disk.os.replace", real)
    assert set(tree(output.folder).values()) <= {b"old" * 100, b"new" * 100}
    assert not output.current("emit", "k2")
    if at > 0:
        assert not output.current("emit", "k1")
    assert not [p for p in (output.folder / ".kbuild").rglob("*") if p.is_file() and p.name != "manifest.json"]
    output.publish("emit", Entry("k2", {}, "c2"), new, ())
    assert tree(output.folder) == new and output.current("emit", "k2")


def test_a_folder_in_the_way(output: Output) -> None:
    (output.folder / "a").mkdir(parents=True)
    with pytest.raises(StageError, match="folder where kbuild writes a file"):
        output.publish("emit", Entry("k", {}), {"a": b"a"}, ())


def test_a_link_out_of_the_folder_is_not_followed(output: Output, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    output.folder.mkdir()
    (output.folder / "firmware").symlink_to(elsewhere)
    with pytest.raises(StageError, match="outside"):
        output.publish("emit", Entry("k", {}), {"firmware/a": b"a"}, ())
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"stages": {"emit": 1}}', '{"stages": {"emit": {"x": 1}}}'])
def test_a_damaged_record_means_nothing_is_current(output: Output, text: str) -> None:
    output.publish("emit", Entry("k", {}), {"a": b"a"}, ())
    (output.folder / output_module.PRIVATE / "manifest.json").write_text(text)
    assert not output.current("emit", "k")
    output.publish("emit", Entry("k", {}), {"a": b"a"}, ())
    assert output.current("emit", "k")


def test_a_record_cannot_remove_files_elsewhere(output: Output, tmp_path: Path) -> None:
    """The record lies in a folder that others may write: it must not lead out of it."""
    precious = tmp_path / "precious"
    precious.write_text("x")
    output.publish("emit", Entry("k", {}), {"a": b"a"}, ())
    manifest = output.folder / output_module.PRIVATE / "manifest.json"
    document = json.loads(manifest.read_text())
    document["stages"]["emit"]["files"]["../precious"] = "0"
    manifest.write_text(json.dumps(document))
    output.publish("emit", Entry("k2", {}, "c2"), {"a": b"b"}, ())
    output.remove()
    assert precious.read_text() == "x"
