"""The tasks of every recipe in recipes/: `doit list --all`, `doit`, `doit -n 2`, `doit build:digits`.

And `doit conformance -n 1000`, which is `make conformance N=1000`.
"""

from pathlib import Path

from kbuild.flow.tasks import DOIT_CONFIG, tasks_for

__all__ = ["DOIT_CONFIG", "task_conformance", "task_kbuild"]


def task_kbuild():
    """One task for each stage of each recipe."""
    yield from tasks_for(*sorted(Path("recipes").glob("*/recipe.yml")))


def task_conformance():
    """Random models of every layer against Keras 2 and 3: `doit conformance -n 1000 --seed 0`."""
    return {
        "actions": ["make conformance N=%(cases)s SEED=%(seed)s"],
        "params": [
            {"name": "cases", "short": "n", "long": "cases", "type": int, "default": 1000, "help": "how many models"},
            {"name": "seed", "short": "s", "long": "seed", "type": int, "default": 0, "help": "another gives others"},
        ],
        "uptodate": [False],
        "verbosity": 2,
    }
