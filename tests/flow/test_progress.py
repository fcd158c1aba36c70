"""What a build shows where there is no terminal."""

import io
import sys
from types import ModuleType

import pytest

from kbuild.flow.build import Event
from kbuild.flow.progress import showing

EVENTS = (
    Event("r", "simulate"),
    Event("r", "simulate", None, 0.0, "compiling the C simulation"),
    Event("r", "simulate", None, 0.0, "a remark", lasting=True),
    Event("r", "simulate", "done", 1.5),
)


def shown() -> list[str]:
    stream = io.StringIO()
    with showing(stream) as listen:
        for event in EVENTS:
            listen(event)
    return stream.getvalue().splitlines()


def test_a_log_has_a_line_a_stage() -> None:
    assert shown() == ["simulate: a remark", "simulate: done in 1.50 s"]


def test_a_notebook_says_what_takes_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    assert shown() == ["simulate: compiling the C simulation", "simulate: a remark", "simulate: done in 1.50 s"]
