"""`report`: the whole build on one page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from kbuild import __version__
from kbuild.flow import budget
from kbuild.flow.names import STAGE_NAMES
from kbuild.flow.output import Content
from kbuild.flow.stage import Stage
from kbuild.report.documents import from_text, to_text
from kbuild.report.graphs import OptimizeReport
from kbuild.report.records import BuildReport, SimulationReport, StageRun, SynthesisReport

if TYPE_CHECKING:
    from kbuild.flow.build import Build
    from kbuild.flow.cache import Artifact

REPORT = "reports/build.json"
_FILE = "build.json"
_SOURCES = ("reports/simulate.json", "reports/synthesize.json", "reports/optimize.json")
R = TypeVar("R", SimulationReport, SynthesisReport, OptimizeReport)


class Report(Stage):
    """build.json, from the reports of the other stages as they are in OutputDir."""

    name = "report"
    rooms = ("dataclass", "report", "flow/budget", "flow/stages/report")

    def reads(self, build: Build) -> Mapping[str, object]:
        recipe = build.recipe
        return {
            "recipe": [recipe.name, recipe.project_name, recipe.backend, recipe.part, recipe.io_type],
            "clock": recipe.clock_period,
            "budget": recipe.budget,
            "stages": _runs(build),
            "reports": {name: _text(build, name) for name in _SOURCES},
        }

    def make(self, build: Build, folder: Path) -> None:
        (folder / _FILE).write_text(to_text(_report(build)), encoding="utf-8")

    def outputs(self, build: Build, artifact: Artifact) -> Mapping[str, Content]:
        return {REPORT: artifact.path(_FILE)}


STAGE = Report()


def _runs(build: Build) -> tuple[StageRun, ...]:
    entries = build.output.entries()
    return tuple(
        StageRun(name, entries[name].status, entries[name].seconds, entries[name].reason)
        for name in STAGE_NAMES
        if name in entries and name != "report"
    )


def _text(build: Build, name: str) -> str | None:
    try:
        return (build.output.folder / name).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _read(build: Build, record: type[R], name: str) -> R | None:
    text = _text(build, name)
    return None if text is None else from_text(record, text, name)


def _report(build: Build) -> BuildReport:
    recipe = build.recipe
    simulation = _read(build, SimulationReport, _SOURCES[0])
    synthesis = _read(build, SynthesisReport, _SOURCES[1])
    optimized = _read(build, OptimizeReport, _SOURCES[2])
    latency = simulation.latency_cycles if simulation else None
    interval = simulation.interval_cycles if simulation else None
    return BuildReport(
        project=recipe.project_name,
        kbuild=__version__,
        backend=recipe.backend,
        part=recipe.part,
        io_type=recipe.io_type,
        clock_period_ns=recipe.clock_period,
        stages=_runs(build),
        reference=simulation.reference if simulation else None,
        accuracy=simulation.accuracy if simulation else None,
        validation=simulation.validation if simulation else None,
        resources=synthesis.resources if synthesis else None,
        timing=synthesis.timing if synthesis else None,
        latency_cycles=latency if latency is not None or not synthesis else synthesis.latency_cycles,
        interval_cycles=interval if interval is not None or not synthesis else synthesis.interval_cycles,
        budget=budget.lines(recipe.budget, synthesis, simulation),
        notes=tuple(note for report in (optimized, simulation, synthesis) if report for note in report.notes),
    )
