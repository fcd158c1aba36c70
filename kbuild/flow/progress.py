"""What a build shows of itself: a live table on a terminal, a line a stage elsewhere; in a notebook more lines."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from kbuild.flow.build import Event, Listener

if TYPE_CHECKING:
    from rich.text import Text

_STYLES = {"done": "green", "up to date": "dim", "from cache": "cyan", "skipped": "yellow", "failed": "bold red"}
_NAME_WIDTH = 10


@contextmanager
def showing(stream: TextIO | None = None, many: bool = False) -> Iterator[Listener]:
    """A listener that shows events on `stream` (default: standard output); `many`: the recipe's name is shown, too."""
    stream = stream or sys.stdout
    if not stream.isatty():
        yield _plain(stream, many, details="ipykernel" in sys.modules)
        return
    live = _Live(stream, many)
    with live.running():
        yield live.listen


def line(event: Event, many: bool) -> str:
    """One finished stage as a line: `simulate: done in 1.2 s`, `synthesize: skipped: no vivado here`."""
    text = f"{_name(event, many)}: {event.status}"
    if event.status in ("done", "from cache"):
        text += f" in {event.seconds:.2f} s"
    elif event.status == "skipped" and event.detail:
        text += f": {event.detail}"
    return text


def _name(event: Event, many: bool) -> str:
    return f"{event.stage}:{event.recipe}" if many else event.stage


def _plain(stream: TextIO, many: bool, details: bool = False) -> Callable[[Event], None]:
    """`details`: someone is watching, who wants to know what takes so long."""

    def listen(event: Event) -> None:
        if event.status is not None:
            print(line(event, many), file=stream, flush=True)
        elif event.lasting or (details and event.detail):
            print(f"{_name(event, many)}: {event.detail}", file=stream, flush=True)

    return listen


class _Live:
    """Finished stages scroll by; those that run are shown below with what they are at and for how long."""

    def __init__(self, stream: TextIO, many: bool) -> None:
        from rich.console import Console

        self._console = Console(file=stream, highlight=False)
        self._many = many
        self._lock = threading.Lock()
        self._running: dict[tuple[str, str], tuple[float, str]] = {}

    @contextmanager
    def running(self) -> Iterator[None]:
        from rich.live import Live

        with Live(console=self._console, refresh_per_second=8, transient=True, get_renderable=self._render):
            yield

    def listen(self, event: Event) -> None:
        key = (event.recipe, event.stage)
        with self._lock:
            if event.status is None:
                started = self._running.get(key, (time.monotonic(), ""))[0]
                self._running[key] = (started, event.detail or "")
            else:
                self._running.pop(key, None)
        if event.lasting:
            self._console.print(f"{_name(event, self._many):<{_NAME_WIDTH}} {event.detail}", markup=False)
        elif event.status is not None:
            self._console.print(self._finished(event))

    def _finished(self, event: Event) -> Text:
        from rich.text import Text

        name, rest = line(event, self._many).split(": ", 1)
        return Text.assemble(
            (f"{name:<{_NAME_WIDTH}} ", "bold"), (rest, _STYLES.get(event.status or "", "default"))
        )

    def _render(self) -> Text:
        from rich.text import Text

        now = time.monotonic()
        with self._lock:
            running = list(self._running.items())
        text = Text()
        for (recipe, stage), (started, detail) in running:
            name = _name(Event(recipe, stage), self._many)
            text.append(f"{name:<{_NAME_WIDTH}} ", "bold")
            text.append(f"{now - started:5.1f} s  {detail}\n", "cyan")
        return text
