"""Which external tools are on this machine: the facts behind `kbuild doctor`."""

from __future__ import annotations

from kbuild.dataclass import dataclass
from kbuild.errors import KbuildError
from kbuild.tools import cxx, nextpnr, verilator, vitis_hls, vivado, yosys
from kbuild.tools.process import Program, ToolSpec, locate, missing, version


@dataclass(frozen=True)
class ToolInfo:
    """A tool: where it is and which version, or how to get it. `problem` says why a found one is of no use."""

    name: str
    found: bool
    path: str | None
    origin: str | None  # PATH, pip or the environment variable
    version: str | None
    needed_for: str
    how_to_get: str
    problem: str | None = None


SPECS: tuple[ToolSpec, ...] = (
    cxx.CXX,
    verilator.VERILATOR,
    yosys.YOSYS,
    nextpnr.ECP5.nextpnr,
    nextpnr.ECP5.packer,
    nextpnr.ICE40.nextpnr,
    nextpnr.ICE40.packer,
    vitis_hls.VITIS_HLS,
    vitis_hls.VIVADO_HLS,
    vivado.VIVADO,
)


def doctor() -> list[ToolInfo]:
    """Every tool that kbuild can use, found or not; versions are asked of the tools where they are not known yet."""
    return [_look(spec) for spec in SPECS]


def _look(spec: ToolSpec) -> ToolInfo:
    path = origin = found_version = problem = None
    try:
        program = _program(spec)
        path, origin = program.path, program.origin
        found_version = version(program)
    except KbuildError as error:
        problem = str(error)
    return ToolInfo(spec.name, problem is None, path, origin, found_version, spec.needed_for, spec.how_to_get,
                    problem)


def _program(spec: ToolSpec) -> Program:
    if spec is verilator.VERILATOR:  # an old one on PATH does not count
        return verilator.verilator()
    program = locate(spec)
    if program is None:
        raise missing(spec)
    return program
