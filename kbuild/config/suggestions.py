"""Did you mean …?"""

from __future__ import annotations

from collections.abc import Iterable

_SHOWN = 12


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The one of `known` that `word` was probably meant to be, or None when nothing is near."""
    import difflib

    by_fold: dict[str, str] = {}
    for candidate in known:
        by_fold.setdefault(_fold(candidate), candidate)
    matches = difflib.get_close_matches(_fold(word), list(by_fold), n=1, cutoff=0.6)
    return by_fold[matches[0]] if matches else None


def listing(known: Iterable[str]) -> str:
    """`a, b, c` — shortened when there are very many."""
    words = list(known)
    if len(words) <= _SHOWN:
        return ", ".join(words) if words else "none"
    return ", ".join(words[:_SHOWN]) + f" and {len(words) - _SHOWN} more"


def _fold(word: str) -> str:
    return word.casefold().replace("_", "").replace("-", "")
