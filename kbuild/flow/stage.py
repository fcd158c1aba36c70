"""What a stage is: what it reads, what it makes for the cache, and what it leaves in OutputDir."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from kbuild import __version__, plugins
from kbuild.flow.digests import code_digest, value_digest
from kbuild.flow.output import Content

if TYPE_CHECKING:
    from kbuild.flow.build import Build
    from kbuild.flow.cache import Artifact


class Stage(ABC):
    """One arrow of the build. Stages have no state: one instance serves all builds, from any thread.

    The code of users' operations counts for every stage.

    `rooms` are the parts of kbuild (see `digests.code_digest`) whose code decides what the stage makes; a change
    anywhere else leaves its artifacts good.
    """

    name: ClassVar[str]
    rooms: ClassVar[tuple[str, ...]] = ()

    def skip(self, build: Build) -> str | None:
        """Why the stage does not run for this recipe; None when it does. Raises MissingTool."""
        return None

    @abstractmethod
    def reads(self, build: Build) -> Mapping[str, object]:
        """Everything that decides what the stage makes: digests of artifacts and files, settings, tool versions."""

    def key(self, build: Build) -> str:
        """The name of what the stage makes."""
        reads = self.reads(build)
        return value_digest([self.name, __version__, code_digest(self.rooms), plugins.digest("op"), dict(reads)])

    @abstractmethod
    def make(self, build: Build, folder: Path) -> Mapping[str, str] | None:
        """Make it in an empty folder; may return the digests of files (see `cache.Make`)."""

    def judged_by(self, build: Build) -> Mapping[str, object]:
        """Settings that decide what `outputs` and `check` say of an artifact, beyond what `make` reads."""
        return {}

    @abstractmethod
    def outputs(self, build: Build, artifact: Artifact) -> Mapping[str, Content]:
        """The stage's files in OutputDir, by relative path."""

    def check(self, build: Build, artifact: Artifact) -> None:
        """Raise StageError when what was made is not what the recipe demands. The outputs are written even so."""
        return

    def remarks(self, artifact: Artifact) -> Sequence[str]:
        """What a user should know of an artifact that passes."""
        return ()
