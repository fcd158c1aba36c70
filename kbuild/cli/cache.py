"""`kbuild cache`: the artifact cache."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from kbuild.cli.common import print_table, size_text

if TYPE_CHECKING:
    from kbuild.flow.cache import Cache


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    info = actions.add_parser("info", help="where it is and what is in it")
    info.add_argument("--json", action="store_true", help="for machines")
    prune = actions.add_parser("prune", help="remove what no build has used of late")
    prune.add_argument("--days", type=float, default=30, help="how long something stays unused (default: 30)")
    actions.add_parser("clear", help="remove everything; the next builds make it anew")


def run(given: argparse.Namespace) -> int:
    """Do it."""
    from kbuild.flow.cache import Cache

    cache = Cache()
    if given.action == "info":
        return _info(cache, given.json)
    freed = cache.prune(given.days, _waiting) if given.action == "prune" else cache.clear(_waiting)
    print(f"{size_text(freed)} freed in {cache.root}")
    return 0


def _info(cache: Cache, as_json: bool) -> int:
    usage = cache.usage()
    if as_json:
        document = [{"kind": found.kind, "artifacts": found.artifacts, "bytes": found.size} for found in usage]
        print(json.dumps({"folder": str(cache.root), "kinds": document}, indent=2))
        return 0
    print(cache.root)
    rows = [(found.kind, found.artifacts, size_text(found.size)) for found in usage]
    print_table(("kind", "artifacts", "size"), rows)
    return 0


def _waiting() -> None:
    print("waiting for running builds", file=sys.stderr)
