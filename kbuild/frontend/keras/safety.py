"""What is read from a model file is data from a stranger: bounds, and names that may be shown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kbuild.errors import UnsupportedModel

MAX_JSON_BYTES = 64 << 20
MAX_JSON_DEPTH = 128
MAX_LAYERS = 10_000
MAX_NESTING = 16  # models inside models
MAX_NODES = 10_000
MAX_ELEMENTS = 1 << 28  # values of one tensor between two layers
MAX_WEIGHT_BYTES = 8 << 30  # as float64, of all weights together
MAX_EXPANSION = 1100  # DEFLATE never expands more than 1032 times (RFC 1951: 258 bytes from two bits)
SHOWN = 60


def quoted(name: object) -> str:
    """A name from the file for a message: in quotes, on one line, without control characters, not long."""
    text = str(name)
    if not (text.isascii() and text.isprintable()):  # as names are: the pattern takes its time to compile
        text = re.sub(r"[^\x20-\x7e\u00a1-\u024f\u0370-\u04ff\u4e00-\u9fff]", "?", text)
    return f'"{text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."}"'


@contextmanager
def located(place: Path) -> Iterator[None]:
    """Put the file's name in front of the message of every `UnsupportedModel` raised inside."""
    try:
        yield
    except UnsupportedModel as error:
        raise UnsupportedModel(f"{place}: {error}") from error


def parse_json(text: str | bytes, what: str) -> object:
    """The value of a JSON text. Raises UnsupportedModel when it is not JSON, too large or nested too deeply."""
    if len(text) > MAX_JSON_BYTES:
        raise UnsupportedModel(f"{what} has {len(text)} bytes; kbuild reads up to {MAX_JSON_BYTES}")
    try:
        value: object = json.loads(text)
    except RecursionError as error:
        raise UnsupportedModel(f"{what} is nested more than {MAX_JSON_DEPTH} levels deep") from error
    except UnicodeDecodeError as error:
        raise UnsupportedModel(f"{what} is not text in UTF-8") from error
    except json.JSONDecodeError as error:
        raise UnsupportedModel(
            f"{what} is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from error
    except ValueError as error:  # a number of more digits than Python converts
        raise UnsupportedModel(f"{what} is not valid JSON: {error}") from error
    _check_depth(value, what)
    return value


def _check_depth(value: object, what: str) -> None:
    level = [value]
    for _ in range(MAX_JSON_DEPTH):
        inner: list[object] = []
        for item in level:
            if isinstance(item, dict):
                inner += item.values()
            elif isinstance(item, list):
                inner += item
        if not inner:
            return
        level = inner
    raise UnsupportedModel(f"{what} is nested more than {MAX_JSON_DEPTH} levels deep")
