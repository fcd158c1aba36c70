"""The synthesis tool of each backend, behind one interface."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from kbuild.errors import StageError
from kbuild.report.records import SynthesisReport

if TYPE_CHECKING:
    from kbuild.config import Recipe
    from kbuild.flow.build import Build

FOLDER = "synthesis"  # in OutputDir: what the tool was given and what it said


class Flow(Protocol):
    """From the emitted design to a report."""

    def identity(self, recipe: Recipe) -> str:
        """The tools and their versions, for a key. Raises MissingTool."""
        ...

    def run(self, build: Build, folder: Path) -> SynthesisReport:
        """Synthesise in `folder`, leaving there what belongs in OutputDir."""
        ...


class Yosys:
    """Yosys."""

    def identity(self, recipe: Recipe) -> str:
        from kbuild.tools.process import version
        from kbuild.tools.yosys import yosys

        return f"yosys {version(yosys())}"

    def run(self, build: Build, folder: Path) -> SynthesisReport:
        from kbuild.tools import yosys

        recipe = build.recipe
        work = folder / FOLDER
        copied = copy_design(build, folder)
        sources = sorted(path for path in copied if path.suffix == ".v" and path.parent.name == "firmware")
        report = yosys.synthesize(
            sources,
            recipe.project_name,
            recipe.fpga,
            workdir=work,
            clock_period_ns=recipe.clock_period,
            effort=recipe.synthesis.effort,
            announce=lambda text: build.tell("synthesize", text),
        )
        for path in copied:
            path.unlink()
        (work / yosys.NETLIST).unlink()  # large, and made again by the script
        return report


def copy_design(build: Build, folder: Path) -> list[Path]:
    """The emitted files, at the places relative to the tool's folder that they have in OutputDir."""
    emitted = build.artifact("emit")
    made = []
    for name in emitted.files:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        made.append(Path(shutil.copyfile(emitted.path(name), target)))
    return made


_FLOWS: Mapping[str, Flow] = {"Yosys": Yosys()}


def flow_of(recipe: Recipe) -> Flow:
    """The flow of the recipe's backend. Raises StageError for a backend without one."""
    if recipe.backend not in _FLOWS:
        raise StageError(f"kbuild does not run a synthesis tool for the backend {recipe.backend}")
    return _FLOWS[recipe.backend]
