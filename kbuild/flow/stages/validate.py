"""`validate`: the recipe holds together. Reading it is the check, so there is nothing to make but what to say of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kbuild.flow.output import Content
from kbuild.flow.stage import Stage

if TYPE_CHECKING:
    from kbuild.flow.build import Build
    from kbuild.flow.cache import Artifact

_NOTES = "notes.txt"


class Validate(Stage):
    """Done when a `Recipe` exists."""

    name = "validate"
    rooms = ("dataclass", "config", "schemas")

    def reads(self, build: Build) -> Mapping[str, object]:
        return {"settings": build.recipe.settings}

    def make(self, build: Build, folder: Path) -> None:
        if build.recipe.vendor:
            from kbuild.config.unused import remarks

            (folder / _NOTES).write_text("\n".join(remarks(build.recipe)), encoding="utf-8")

    def outputs(self, build: Build, artifact: Artifact) -> Mapping[str, Content]:
        return {}

    def remarks(self, artifact: Artifact) -> Sequence[str]:
        return artifact.text(_NOTES).splitlines() if _NOTES in artifact.files else ()


STAGE = Validate()
