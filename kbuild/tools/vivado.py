"""Vivado: logic synthesis of the RTL that HLS made, and its utilisation and timing reports.

Reports are tables of text, as `report_utilization` and `report_timing_summary` write them (UG835, UG906).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from kbuild.dataclass import replace
from kbuild.errors import StageError
from kbuild.report.records import Resources, SynthesisReport, Timing
from kbuild.tools.process import Program, ToolSpec, find, run, version

VIVADO = ToolSpec(
    name="vivado",
    programs=("vivado",),
    needed_for="logic synthesis of Vivado and Vitis projects",
    how_to_get="Vivado: install it from AMD's download site (a licence may be needed) and source its settings64.sh",
    version_arguments=("-version",),
    version_pattern=r"[Vv]ivado v(\S+)",
    error_pattern=r"^\s*ERROR",
)

SCRIPT, UTILIZATION, TIMING, LOG = "vivado_synth.tcl", "vivado_synth.rpt", "vivado_timing.rpt", "vivado_synth.log"

# Names of a row in the report of one device generation or another, and how many of `Resources`' units it counts.
_ROWS: Mapping[str, tuple[tuple[str, ...], int]] = {
    "lut": (("CLB LUTs", "Slice LUTs"), 1),
    "ff": (("CLB Registers", "Slice Registers"), 1),
    "dsp": (("DSPs", "DSP Slices"), 1),
    "bram": (("Block RAM Tile",), 2),  # a tile is a RAMB36: two blocks of 18 kbit; a RAMB18 is half a tile
}


def vivado() -> Program:
    """Vivado. Raises MissingTool."""
    return find(VIVADO)


def arguments(script: str) -> list[str]:
    """The command line that runs a Tcl script."""
    return ["-mode", "batch", "-nojournal", "-nolog", "-notrace", "-source", script]


def synthesize(hls: SynthesisReport, *, folder: Path, project: Path | None = None,
               timeout: float | None = None) -> SynthesisReport:
    """Run `vivado_synth.tcl` in `folder`, after C synthesis (`hls`), and read what the netlist takes.

    Latency stays that of C synthesis. Raises StageError with the tool's first error or saying which report is
    missing or damaged; MissingTool.
    """
    program = vivado()
    for stale in (UTILIZATION, TIMING):
        (folder / stale).unlink(missing_ok=True)
    run(program, arguments(SCRIPT), cwd=folder, log=folder / LOG, project=project, timeout=timeout)
    return replace(hls, tool="vivado", version=version(program), source="vivado",
                   resources=read_utilization(folder / UTILIZATION),
                   timing=read_timing(folder / TIMING, hls.timing.clock_period_ns),
                   notes=("after logic synthesis, out of context, before placement",))


def read_utilization(path: Path) -> Resources:
    """LUTs, registers, DSPs and block RAMs (18 kbit) of `report_utilization`. Raises StageError."""
    rows: dict[str, tuple[float, float]] = {}
    columns: list[str] = []
    for line in _read(path, "a table with the columns Site Type, Used, Available").splitlines():
        fields = [field.strip() for field in line.strip().strip("|").split("|")]
        if fields[0] == "Site Type":
            columns = fields
        elif len(fields) == len(columns) > 1 and fields[0].rstrip("*") not in rows:
            entry = dict(zip(columns, fields, strict=True))
            used, has = _number(entry.get("Used", "")), _number(entry.get("Available", ""))
            if used is not None and has is not None:
                rows[fields[0].rstrip("*")] = (used, has)
    used_of, has_of = {}, {}
    for kind, (names, units) in _ROWS.items():
        row = next((rows[name] for name in names if name in rows), None)
        if row is None:
            raise StageError(f"{path.name} of vivado is damaged: expected a row {' or '.join(names)} with Used and "
                             "Available")
        used_of[kind], has_of[kind] = round(row[0] * units), round(row[1] * units)
    return Resources(**used_of, available=has_of)


def read_timing(path: Path, clock_period_ns: float) -> Timing:
    """Fmax from the worst negative slack of `report_timing_summary`. Raises StageError.

    `fmax_mhz` and `met` are None where the report has no constrained path (NA).
    """
    expected = "a Design Timing Summary with WNS(ns)"
    text = _read(path, expected)
    match = re.search(r"^\s*WNS\(ns\).*\n[\s-]*\n\s*(\S+)", text, re.MULTILINE)
    if match is None:
        raise StageError(f"{path.name} of vivado is damaged: expected {expected}")
    if match[1].upper() in ("NA", "INF"):
        return Timing(None, clock_period_ns, None)
    slack = _number(match[1])
    if slack is None or slack >= clock_period_ns:
        raise StageError(f"{path.name} of vivado is damaged: WNS is {match[1]!r:.40} with a clock of "
                         f"{clock_period_ns:g} ns")
    return Timing(1000 / (clock_period_ns - slack), clock_period_ns, slack >= 0)


def _read(path: Path, expected: str) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise StageError(f"vivado ended without an error but left no {path.name} ({error.strerror}); "
                         f"expected {expected}") from error


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"-?\d+(\.\d+)?", text) else None
