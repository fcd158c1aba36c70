"""Finding, asking for the version of, and running external tools, with fake ones."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from kbuild.errors import MissingTool, StageError
from kbuild.tools.process import (
    Job,
    Program,
    ToolSpec,
    Wheel,
    find,
    first_error,
    locate,
    relative,
    run,
    run_all,
    version,
    write_atomically,
)

SPEC = ToolSpec(
    name="frobnicator",
    programs=("frob", "frob-ng"),
    needed_for="frobnication",
    how_to_get="pip install frob",
    wheel=Wheel("no-such-distribution", script="wheel-frob"),
    variable="FROB",
    version_pattern=r"frob (\d+\.\d+)",
    error_pattern=r"^ERROR",
)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except FileNotFoundError:  # ended just now, or a system without /proc
        return Path("/proc").is_dir() is False


def wait_until(what, seconds=10.0):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


# -- find ----------------------------------------------------------------------------


def test_found_on_path_in_the_order_of_preference(fake):
    second = fake("frob-ng")
    assert find(SPEC).command == (str(second),)
    first = fake("frob")
    assert find(SPEC) == Program(SPEC, (str(first),), "PATH")


def test_environment_variable_wins_and_may_hold_arguments(fake, monkeypatch):
    fake("frob")
    mine = fake("mine")
    monkeypatch.setenv("FROB", "mine --fast 'a b'")
    assert find(SPEC) == Program(SPEC, (str(mine), "--fast", "a b"), "$FROB")
    assert find(SPEC).path == f"{mine} --fast a b"


def test_environment_variable_that_names_nothing_is_not_replaced_silently(fake, monkeypatch):
    fake("frob")
    monkeypatch.setenv("FROB", "not-here")
    with pytest.raises(MissingTool, match=r"\$FROB is 'not-here', which is not a program here"):
        find(SPEC)


def test_missing_says_where_it_looked_and_how_to_get_it(empty_path):
    with pytest.raises(MissingTool) as error:
        find(SPEC)
    assert str(error.value) == (
        "frobnicator is not on this machine (looked for frob, frob-ng on PATH and for the pip package "
        f"no-such-distribution beside {sys.executable}). It is needed for frobnication. To get it: pip install frob"
    )
    assert error.value.exit_code == 3


def test_wheel_script_beside_python(empty_path, tmp_path, monkeypatch):
    scripts = tmp_path / "venv" / "bin"
    scripts.mkdir(parents=True)
    script = scripts / "wheel-frob"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(scripts / "python"))
    assert find(SPEC) == Program(SPEC, (str(script),), "pip")


def test_installed_wheel_without_script_is_run_by_its_entry(empty_path, tmp_path, monkeypatch):
    spec = ToolSpec("x", ("no-such",), "", "", wheel=Wheel("pytest", script=None, entry="json.tool:main"))
    program = find(spec)
    assert program.command[:2] == (sys.executable, "-c") and program.origin == "pip"
    (tmp_path / "x.json").write_text('{"a":1}')
    assert run(program, ["x.json"], cwd=tmp_path, log=tmp_path / "log").text() == '{\n    "a": 1\n}\n'


def test_installed_wheel_with_a_module(empty_path):
    spec = ToolSpec("x", ("no-such",), "", "", wheel=Wheel("pytest", script=None, module=("pytest", "--co")))
    assert find(spec).command == (sys.executable, "-m", "pytest", "--co")


def test_a_file_that_is_not_executable_is_not_found(empty_path):
    (empty_path / "frob").write_text("#!/bin/sh\n")
    assert locate(SPEC) is None


# -- version -------------------------------------------------------------------------


def calls(path: Path) -> int:
    return len((path.parent / "calls.txt").read_text().splitlines())


def test_version_is_asked_once_per_file(fake):
    path = fake("frob", "print('This is frob 3.14 (built today)')")
    assert version(find(SPEC)) == "3.14" and version(find(SPEC)) == "3.14"
    assert calls(path) == 1
    fake("frob", "print('frob 3.15')")
    os.utime(path, ns=(1, 1))
    assert version(find(SPEC)) == "3.15"
    assert calls(path) == 2


def test_version_unknown_when_the_tool_prints_none(fake):
    fake("frob", "print('hello'); sys.exit(3)")
    assert version(find(SPEC)) == "unknown"


def test_version_of_a_wheel_starts_no_process(monkeypatch):
    def no_process(*_args, **_keywords):
        raise AssertionError("started a process")

    monkeypatch.setattr("subprocess.Popen", no_process)
    program = Program(ToolSpec("x", (), "", "", wheel=Wheel("pytest", script=None)), ("/no/where",), "pip")
    assert version(program) == pytest.__version__


@pytest.mark.parametrize("damage", ["", "[]", "{", '{"%s": [1]}', '{"%s": [1, 2, 3]}'])
def test_damaged_memory_of_versions_is_made_anew(fake, tmp_path, damage):
    path = fake("frob", "print('frob 1.0')")
    memory = tmp_path / "cache" / "tool-versions.json"
    memory.parent.mkdir()
    memory.write_text(damage.replace("%s", str(path)))
    assert version(find(SPEC)) == "1.0" and version(find(SPEC)) == "1.0"
    assert calls(path) == 1


def test_cache_that_cannot_be_written_costs_nothing_but_time(fake, tmp_path, monkeypatch):
    path = fake("frob", "print('frob 1.0')")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KBUILD_CACHE", str(tmp_path / "file" / "below"))
    assert version(find(SPEC)) == "1.0" and version(find(SPEC)) == "1.0"
    assert calls(path) == 2


# -- run -----------------------------------------------------------------------------


def test_output_goes_to_the_log_in_order(fake, tmp_path):
    fake("frob", "print('one', flush=True); print('two', file=sys.stderr, flush=True); print(*argv, os.getcwd())")
    done = run(find(SPEC), ["a b", Path("c")], cwd=tmp_path, log=tmp_path / "deep" / "frob.log")
    assert done.text() == f"one\ntwo\na b c {tmp_path}\n"
    assert done.returncode == 0 and done.seconds > 0
    assert done.command[1:] == ("a b", "c")


def test_arguments_meet_no_shell(fake, tmp_path):
    fake("frob", "print(json.dumps(argv))")
    done = run(find(SPEC), ["$(touch x); `touch y`", "*", "> z"], cwd=tmp_path, log=tmp_path / "logs" / "frob.log")
    assert done.text() == '["$(touch x); `touch y`", "*", "> z"]\n'
    assert not any((tmp_path / name).exists() for name in "xyz")


def test_failure_shows_the_first_error_and_the_log(fake, tmp_path):
    fake("frob", "print('Loading\\nnote: ERROR is not at the start\\n  ERROR: first\\nERROR: second'); sys.exit(7)")
    with pytest.raises(StageError) as error:
        run(find(SPEC), [], cwd=tmp_path, log=tmp_path / "out" / "frob.log", project=tmp_path)
    assert str(error.value) == "frobnicator failed (exit code 7):\n  ERROR: first\n  log: out/frob.log"
    assert error.value.exit_code == 1


def test_failure_without_a_known_error_shows_the_end(fake, tmp_path):
    fake("frob", "print(*range(20), sep='\\n'); sys.exit(1)")
    with pytest.raises(StageError) as error:
        run(find(SPEC), [], cwd=tmp_path, log=tmp_path / "frob.log")
    assert str(error.value).splitlines()[1:-1] == ["  15", "  16", "  17", "  18", "  19"]


def test_silent_failure(fake, tmp_path):
    fake("frob", "sys.exit(1)")
    with pytest.raises(StageError, match="it printed nothing"):
        run(find(SPEC), [], cwd=tmp_path, log=tmp_path / "frob.log")


def test_failure_can_be_looked_at(fake, tmp_path):
    fake("frob", "sys.exit(4)")
    assert run(find(SPEC), [], cwd=tmp_path, log=tmp_path / "frob.log", check=False).returncode == 4


def test_killed_by_a_signal(fake, tmp_path):
    fake("frob", "os.kill(os.getpid(), 9)")
    with pytest.raises(StageError, match=r"was ended by SIGKILL \(out of memory\?\)"):
        run(find(SPEC), [], cwd=tmp_path, log=tmp_path / "frob.log")


def test_log_of_bytes_that_are_no_text(fake, tmp_path):
    fake("frob", "sys.stdout.buffer.write(b'\\xff\\xfe\\nERROR \\xe9\\n' + b'x' * 3000); sys.exit(1)")
    with pytest.raises(StageError, match="ERROR �"):
        run(find(SPEC), [], cwd=tmp_path, log=tmp_path / "frob.log")


def test_long_lines_are_cut(tmp_path):
    log = tmp_path / "log"
    log.write_text("ERROR " + "x" * 100_000)
    (line,) = first_error(SPEC, log)
    assert len(line) < 600 and line.endswith("…")


def test_messages_are_asked_for_in_english(fake, tmp_path, monkeypatch):
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    fake("frob", "print(os.environ['LC_ALL'], os.environ['MORE'])")
    done = run(find(SPEC), [], cwd=tmp_path, log=tmp_path / "log", env={"MORE": "yes"})
    assert done.text() == "C yes\n"


def test_standard_input_is_empty(fake, tmp_path):
    fake("frob", "print(repr(sys.stdin.read()))")
    assert run(find(SPEC), [], cwd=tmp_path, log=tmp_path / "log", timeout=20).text() == "''\n"


FAMILY = """
deaf = 'import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(99)'
child = subprocess.Popen([sys.executable, '-c', deaf])
pathlib.Path('pids.txt.new').write_text(f'{os.getpid()} {child.pid}')
os.rename('pids.txt.new', 'pids.txt')
print('working', flush=True)
time.sleep(99)
"""


def family(folder: Path) -> list[int]:
    return [int(pid) for pid in (folder / "pids.txt").read_text().split()]


def test_timeout_ends_the_whole_group(fake, tmp_path):
    fake("frob", FAMILY)
    with pytest.raises(StageError) as error:
        run(find(SPEC), [], cwd=tmp_path, log=tmp_path / "frob.log", timeout=1.5)
    assert str(error.value) == "frobnicator was still running after 1.5 s and was stopped.\n  log: frob.log"
    assert (tmp_path / "frob.log").read_text() == "working\n"
    for pid in family(tmp_path):
        wait_until(lambda pid=pid: not alive(pid))


def test_interrupt_ends_the_whole_group(fake, tmp_path):
    fake("frob", FAMILY)

    def interrupt() -> None:
        wait_until((tmp_path / "pids.txt").exists)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        run(find(SPEC), [], cwd=tmp_path, log=tmp_path / "frob.log", timeout=60)
    for pid in family(tmp_path):
        wait_until(lambda pid=pid: not alive(pid))


def test_vanished_since_it_was_found(fake, tmp_path):
    path = fake("frob")
    program = find(SPEC)
    path.unlink()
    with pytest.raises(MissingTool, match=f"was found at {path}, but is gone or cannot be started now.*pip install"):
        run(program, [], cwd=tmp_path, log=tmp_path / "frob.log")
    with pytest.raises(MissingTool, match="is gone"):
        version(program)


def test_interpreter_of_a_script_has_vanished(fake, tmp_path):
    path = fake("frob")
    path.write_text("#!/no/such/interpreter\n")
    with pytest.raises(MissingTool, match="cannot be started"):
        run(find(SPEC), [], cwd=tmp_path, log=tmp_path / "frob.log")


def test_not_a_program(fake, tmp_path):
    path = fake("frob")
    path.write_bytes(b"\x7fELF garbage")
    with pytest.raises(StageError, match="cannot be started: "):
        run(find(SPEC), [], cwd=tmp_path, log=tmp_path / "frob.log")


def test_no_folder_to_run_in(fake, tmp_path):
    fake("frob")
    with pytest.raises(StageError, match="there is no such folder"):
        run(find(SPEC), [], cwd=tmp_path / "nowhere", log=tmp_path / "frob.log")


# -- several -------------------------------------------------------------------------


def jobs(folder: Path, *names: str) -> list[Job]:
    return [Job(find(SPEC), [name], folder, folder / f"{name}.log") for name in names]


def test_jobs_run_together_and_come_back_in_order(fake, tmp_path):
    meet = "pathlib.Path(argv[0]).touch()\nwhile not (os.path.exists('a') and os.path.exists('b')): time.sleep(0.01)"
    fake("frob", meet + "\nprint('met', *argv)")
    done = run_all(jobs(tmp_path, "a", "b"), at_once=2, timeout=30)
    assert [d.text() for d in done] == ["met a\n", "met b\n"]


def test_never_more_at_once_than_allowed(fake, tmp_path):
    fake("frob", "os.mkdir('busy'); time.sleep(0.05); os.rmdir('busy')")
    assert len(run_all(jobs(tmp_path, *"abcde"), at_once=1)) == 5


def test_the_first_failure_stops_the_others(fake, tmp_path):
    fails = "while argv == ['b']:\n    if os.path.exists('pids.txt'): print('ERROR in b'); sys.exit(1)\n"
    fake("frob", fails + FAMILY)
    with pytest.raises(StageError, match="ERROR in b"):
        run_all(jobs(tmp_path, "a", "b", "c"), at_once=2, timeout=30)
    assert not (tmp_path / "c.log").exists()
    for pid in family(tmp_path):
        wait_until(lambda pid=pid: not alive(pid))


# -- paths and files -----------------------------------------------------------------


def test_relative_follows_links(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "a" / "b")
    (tmp_path / "x.v").write_text("")
    assert relative(tmp_path / "x.v", tmp_path / "link") == "../../x.v"


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    write_atomically(tmp_path / "f", "1")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(tmp_path / "f", "2" * 100_000 + "\ud800")
    assert (tmp_path / "f").read_text() == "1"
    assert [p.name for p in tmp_path.glob(".f*")] == []
