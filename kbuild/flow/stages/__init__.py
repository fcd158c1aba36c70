"""The stages, one file each, which is imported when the stage is needed: its `STAGE` is the stage."""

from __future__ import annotations

import importlib
from functools import cache

from kbuild.flow.names import STAGE_NAMES
from kbuild.flow.stage import Stage


@cache
def stage_named(name: str) -> Stage:
    """The stage of that name. Raises KeyError for a name that no stage has."""
    if name not in STAGE_NAMES:
        raise KeyError(f"no stage is called {name}; there are {', '.join(STAGE_NAMES)}")
    stage: Stage = importlib.import_module(f"{__name__}.{name}").STAGE
    return stage
