"""`kbuild backends`: the backends that are supported, and what each can do."""

from __future__ import annotations

import argparse
import json

from kbuild.cli.common import print_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    parser.add_argument("--json", action="store_true", help="for machines")


def run(given: argparse.Namespace) -> int:
    """Print the table."""
    from kbuild.config.backends import all_backends

    backends = all_backends().values()
    if given.json:
        document = [
            {
                "name": found.name,
                "tool": found.tool,
                "default_part": found.default_part,
                "io_types": list(found.io_types),
                "reuse_factor": found.reuse_factor,
                "ops": {kind: list(io_types) for kind, io_types in found.ops.items()},
                "strategies": {kind: list(names) for kind, names in found.strategies.items()},
                "limits": dict(found.limits),
            }
            for found in backends
        ]
        print(json.dumps({"backends": document}, indent=2))
    else:
        print_table(
            ("backend", "tool", "io types", "reuse factor", "default part", "operations"),
            [
                (found.name, found.tool, " ".join(found.io_types), found.reuse_factor, found.default_part,
                 " ".join(found.ops))
                for found in backends
            ],
        )  # fmt: skip
    return 0
