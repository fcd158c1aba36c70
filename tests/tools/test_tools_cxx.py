"""The C++ compiler: command lines with a fake one, libraries and errors with the real one."""

import ctypes
import json
import platform
from pathlib import Path

import pytest

from kbuild.errors import MissingTool, StageError
from kbuild.tools import cxx
from kbuild.tools.cxx import Options, compile_objects, compile_shared

NATIVE = "-march=native" if platform.machine() == "x86_64" else "-mcpu=native"
WRITES_OUTPUT = "pathlib.Path(argv[argv.index('-o') + 1]).write_text('made')"


def lines(folder: Path) -> list[list[str]]:
    return [json.loads(line) for line in (folder / "bin" / "calls.txt").read_text().splitlines()]


def source(folder: Path, name: str, text: str = "") -> Path:
    path = folder / "src" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_command_line_of_one_source(fake, tmp_path):
    fake("g++", WRITES_OUTPUT)
    options = Options(include_dirs=(tmp_path / "inc",), defines=("N=3",), flags=("-fno-math-errno",))
    made = compile_shared([source(tmp_path, "a.cpp")], tmp_path / "out" / "lib.so", build_dir=tmp_path / "b",
                          log_dir=tmp_path / "logs", options=options)
    assert made.read_text() == "made"
    (line,) = lines(tmp_path)
    assert line[:-1] == ["-std=c++17", "-O3", NATIVE, "-fPIC", "-pthread", "-I../inc", "-DN=3", "-fno-math-errno",
                         "-shared", "../src/a.cpp", "-o"]
    assert line[-1].startswith("../out/.lib.so.")
    assert [p.name for p in made.parent.iterdir()] == ["lib.so"]


def test_command_lines_of_several_sources_largest_first(fake, tmp_path):
    fake("g++", WRITES_OUTPUT)
    sources = [source(tmp_path, "a.cpp"), source(tmp_path, "b.cpp", "// larger")]
    extra = source(tmp_path, "extra.o")
    compile_shared(sources, tmp_path / "lib.so", build_dir=tmp_path / "b", log_dir=tmp_path / "logs", jobs=1,
                   options=Options("-O1", native=False), objects=[extra])
    common = ["-std=c++17", "-O1", "-fPIC", "-pthread"]
    assert lines(tmp_path)[:2] == [[*common, "-c", "../src/b.cpp", "-o", "b.o"],
                                   [*common, "-c", "../src/a.cpp", "-o", "a.o"]]
    assert lines(tmp_path)[2][:-1] == [*common, "-shared", "a.o", "b.o", "../src/extra.o", "-o"]


def test_two_sources_of_one_name_are_refused(fake, tmp_path):
    fake("g++", WRITES_OUTPUT)
    (tmp_path / "a.cpp").write_text("")
    with pytest.raises(ValueError, match="two C"):
        compile_objects([source(tmp_path, "a.cpp"), tmp_path / "a.cpp"], tmp_path / "b", log_dir=tmp_path)


def test_the_order_in_which_compilers_are_taken(fake, monkeypatch):
    clang, gcc, mine = fake("clang++"), fake("g++"), fake("my-cc")
    assert cxx.compiler().command == (str(gcc),)
    gcc.unlink()
    monkeypatch.setenv("PATH", str(clang.parent))
    assert cxx.compiler().command == (str(clang),)
    monkeypatch.setenv("CXX", "my-cc -m64")
    assert cxx.compiler().command == (str(mine), "-m64")


def test_none_at_all(empty_path):
    with pytest.raises(MissingTool, match=r"apt install g\+\+"):
        cxx.compiler()


def test_identity_tells_compilers_and_versions_apart(fake, monkeypatch):
    fake("g++", "print('g++ (Debian 12.2.0-14) 12.2.0')")
    first = cxx.identity(cxx.compiler())
    assert "12.2.0" in first
    fake("clang++", "print('clang version 17.0.1')")
    monkeypatch.setenv("CXX", "clang++")
    assert cxx.identity(cxx.compiler()) != first


def test_a_failed_link_leaves_the_old_library(fake, tmp_path):
    fake("g++", "print('x.cpp:1:2: error: expected unqualified-id'); sys.exit(1)")
    old = tmp_path / "lib.so"
    old.write_text("old")
    with pytest.raises(StageError) as error:
        compile_shared([source(tmp_path, "x.cpp")], old, build_dir=tmp_path / "b", log_dir=tmp_path / "logs",
                       project=tmp_path)
    assert str(error.value) == ("C++ compiler failed (exit code 1):\n  x.cpp:1:2: error: expected unqualified-id\n"
                                "  log: logs/lib.log")
    assert old.read_text() == "old"


def test_hanging_compiler(fake, tmp_path):
    fake("g++", "time.sleep(99)")
    with pytest.raises(StageError, match=r"still running after 0\.3 s"):
        compile_objects([source(tmp_path, "a.cpp"), source(tmp_path, "b.cpp")], tmp_path / "b",
                        log_dir=tmp_path / "logs", timeout=0.3)


# -- the real one --------------------------------------------------------------------


def test_real_library_of_two_sources(tmp_path):
    first = source(tmp_path, "a.cpp", '#include "k.h"\nextern "C" int f(int x) { return g(x) + K; }\n')
    second = source(tmp_path, "b.cpp", '#include "k.h"\nint g(int x) { return 2 * x; }\n')
    source(tmp_path, "k.h", "int g(int);\n")
    compile_shared([first, second], tmp_path / "lib.so", build_dir=tmp_path / "b", log_dir=tmp_path / "logs",
                   options=Options(defines=("K=5",), include_dirs=(first.parent,)))
    assert ctypes.CDLL(str(tmp_path / "lib.so")).f(4) == 13


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("int f() { return }\n", r"src/a\.cpp:1:\d+: error: "),
        ('#include "none.h"\n', r"src/a\.cpp:1:\d+: fatal error: .*none\.h"),
        ("int g();\nextern \"C\" int f() { return g(); }\n", "undefined (reference|symbol).*g"),
    ],
)
def test_real_errors(tmp_path, text, message):
    options = Options(flags=("-Wl,-z,defs",))
    with pytest.raises(StageError, match=message):
        compile_shared([source(tmp_path, "a.cpp", text)], tmp_path / "lib.so", build_dir=tmp_path / "b",
                       log_dir=tmp_path / "logs", options=options)
