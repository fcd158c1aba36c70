"""Who is told what a build is at: nobody, but for as long as `build` runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from kbuild.flow.build import Event, Listener

T = TypeVar("T")


class Relay:
    """A listener that passes on what it hears while someone listens."""

    def __init__(self) -> None:
        self._listener: Listener | None = None

    def __call__(self, event: Event) -> None:
        if self._listener is not None:
            self._listener(event)

    def told_to(self, listener: Listener, work: Callable[[], T]) -> T:
        """Do the work; `listener` hears of it."""
        self._listener = listener
        try:
            return work()
        finally:
            self._listener = None
