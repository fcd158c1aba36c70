"""The C++ compiler: `$CXX`, g++, clang++, or zig from a pip package."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

from kbuild.dataclass import dataclass, replace
from kbuild.tools.process import Job, Program, ToolSpec, Wheel, find, relative, run_all, version

CXX = ToolSpec(
    name="C++ compiler",
    programs=("g++", "clang++"),
    variable="CXX",
    wheel=Wheel("ziglang", script=None, extra="compiler", module=("ziglang", "c++")),
    needed_for="the C simulation, the RTL simulation and a fast emulator",
    how_to_get="install g++ (Debian, Ubuntu: apt install g++; Fedora: dnf install gcc-c++; macOS: xcode-select "
    '--install), or pip install "kbuild[compiler]"',
    # The linker's complaints come before the compiler's own "ld returned 1 exit status".
    error_pattern=r"(?i)\berror\b|undefined reference|undefined symbol|cannot find -l",
)

STANDARD = "-std=c++17"


@dataclass(frozen=True)
class Options:
    """How C++ is compiled. `native` uses every instruction of this very machine's processor."""

    optimise: str = "-O3"
    native: bool = True
    include_dirs: tuple[Path, ...] = ()
    defines: tuple[str, ...] = ()  # "NAME=value"
    flags: tuple[str, ...] = ()  # given as they are, last

    def arguments(self) -> list[str]:
        """The command line's flags, `-fPIC` and `-pthread` included."""
        machine = "-march=native" if platform.machine() in ("x86_64", "AMD64") else "-mcpu=native"
        return [STANDARD, self.optimise, *([machine] if self.native else []), "-fPIC", "-pthread",
                *(f"-I{folder}" for folder in self.include_dirs), *(f"-D{name}" for name in self.defines),
                *self.flags]


def compiler() -> Program:
    """The C++ compiler of this machine. Raises MissingTool."""
    return find(CXX)


def identity(program: Program) -> str:
    """What decides the bytes that come out: the compiler, its version and the processor `native` stands for.

    For the key of a cached artifact.
    """
    return f"{' '.join(program.command)} {version(program)} {platform.machine()} {_processor()}"


def compile_shared(sources: Sequence[Path], output: Path, *, build_dir: Path, log_dir: Path,
                   options: Options | None = None, objects: Sequence[Path] = (), jobs: int = 2,
                   program: Program | None = None, project: Path | None = None, timeout: float | None = None,
                   special: Mapping[Path, Options] | None = None) -> Path:
    """Compile `sources` (`jobs` at a time), link them with `objects` into the shared library `output`.

    Object files go to `build_dir`, one log a source to `log_dir`. `output` appears whole or not at all. Sources in
    `special` have options of their own.
    Compilers run in `build_dir`, with paths relative to it. Raises StageError with the first error line.
    """
    program = program or compiler()
    build_dir.mkdir(parents=True, exist_ok=True)
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = output.with_name(f".{output.name}.{os.getpid()}")
    options = options or Options()
    arguments = _relative_to(options, build_dir).arguments()
    try:
        if len(sources) == 1:  # one process instead of two
            inputs = [relative(sources[0], build_dir)]
        else:
            inputs = [relative(made, build_dir) for made in
                      compile_objects(sources, build_dir, log_dir=log_dir, options=options, jobs=jobs,
                                      program=program, project=project, timeout=timeout, special=special)]
        link = Job(program, [*arguments, "-shared", *inputs, *(relative(o, build_dir) for o in objects),
                             "-o", relative(temporary, build_dir)], build_dir, log_dir / f"{output.stem}.log")
        run_all([link], project=project, timeout=timeout)
        os.replace(temporary, output)
    finally:
        temporary.unlink(missing_ok=True)
    return output


def compile_objects(sources: Sequence[Path], build_dir: Path, *, log_dir: Path, options: Options | None = None,
                    jobs: int = 2, program: Program | None = None, project: Path | None = None,
                    timeout: float | None = None, special: Mapping[Path, Options] | None = None) -> list[Path]:
    """Compile each source to `build_dir/<stem>.o`, the largest first, `jobs` at a time.

    Sources in `special` have options of their own.
    Raises StageError with the compiler's first error line, ValueError when two sources have one stem.
    """
    program = program or compiler()
    if len({source.stem for source in sources}) != len(sources):
        raise ValueError(f"two C++ sources have one name: {sorted(source.name for source in sources)}")
    build_dir.mkdir(parents=True, exist_ok=True)
    arguments = {source: _relative_to((special or {}).get(source, options or Options()), build_dir).arguments()
                 for source in sources}  # fmt: skip
    largest_first = sorted(sources, key=lambda source: (-source.stat().st_size, source.name))
    run_all([Job(program, [*arguments[source], "-c", relative(source, build_dir), "-o", f"{source.stem}.o"], build_dir,
                 log_dir / f"{source.stem}.log") for source in largest_first],
            at_once=jobs, project=project, timeout=timeout)
    return [build_dir / f"{source.stem}.o" for source in sources]


def _relative_to(options: Options, folder: Path) -> Options:
    """Relative, so that no absolute path of a project gets into objects through `__FILE__`."""
    return replace(options, include_dirs=tuple(Path(relative(d, folder)) for d in options.include_dirs))


def _processor() -> str:
    """A short digest of the processor's instruction sets, as far as the system tells."""
    text = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
        text = next((line for line in lines if line.startswith(("flags", "Features"))), text)
    return hashlib.sha256(text.encode()).hexdigest()[:8]
