"""The stages, one file each, in their order."""

from __future__ import annotations

from kbuild.flow.names import STAGE_NAMES
from kbuild.flow.stage import Stage
from kbuild.flow.stages.emit import Emit
from kbuild.flow.stages.optimize import Optimize
from kbuild.flow.stages.parse import Parse
from kbuild.flow.stages.report import Report
from kbuild.flow.stages.simulate import Simulate
from kbuild.flow.stages.synthesize import Synthesize
from kbuild.flow.stages.validate import Validate

STAGES: tuple[Stage, ...] = (Validate(), Parse(), Optimize(), Emit(), Simulate(), Synthesize(), Report())
_BY_NAME = {stage.name: stage for stage in STAGES}


def stage_named(name: str) -> Stage:
    """The stage of that name."""
    return _BY_NAME[name]


def up_to(name: str) -> tuple[str, ...]:
    """A stage and all that it needs, in order."""
    needed = {name}
    for stage in reversed(STAGES):
        if stage.name in needed:
            needed.update(stage.after)
    return tuple(stage for stage in STAGE_NAMES if stage in needed)


def descendants(name: str) -> tuple[str, ...]:
    """The stages that work on what this one made, directly or not. What was validated has no content of its own."""
    if name == "validate":
        return ()
    return tuple(stage for stage in STAGE_NAMES if stage != name and name in up_to(stage))
