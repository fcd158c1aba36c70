"""Where a value of a recipe stands, and what is said when it is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePath

from kbuild.dataclass import dataclass
from kbuild.errors import RecipeError

KeyPath = tuple[str | int, ...]

_KEY_SHOWN = 300
_MESSAGE_SHOWN = 1000


@dataclass(frozen=True)
class Place:
    """A spot in a recipe file (`line` and `column` count from 1), on the command line, or in a dictionary.

    `label` is the file as the user named it, `--set`, or empty for a dictionary; the latter two have line 0.
    `text` is the scalar as it was typed, where there is one.
    """

    label: str = ""
    line: int = 0
    column: int = 0
    text: str | None = None

    def prefix(self) -> str:
        """What an error line begins with, e.g. `recipe.yml:3:14: `."""
        if self.line:
            return f"{self.label}:{self.line}:{self.column}: "
        return f"{self.label}: " if self.label else ""

    def origin(self) -> str:
        """The same without a folder, for the lock file: `recipe.yml:3`, `--set` or `argument`."""
        if self.line:
            return f"{PurePath(self.label).name}:{self.line}"
        return self.label or "argument"


NOWHERE = Place()


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a recipe; `message` is `what is wrong; what would be right`."""

    place: Place
    key: str
    message: str

    def line(self) -> str:
        """The whole line that the user sees."""
        key = _printable(self.key, _KEY_SHOWN)
        return self.place.prefix() + (f"{key}: " if key else "") + _printable(self.message, _MESSAGE_SHOWN)


def key_text(path: Sequence[str | int]) -> str:
    """A key path as text, as `--set` takes it: `HLSConfig.LayerName."a.b".ReuseFactor`, `Sweep.ReuseFactor[2]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        quoted = f'"{part}"' if not part or any(sign in part for sign in '."[]=') else part
        text += f".{quoted}" if text else quoted
    return text


def _printable(text: str, most: int) -> str:
    """Text from a file, fit for a terminal: no control characters, not endless."""
    clean = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)
    return clean if len(clean) <= most else clean[: most - 3] + "..."


def raise_problems(problems: Iterable[Problem]) -> None:
    """Raise `RecipeError` with every problem once, in the order of the file; return when there is none."""
    ordered = sorted(set(problems), key=lambda p: (p.place.line == 0, p.place.line, p.place.column, p.key, p.message))
    if ordered:
        raise RecipeError("\n".join(problem.line() for problem in ordered))
