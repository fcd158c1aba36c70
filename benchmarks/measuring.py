"""What every measure needs: rows of the table, and where things are."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import projects
from processes import Run, worker

KBUILD = Path(sys.executable).parent / "kbuild"


@dataclass(frozen=True)
class Row:
    """One measure. `ratio` sets the two sides against each other as the goal words it."""

    measure: str
    ours: str
    peer: str
    ratio: float
    goal: str
    reached: bool


class Bench:
    """Where things are, and the cache folder that each measurement starts with."""

    def __init__(self, models: Path, peer: Path, scratch: Path, rounds: int) -> None:
        self.models = models
        self.mlp = projects.published_mlp(models)
        self.peer, self.scratch, self.rounds = peer, scratch, rounds
        self.keras = {"architecture": self.mlp.architecture, "weights": self.mlp.weights}

    def recipe(self, name: str, weights: Path | None = None, default_types: bool = False) -> Path:
        keys = {"HLSConfig": {"Model": {"ReuseFactor": 1}}} if default_types else {}
        return projects.write_recipe(
            self.scratch / name, KerasJson=self.mlp.architecture, KerasH5=weights or self.mlp.weights, **keys
        )

    def cache(self, name: str, *, empty: bool) -> dict[str, str]:
        folder = self.scratch / "cache" / name
        if empty:
            shutil.rmtree(folder, ignore_errors=True)
        return {"KBUILD_CACHE": str(folder)}

    @cached_property
    def networks(self) -> Path:
        """The folder of the networks that Keras makes, see `peer_models.py`."""
        folder = self.scratch / "networks"
        folder.mkdir()
        worker(self.peer, "peer_models.py", "models", output=folder, names=["cnn", "lstm", "resnet8"])
        return folder

    def turns(self, *sides: Callable[[], Run]) -> list[list[Run]]:
        """Each side's runs, the sides taking turns."""
        rounds = [[side() for side in sides] for _ in range(self.rounds)]
        return [list(runs) for runs in zip(*rounds, strict=True)]


def fastest(runs: list[Run]) -> float:
    return min(run.seconds for run in runs)


def least(runs: list[Run], key: str) -> float:
    return min(run.result[key] for run in runs)


def most(runs: list[Run], key: str) -> float:
    return max(run.result[key] for run in runs)


def at_least(measure: str, ours: str, peer: str, ratio: float, bound: float) -> Row:
    return Row(measure, ours, peer, ratio, f"≥ {bound:g} \u00d7", ratio >= bound)


def at_most(measure: str, ours: str, peer: str, ratio: float, bound: float) -> Row:
    return Row(measure, ours, peer, ratio, f"≤ {bound:g} \u00d7", ratio <= bound)
