"""What a recipe's design is printed for."""

from __future__ import annotations

from kbuild.config import Recipe
from kbuild.emit.target import Target


def target_of(recipe: Recipe) -> Target:
    """Backend, part, clock and io type, as the emitters know them."""
    return Target(
        backend=recipe.backend,
        project_name=recipe.project_name,
        part=recipe.part,
        clock_period=recipe.clock_period,
        clock_uncertainty=recipe.clock_uncertainty,
        io_type=recipe.io_type,
    )
