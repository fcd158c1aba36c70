"""What several subcommands share."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kbuild.config import Recipe


def add_recipe(parser: argparse.ArgumentParser, many: bool = False) -> None:
    """The recipe's path and --set."""
    parser.add_argument("recipe", type=Path, nargs="+" if many else None, metavar="RECIPE", help="the YAML file")
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY.PATH=VALUE",
        help="set a key of the recipe for this run; may be given several times",
    )


def add_allow_code(parser: argparse.ArgumentParser) -> None:
    """For commands that read the model."""
    parser.add_argument("--allow-code", action="store_true", help="run the modules that the recipe imports")


def one_recipe(path: Path, overrides: Sequence[str]) -> Recipe:
    """The recipe of a file that has one. Raises RecipeError."""
    from kbuild.config import load_recipe
    from kbuild.errors import RecipeError

    recipes = load_recipe(path, overrides)
    if len(recipes) != 1:
        raise RecipeError(f"{path}: the file holds {len(recipes)} recipes; this command takes a file with one")
    return recipes[0]


def print_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Columns as wide as their longest cell; numbers to the right."""
    cells = [[str(cell) if cell is not None else "-" for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(head), *cells]) for i in range(len(head))]
    numeric = [bool(cells) and all(_is_number(row[i]) for row in cells) for i in range(len(head))]
    for row in [list(head), ["-" * width for width in widths], *cells]:
        aligned = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ]
        print("  ".join(aligned).rstrip())


def _is_number(cell: str) -> bool:
    return cell.replace(".", "").replace(",", "").replace("-", "").isdigit() or cell == "-"


def shape_text(shape: Sequence[int]) -> str:
    """`16`, `8x8x3`; a scalar is `1`."""
    return "x".join(map(str, shape)) or "1"


def size_text(size: float) -> str:
    """Bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
