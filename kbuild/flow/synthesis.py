"""The synthesis tools of each backend, behind one interface."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from kbuild.dataclass import dataclass, replace
from kbuild.errors import StageError
from kbuild.flow.digests import code_digest, value_digest
from kbuild.flow.disk import remove_empty
from kbuild.report.documents import from_text, to_text
from kbuild.report.records import SynthesisReport, Timing

if TYPE_CHECKING:
    from kbuild.config import Recipe
    from kbuild.flow.build import Build
    from kbuild.flow.cache import Artifact

FOLDER = "synthesis"  # in OutputDir: what the tools were given and what they said
NETLIST = "netlist"  # the kind of artifact that is Yosys' result
_REPORT = "report.json"


class Flow(Protocol):
    """From the emitted design to a report."""

    def identity(self, recipe: Recipe) -> str:
        """The tools and their versions, for a key. Raises MissingTool."""
        ...

    def run(self, build: Build, folder: Path) -> SynthesisReport:
        """Synthesise in `folder`, which has OutputDir's layout, leaving there what belongs into OutputDir."""
        ...


class Open:
    """Yosys, then nextpnr where the recipe asks for place and route."""

    def identity(self, recipe: Recipe) -> str:
        from kbuild.tools import nextpnr, yosys
        from kbuild.tools.process import version

        programs = [yosys.yosys()]
        if recipe.synthesis.place_and_route:
            programs += nextpnr.programs(recipe.fpga, bitstream=recipe.synthesis.constraints is not None)
        return ", ".join(f"{program.name} {version(program)}" for program in programs)

    def run(self, build: Build, folder: Path) -> SynthesisReport:
        from kbuild.tools import nextpnr, yosys

        recipe = build.recipe
        netlist = _netlist(build)
        work = folder / FOLDER
        work.mkdir()
        names = [name for name in netlist.files if name not in (_REPORT, yosys.NETLIST)]
        for name in names:
            shutil.copyfile(netlist.path(name), work / name)
        report = from_text(SynthesisReport, netlist.text(_REPORT), _REPORT)
        # every design that kbuild prints as Verilog takes a sample each cycle
        timing = Timing(None, recipe.clock_period, None)
        report = replace(report, timing=timing, latency_cycles=build.design().latency, interval_cycles=1)
        if not recipe.synthesis.place_and_route:
            return report
        build.tell("synthesize", "placing and routing")
        own = Path(shutil.copyfile(netlist.path(yosys.NETLIST), work / yosys.NETLIST))
        placed = nextpnr.place_and_route(
            report,
            recipe.fpga,
            workdir=work,
            netlist=own,
            seed=recipe.synthesis.seed,
            constraints=recipe.synthesis.constraints,
            project=folder,
            announce=lambda text: build.tell("synthesize", text, lasting=True),
        )
        own.unlink()  # large, and made again by the script
        return placed


def _netlist(build: Build) -> Artifact:
    """Yosys' netlist and statistics: neither clock nor seed decides them, so new ones of those find it here."""
    from kbuild.tools import yosys
    from kbuild.tools.process import version

    recipe = build.recipe
    part, effort, top = recipe.fpga, recipe.synthesis.effort, recipe.project_name
    tool = [version(yosys.yosys()), code_digest(("tools/yosys", "backends"))]
    key = value_digest([build.artifact("emit").digest, part.name, effort, top, tool])

    def make(folder: Path) -> None:
        build.tell("synthesize", "synthesising")
        copied = copy_design(build, folder)
        work = folder / FOLDER
        report = yosys.synthesize(
            [path for path in copied if path.suffix == ".v" and path.parent.name == "firmware"],
            top,
            part,
            workdir=work,
            clock_period_ns=recipe.clock_period,
            effort=effort,
            project=folder,
            announce=lambda text: build.tell("synthesize", text, lasting=True),
        )
        discard(folder, copied)
        for path in work.iterdir():
            path.rename(folder / path.name)
        work.rmdir()
        (folder / _REPORT).write_text(to_text(report), encoding="utf-8")

    return build.cache.get(NETLIST, key, make)


@dataclass(frozen=True)
class Hls:
    """C synthesis by Vivado HLS or Vitis HLS, then logic synthesis by Vivado where the recipe asks for it."""

    backend: str

    def identity(self, recipe: Recipe) -> str:
        from kbuild.tools import vitis_hls, vivado
        from kbuild.tools.process import version

        programs = [vitis_hls.hls(self.backend)]
        if recipe.synthesis.place_and_route:
            programs.append(vivado.vivado())
        return ", ".join(f"{program.name} {version(program)}" for program in programs)

    def run(self, build: Build, folder: Path) -> SynthesisReport:
        from kbuild.tools import vitis_hls, vivado

        recipe = build.recipe
        top = recipe.project_name
        copied = copy_design(build, folder)
        build.tell("synthesize", "C synthesis")
        steps = vitis_hls.Steps(cosim=recipe.synthesis.cosim, export=recipe.synthesis.export)
        report = vitis_hls.build(self.backend, top, folder=folder, steps=steps, project=folder)
        if recipe.synthesis.place_and_route:
            build.tell("synthesize", "logic synthesis")
            report = vivado.synthesize(report, folder=folder, project=folder)
        kept = [vitis_hls.report_path(folder, top), *folder.glob("*.rpt"), *folder.glob("*.log")]
        kept += vitis_hls.further_results(folder, top)
        work = folder / FOLDER
        work.mkdir()
        for path in kept:
            if path.is_file():
                path.rename(work / path.name)
        discard(folder, copied)
        for path in folder.iterdir():
            if path != work:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        return report


def copy_design(build: Build, folder: Path) -> list[Path]:
    """The emitted files, at the places relative to the tool's folder that they have in OutputDir."""
    emitted = build.artifact("emit")
    made = []
    for name in sorted(emitted.files):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        made.append(Path(shutil.copyfile(emitted.path(name), target)))
    return made


def discard(folder: Path, copied: Iterable[Path]) -> None:
    """Remove what `copy_design` has copied."""
    for path in copied:
        path.unlink(missing_ok=True)
        remove_empty(path.parent, folder)


_FLOWS: Mapping[str, Flow] = {"Yosys": Open(), "Vivado": Hls("Vivado"), "Vitis": Hls("Vitis")}


def flow_of(recipe: Recipe) -> Flow:
    """The flow of the recipe's backend. Raises StageError for a backend without one."""
    if recipe.backend not in _FLOWS:
        raise StageError(f"kbuild does not run a synthesis tool for the backend {recipe.backend}")
    return _FLOWS[recipe.backend]
