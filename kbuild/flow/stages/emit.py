"""`emit`: the fixed-point graph printed for the target, as files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kbuild.flow.disk import write_all
from kbuild.flow.output import Content
from kbuild.flow.stage import Stage
from kbuild.flow.target import target_of

if TYPE_CHECKING:
    from kbuild.flow.build import Build
    from kbuild.flow.cache import Artifact


class Emit(Stage):
    """firmware/, tb/ and the tool's scripts."""

    name = "emit"
    rooms = ("fixed", "parallel", "dataclass", "ir", "ops", "emit", "backends", "flow/stages/emit")

    def reads(self, build: Build) -> Mapping[str, object]:
        return {"graph": build.artifact("optimize").digest, "target": target_of(build.recipe)}

    def make(self, build: Build, folder: Path) -> Mapping[str, str]:
        from kbuild.emit import emit

        files = emit(build.graph("optimize"), target_of(build.recipe))
        for name in files:
            if name.startswith("/") or ".." in name.split("/"):
                raise ValueError(f"an emitted file has the path {name}")
        return write_all(folder, {name: c.encode() if isinstance(c, str) else c for name, c in files.items()})

    def outputs(self, build: Build, artifact: Artifact) -> Mapping[str, Content]:
        return {name: artifact.path(name) for name in artifact.files}


STAGE = Emit()
