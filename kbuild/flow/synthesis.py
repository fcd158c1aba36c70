"""The synthesis tool of each backend, behind one interface."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from kbuild.errors import MissingTool
from kbuild.report.records import SynthesisReport

if TYPE_CHECKING:
    from kbuild.config import Recipe
    from kbuild.flow.build import Build


class Flow(Protocol):
    """From the emitted design to a report."""

    def identity(self, recipe: Recipe) -> str:
        """The tools and their versions, for a key. Raises MissingTool."""
        ...

    def run(self, build: Build, folder: Path) -> SynthesisReport:
        """Synthesise in `folder`, leaving there what belongs in OutputDir."""
        ...


def flow_of(recipe: Recipe) -> Flow:
    """The flow of the recipe's backend."""
    raise MissingTool(f"no synthesis tool for {recipe.backend}")
