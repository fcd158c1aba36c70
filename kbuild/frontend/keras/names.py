"""Names that nodes and layers get."""

from __future__ import annotations

import re

MAX_LENGTH = 48


def identifier(name: str) -> str:
    """`name` as an identifier of every target language: letters, digits, single underscores; begins with a letter."""
    text = re.sub(r"[^A-Za-z0-9]+", "_", name)[:MAX_LENGTH].strip("_")
    if not text:
        return "layer"
    return text if text[0].isalpha() else f"layer_{text}"


class Names:
    """Gives each name once, with a numeric suffix where it is taken."""

    def __init__(self, ignore_case: bool) -> None:
        self._ignore_case = ignore_case
        self._taken: set[str] = set()
        self._next: dict[str, int] = {}

    def _key(self, name: str) -> str:
        return name.lower() if self._ignore_case else name

    def __contains__(self, name: str) -> bool:
        return self._key(name) in self._taken

    def take(self, name: str) -> str:
        """`name`, or `name_2`, `name_3` ..."""
        free, number = name, self._next.get(self._key(name), 2)
        while free in self:
            free, number = f"{name}_{number}", number + 1
        self._next[self._key(name)] = number
        self._taken.add(self._key(free))
        return free
