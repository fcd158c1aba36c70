"""`synthesize`: the emitted design through the backend's tool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kbuild.errors import MissingTool
from kbuild.flow import budget
from kbuild.flow.output import Content
from kbuild.flow.stage import Stage
from kbuild.flow.synthesis import flow_of
from kbuild.report.documents import from_text, to_text
from kbuild.report.records import SynthesisReport

if TYPE_CHECKING:
    from kbuild.flow.build import Build
    from kbuild.flow.cache import Artifact

REPORT = "reports/synthesize.json"
_FILE = "synthesize.json"


class Synthesize(Stage):
    """Resources, timing, and a bitstream where one is asked for."""

    name = "synthesize"
    rooms = ("dataclass", "tools", "report", "backends", "config", "emit", "flow/synthesis", "flow/stages/synthesize")

    def skip(self, build: Build) -> str | None:
        recipe = build.recipe
        if recipe.synthesis.run is False:
            return "the recipe says Synthesis.run: false"
        try:
            flow_of(recipe).identity(recipe)
        except MissingTool as error:
            if recipe.synthesis.run is True:
                raise
            return str(error)
        return None

    def reads(self, build: Build) -> Mapping[str, object]:
        recipe = build.recipe
        return {
            "emitted": build.artifact("emit").digest,
            "tool": flow_of(recipe).identity(recipe),
            "part": recipe.part,
            "project": recipe.project_name,
            "clock": [recipe.clock_period, recipe.clock_uncertainty],
            "place_and_route": recipe.synthesis.place_and_route,
            "further": [recipe.synthesis.cosim, recipe.synthesis.export],
            "seed": recipe.synthesis.seed,
            "effort": recipe.synthesis.effort,
            "constraints": build.file(recipe.synthesis.constraints),
        }

    def make(self, build: Build, folder: Path) -> None:
        report = flow_of(build.recipe).run(build, folder)
        (folder / _FILE).write_text(to_text(report), encoding="utf-8")

    def judged_by(self, build: Build) -> Mapping[str, object]:
        return {"budget": build.recipe.budget}

    def outputs(self, build: Build, artifact: Artifact) -> Mapping[str, Content]:
        made = {name: artifact.path(name) for name in artifact.files if name != _FILE}
        return {REPORT: artifact.path(_FILE), **made}

    def remarks(self, artifact: Artifact) -> Sequence[str]:
        return from_text(SynthesisReport, artifact.text(_FILE), _FILE).notes

    def check(self, build: Build, artifact: Artifact) -> None:
        report = from_text(SynthesisReport, artifact.text(_FILE), _FILE)
        budget.demand(budget.lines(build.recipe.budget, report, None))


STAGE = Synthesize()
