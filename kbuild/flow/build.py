"""One recipe on its way through the stages: its artifacts, and how a single stage is brought up to date."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kbuild.config import LayerSettings, Recipe, resolve_settings
from kbuild.config.capability import check_recipe
from kbuild.dataclass import dataclass
from kbuild.errors import KbuildError
from kbuild.flow.cache import Artifact, Cache
from kbuild.flow.digests import value_digest
from kbuild.flow.disk import disk_errors
from kbuild.flow.fast_path import FileStamp, stamp_file
from kbuild.flow.imports import load_imports
from kbuild.flow.names import STAGE_NAMES, descendants
from kbuild.flow.output import Content, Entry, Output
from kbuild.flow.stage import Stage
from kbuild.flow.stages import stage_named
from kbuild.ir import Graph

if TYPE_CHECKING:
    from kbuild.emit.verilog.design import Design

_LAST_CHECK = "optimize"
DONE, UP_TO_DATE, CACHED, SKIPPED, FAILED = "done", "up to date", "from cache", "skipped", "failed"


@dataclass(frozen=True)
class Event:
    """What happens to a stage. `status` is None when it starts or tells `detail` of its progress.

    A `lasting` detail is worth a line of its own, the others tell what the stage is at for as long as it is.
    """

    recipe: str
    stage: str
    status: str | None = None
    seconds: float = 0.0
    detail: str | None = None
    lasting: bool = False


Listener = Callable[[Event], None]


class Build:
    """A recipe and what is known about it so far. Stages of one build may run in several threads.

    `allow_code`: the modules that the recipe imports may run. Raises RecipeError for settings that this version of
    kbuild cannot honour.
    """

    def __init__(
        self,
        recipe: Recipe,
        cache: Cache | None = None,
        listener: Listener | None = None,
        allow_code: bool = False,
    ) -> None:
        check_recipe(recipe)
        self.recipe = recipe
        self.cache = cache or Cache()
        self.output = Output(recipe.output_dir)
        self._listener = listener or _silent
        self._locks = {name: threading.RLock() for name in STAGE_NAMES}
        self._artifacts: dict[str, Artifact] = {}
        self._graphs: dict[str, Graph] = {}
        self._skips: dict[str, str | None] = {}
        self.files_read: dict[Path, FileStamp] = {}
        self._settings: dict[str, LayerSettings] | None = None
        self._chosen: dict[str, LayerSettings] | None = None
        self._design: Design | None = None
        self._held_back: list[Callable[[], None]] | None = None
        for path in load_imports(recipe, allow_code):
            self.file(path)

    # -- what stages ask for ---------------------------------------------------------------------

    def artifact(self, name: str) -> Artifact:
        """What a stage made: from the cache, or made now."""
        with self._locks[name]:
            if name not in self._artifacts:
                stage = stage_named(name)
                self._artifacts[name] = self.cache.get(
                    name, stage.key(self), lambda folder: stage.make(self, folder), self._waiting(name)
                )
            return self._artifacts[name]

    def graph(self, name: str) -> Graph:
        """The float graph of `parse` or the fixed graph of `optimize`."""
        with self._locks[name]:
            artifact = self.artifact(name)
            if name not in self._graphs:
                from kbuild.ir.files import load
                from kbuild.ops import op_class

                self._graphs[name] = load(artifact.folder, op_class)
            return self._graphs[name]

    def design(self) -> Design:
        """The Verilog design of a backend that prints Verilog."""
        with self._locks["optimize"]:
            if self._design is None:
                from kbuild.emit.verilog import lower
                from kbuild.flow.target import target_of

                self._design = lower(self.graph("optimize"), target_of(self.recipe))
            return self._design

    def remember(self, name: str, graph: Graph) -> None:
        """Keep a graph that was made just now, so that it need not be read back."""
        self._graphs[name] = graph

    def skip(self, name: str) -> str | None:
        """Why a stage does not run for this recipe, or None. Raises MissingTool."""
        if name not in self._skips:
            self._skips[name] = stage_named(name).skip(self)
        return self._skips[name]

    def file(self, path: Path | None) -> str | None:
        """The digest of a file's content; None for no file."""
        if path is None:
            return None
        if path not in self.files_read:
            with disk_errors(f"reading {path}"):
                self.files_read[path] = stamp_file(path)
        return self.files_read[path].digest

    def settings(self) -> dict[str, LayerSettings]:
        """The settings of every layer of the model. Raises RecipeError for names that the model does not have."""
        if self._settings is None:
            from kbuild.passes.context import layer_infos

            self._settings = resolve_settings(self.recipe, layer_infos(self.graph("parse")))
        return self._settings

    def chosen_settings(self) -> dict[str, LayerSettings]:
        """The settings with the strategies that are chosen for layers which the recipe names none for."""
        if self._chosen is None:
            from kbuild.passes.context import Context
            from kbuild.passes.resolve_strategy import as_chosen

            context = Context(self.settings(), self.recipe.backend, self.recipe.io_type)
            self._chosen = as_chosen(self.graph("parse"), context)
        return self._chosen

    def tell(self, stage: str, detail: str, lasting: bool = False) -> None:
        """Say what a stage is at, or (`lasting`) something that is to be read afterwards, too."""
        self._listener(Event(self.recipe.name, stage, None, 0.0, detail, lasting))

    # -- running stages --------------------------------------------------------------------------

    @contextlib.contextmanager
    def session(self, stages: Collection[str]) -> Iterator[None]:
        """Keep the cache and other builds out of OutputDir while `stages` run.

        When `optimize` is among them nothing is written before it has passed: until then the recipe or the model may
        turn out to be wrong, and a wrong recipe writes nothing.
        """

        first = next(iter(stages))
        waiting = "waiting for another build of this OutputDir"
        with self.cache.in_use(), self.output.session(lambda: self.tell(first, waiting, lasting=True)):
            self._held_back = [] if _LAST_CHECK in stages else None
            yield

    def stamp(self, stage: Stage) -> str:
        """What the stage's files in OutputDir are recorded under: what it reads and what judges it."""
        return value_digest([stage.key(self), dict(stage.judged_by(self))])

    def is_current(self, name: str) -> bool:
        """Whether the stage has nothing to do. False, too, when that cannot be known because something is wrong."""
        stage = stage_named(name)
        try:
            return self.skip(name) is None and self.output.current(name, self.stamp(stage))
        except (KbuildError, OSError):
            return False

    def run(self, name: str) -> str:
        """Bring one stage's files in OutputDir up to date; return how that went. What it needs is made if need be."""
        started = time.monotonic()
        self._listener(Event(self.recipe.name, name))
        try:
            status, reason = self._run(stage_named(name), started)
        except BaseException as error:
            text = str(error) if isinstance(error, KbuildError) else type(error).__name__
            self._listener(Event(self.recipe.name, name, FAILED, time.monotonic() - started, text))
            raise
        self._listener(Event(self.recipe.name, name, status, time.monotonic() - started, reason))
        return status

    def _run(self, stage: Stage, started: float) -> tuple[str, str | None]:
        reason = self.skip(stage.name)
        if reason is not None:
            if self.output.entries().get(stage.name) != Entry("", {}, "", SKIPPED, 0.0, reason):
                self.output.retract(stage.name, SKIPPED, reason)
            return SKIPPED, reason
        stamp = self.stamp(stage)
        if self.output.current(stage.name, stamp):
            if stage.name == _LAST_CHECK:
                self._release()
            return UP_TO_DATE, None
        artifact = self.artifact(stage.name)
        status = DONE if artifact.fresh or not artifact.files else CACHED
        files = stage.outputs(self, artifact)
        try:
            stage.check(self, artifact)
        except KbuildError as error:
            self._publish(stage, Entry("", {}, artifact.digest, FAILED, 0.0, str(error)), files)
            raise
        seconds = round(time.monotonic() - started, 3)
        self._publish(stage, Entry(stamp, {}, artifact.digest, status, seconds), files)
        for remark in stage.remarks(artifact):
            self.tell(stage.name, remark, lasting=True)
        return status, None

    def _publish(self, stage: Stage, entry: Entry, files: Mapping[str, Content]) -> None:
        if self._held_back is not None and stage.name != _LAST_CHECK:
            self._held_back.append(lambda: self.output.publish(stage.name, entry, files, descendants(stage.name)))
            return
        self._release()
        self.output.publish(stage.name, entry, files, descendants(stage.name))

    def _release(self) -> None:
        """Write what was held back."""
        for publish in self._held_back or ():
            publish()
        self._held_back = None

    def _waiting(self, stage: str) -> Callable[[], None]:
        return lambda: self.tell(stage, "waiting for another build that is making the same", lasting=True)


def _silent(event: Event) -> None:
    """No one listens."""
