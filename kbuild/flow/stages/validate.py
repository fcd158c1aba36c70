"""`validate`: the recipe holds together. Reading it is the check, so there is nothing to make."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kbuild.flow.output import Content
from kbuild.flow.stage import Stage

if TYPE_CHECKING:
    from kbuild.flow.build import Build
    from kbuild.flow.cache import Artifact


class Validate(Stage):
    """Done when a `Recipe` exists."""

    name = "validate"
    rooms = ("dataclass", "config", "schemas")

    def reads(self, build: Build) -> Mapping[str, object]:
        return {"settings": build.recipe.settings}

    def make(self, build: Build, folder: Path) -> None:
        pass

    def outputs(self, build: Build, artifact: Artifact) -> Mapping[str, Content]:
        return {}


STAGE = Validate()
