"""`simulate`: the design run in every engine, compared with the emulator to the bit and with floating point."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kbuild.dataclass import replace
from kbuild.errors import StageError
from kbuild.flow import budget
from kbuild.flow.engines import EMULATE, engine, engines_of, identities
from kbuild.flow.findings import agreement, overflows
from kbuild.flow.inputs import input_source, labels_source, reference_source
from kbuild.flow.output import Content
from kbuild.flow.stage import Stage
from kbuild.report.documents import from_text, to_text
from kbuild.report.records import SimulationReport, Validation

if TYPE_CHECKING:
    from kbuild.flow.build import Build
    from kbuild.flow.cache import Artifact

REPORT = "reports/simulate.json"
_FILE = "simulate.json"
_MISMATCHES = "mismatches.txt"
_SCORES = "scores.json"


class Simulate(Stage):
    """The engines' results, and how far they are from floating point."""

    name = "simulate"
    rooms = (
        "fixed", "parallel", "dataclass", "ir", "ops", "emulate", "emit", "engines", "backends", "tools", "report",
        "reference", "flow/data", "flow/inputs", "flow/metrics", "flow/comparison", "flow/engines", "flow/findings",
        "flow/reference", "flow/streams", "flow/validation", "passes/normalized", "passes/ranges",
        "flow/stages/simulate",
    )  # fmt: skip

    def reads(self, build: Build) -> Mapping[str, object]:
        from kbuild.flow.reference import identity

        recipe = build.recipe
        inputs, reference, labels = input_source(recipe), reference_source(recipe), labels_source(recipe)
        return {
            "graph": build.artifact("optimize").digest,
            "float": build.artifact("parse").digest,
            "emitted": build.artifact("emit").digest,
            "inputs": build.file(inputs.path) if inputs else recipe.calibration.ranges,
            "reference": build.file(reference.path) if reference else identity(build),
            "labels": build.file(labels.path) if labels else None,
            "engines": engines_of(recipe.backend),
            "tools": identities(recipe.backend),
        }

    def make(self, build: Build, folder: Path) -> None:
        from kbuild.flow.validation import simulate

        engines = {name: engine(build, name) for name in engines_of(build.recipe.backend) if name != EMULATE}
        result = simulate(build, engines)
        (folder / _FILE).write_text(to_text(result.report), encoding="utf-8")
        (folder / _MISMATCHES).write_text("\n".join(result.mismatches), encoding="utf-8")
        (folder / _SCORES).write_text(json.dumps(result.scores), encoding="utf-8")
        for name, text in result.vectors.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")

    def judged_by(self, build: Build) -> Mapping[str, object]:
        return {
            "metric": build.recipe.validation.metric,
            "minimum": build.recipe.validation.minimum,
            "latency": build.recipe.budget.latency_cycles,
        }

    def outputs(self, build: Build, artifact: Artifact) -> Mapping[str, Content]:
        own = {_FILE, _MISMATCHES, _SCORES}
        vectors = {name: artifact.path(name) for name in artifact.files if name not in own}
        return {REPORT: to_text(_judged(build, artifact)).encode(), **vectors}

    def check(self, build: Build, artifact: Artifact) -> None:
        mismatches = artifact.text(_MISMATCHES)
        if mismatches:
            raise StageError(f"the engines disagree, which is an error in kbuild or in a tool:\n{mismatches}")
        report = _judged(build, artifact)
        found = report.validation
        if found is not None and found.met is False:
            raise StageError(
                f"validation: {found.metric} is {found.value:.4f}, below Validation.Minimum {found.minimum:g} "
                f"(against {report.reference.source}, {report.reference.samples} samples){_hint(report)}"
            )
        budget.demand(budget.lines(build.recipe.budget, None, report))

    def remarks(self, artifact: Artifact) -> Sequence[str]:
        report = from_text(SimulationReport, artifact.text(_FILE), _FILE)
        return agreement(report), *report.notes


STAGE = Simulate()


def _judged(build: Build, artifact: Artifact) -> SimulationReport:
    """The report with what the recipe demands of it."""
    report = from_text(SimulationReport, artifact.text(_FILE), _FILE)
    wanted = build.recipe.validation
    scores = json.loads(artifact.text(_SCORES))
    if wanted.metric not in scores:
        return report
    value = float(scores[wanted.metric])
    met = None if wanted.minimum is None else value >= wanted.minimum
    return replace(report, validation=Validation(wanted.metric, value, wanted.minimum, met))


def _hint(report: SimulationReport) -> str:
    """The layers to look at first: those that overflow."""
    text = overflows(report.layers)
    return "" if text is None else f"; {text}"
