"""Vitis HLS and Vivado HLS: from the C++ project to RTL, and what the tool's report estimates.

The same `build_prj.tcl` runs under each generation of the program: `vivado_hls -f` (to 2020.1), `vitis_hls -f`
(to 2024.1), `vitis-run --mode hls --tcl` (from 2024.2). The last passes no arguments on, so they are in a script of
their own that sources it. The report is `csynth.xml` (UG1399, "Output of C Synthesis").
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

from kbuild.dataclass import dataclass
from kbuild.errors import StageError
from kbuild.report.records import Resources, SynthesisReport, Timing
from kbuild.tools.process import Program, ToolSpec, find, run, version, write_atomically

_SITE = "install it from AMD's download site (a licence may be needed) and source its settings64.sh"
_ERROR = r"^\s*(ERROR|@E\b)"

VITIS_HLS = ToolSpec(
    name="vitis_hls",
    programs=("vitis_hls", "vitis-run"),
    needed_for="synthesis with the backend Vitis",
    how_to_get=f"Vitis HLS 2020.2 or newer: {_SITE}",
    version_arguments=("-version",),
    version_pattern=r"\bv?(20\d\d\.\d+(?:\.\d+)?)",
    error_pattern=_ERROR,
)
VIVADO_HLS = ToolSpec(
    name="vivado_hls",
    programs=("vivado_hls",),
    needed_for="synthesis with the backend Vivado",
    how_to_get=f"Vivado HLS 2019.1 to 2020.1: {_SITE}",
    version_arguments=("-version",),
    version_pattern=r"\bv?(20\d\d\.\d+(?:\.\d+)?)",
    error_pattern=_ERROR,
)
_SPECS: Mapping[str, ToolSpec] = {"Vitis": VITIS_HLS, "Vivado": VIVADO_HLS}

SCRIPT, LOG = "run_build.tcl", "build_prj.log"


@dataclass(frozen=True)
class Steps:
    """What `build_prj.tcl` is to do, by its own names."""

    csim: bool = False
    synth: bool = True
    cosim: bool = False
    export: bool = False
    reset: bool = True

    def words(self) -> list[str]:
        """As the script reads them."""
        return [f"{name}={int(value)}" for name, value in vars(self).items()]


def hls(backend: str) -> Program:
    """The HLS program of a backend ("Vitis" or "Vivado"). Raises MissingTool."""
    return find(_SPECS[backend])


def arguments(program: Program, script: str) -> list[str]:
    """The command line that runs a Tcl script."""
    if Path(program.command[0]).name.startswith("vitis-run"):
        return ["--mode", "hls", "--tcl", script]
    return ["-f", script]


def run_script(steps: Steps) -> str:
    """The Tcl script that gives `build_prj.tcl` its options."""
    return f"set argv {{{' '.join(steps.words())}}}\nsource build_prj.tcl\n"


def report_path(folder: Path, top: str) -> Path:
    """Where C synthesis leaves its report in a project's folder."""
    return folder / f"{top}_prj" / "solution1" / "syn" / "report" / f"{top}_csynth.xml"


def further_results(folder: Path, top: str) -> list[Path]:
    """The report of co-simulation and the exported IP, where the tool has made them."""
    solution = folder / f"{top}_prj" / "solution1"
    return [*solution.glob("sim/report/*_cosim.rpt"), *solution.glob("impl/ip/*.zip"), *solution.glob("impl/*.zip")]


def build(backend: str, top: str, *, folder: Path, steps: Steps | None = None, project: Path | None = None,
          timeout: float | None = None) -> SynthesisReport:
    """Run `build_prj.tcl` in `folder`, where the project is, and read what C synthesis estimates.

    A report that was there before does not count. Raises StageError with the tool's first error or saying which
    report is missing or damaged; MissingTool.
    """
    program = hls(backend)
    report = report_path(folder, top)
    report.unlink(missing_ok=True)
    write_atomically(folder / SCRIPT, run_script(steps or Steps()))
    run(program, arguments(program, SCRIPT), cwd=folder, log=folder / LOG, project=project, timeout=timeout)
    return read_csynth(report, tool=program.name, tool_version=version(program))


def read_csynth(path: Path, *, tool: str, tool_version: str) -> SynthesisReport:
    """Estimates of C synthesis from `<top>_csynth.xml`.

    `bram` is in 18 kbit blocks. Timing is met when the estimated period and the uncertainty fit the clock. A latency
    that the tool does not know ("?", "undef") is None. Raises StageError when the file is not such a report.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except OSError as error:
        raise StageError(f"{tool} ended without an error but left no {'/'.join(path.parts[-5:])} ({error.strerror}); "
                         "expected the report of C synthesis there") from error
    except ElementTree.ParseError as error:
        raise StageError(f"{path.name} of {tool} is damaged: {error}; expected XML with PerformanceEstimates and "
                         "AreaEstimates") from error
    reader = _Reader(root, path.name, tool)
    period = reader.number("UserAssignments/TargetClockPeriod")
    uncertainty = reader.number("UserAssignments/ClockUncertainty")
    estimate = reader.number("PerformanceEstimates/SummaryOfTimingAnalysis/EstimatedClockPeriod")
    return SynthesisReport(
        tool=tool,
        version=tool_version,
        part=reader.text("UserAssignments/Part"),
        source=tool,
        resources=Resources(**reader.resources("AreaEstimates/Resources"),
                            available=reader.resources("AreaEstimates/AvailableResources")),
        timing=Timing(fmax_mhz=1000 / estimate if estimate > 0 else None, clock_period_ns=period,
                      met=estimate <= period - uncertainty + 1e-9),
        latency_cycles=reader.cycles("PerformanceEstimates/SummaryOfOverallLatency/Worst-caseLatency"),
        interval_cycles=reader.cycles("PerformanceEstimates/SummaryOfOverallLatency/Interval-max"),
        notes=("estimates of C synthesis, before logic synthesis",),
    )


class _Reader:
    """Values of the report by path; every error names file and path."""

    def __init__(self, root: ElementTree.Element, name: str, tool: str) -> None:
        self._root = root
        self._where = f"{name} of {tool}"

    def text(self, path: str) -> str:
        value = (self._root.findtext(path) or "").strip()
        if not value:
            raise StageError(f"{self._where} is damaged: it has no {path}")
        return value

    def number(self, path: str) -> float:
        text = self.text(path)
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise StageError(f"{self._where} is damaged: {path} is {text!r:.40}, not a number")
        return value

    def cycles(self, path: str) -> int | None:
        text = self.text(path)
        return int(text) if text.isdecimal() else None

    def resources(self, path: str) -> dict[str, int]:
        dsp = "DSP" if self._root.find(f"{path}/DSP") is not None else "DSP48E"  # as Vivado HLS has it
        return {"lut": int(self.number(f"{path}/LUT")), "ff": int(self.number(f"{path}/FF")),
                "dsp": int(self.number(f"{path}/{dsp}")), "bram": int(self.number(f"{path}/BRAM_18K"))}
