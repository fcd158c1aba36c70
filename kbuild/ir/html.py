"""Tables for notebooks. Every name is data, perhaps of a hostile model, and escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def table(about: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with a line above it."""
    lines = [_row("th", head), *(_row("td", row) for row in rows)]
    return f"<p>{escape(about)}</p><table>{''.join(lines)}</table>"


def _row(tag: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"
