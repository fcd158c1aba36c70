"""The stages' names in their published order, and what each needs, for those who must not import the stages."""

AFTER: dict[str, tuple[str, ...]] = {
    "validate": (),
    "parse": ("validate",),
    "optimize": ("parse",),
    "emit": ("optimize",),
    "simulate": ("emit",),
    "synthesize": ("emit",),
    "report": ("simulate", "synthesize"),
}
STAGE_NAMES = tuple(AFTER)


def up_to(name: str) -> tuple[str, ...]:
    """A stage and all that it needs, in order."""
    needed = {name}
    for stage in reversed(STAGE_NAMES):
        if stage in needed:
            needed.update(AFTER[stage])
    return tuple(stage for stage in STAGE_NAMES if stage in needed)


def descendants(name: str) -> tuple[str, ...]:
    """The stages that work on what this one made, directly or not. What was validated has no content of its own."""
    if name == "validate":
        return ()
    return tuple(stage for stage in STAGE_NAMES if stage != name and name in up_to(stage))
