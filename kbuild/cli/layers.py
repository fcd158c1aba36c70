"""`kbuild layers`: the Keras layers that are read."""

from __future__ import annotations

import argparse
import json

from kbuild.cli.common import print_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    parser.add_argument("--json", action="store_true", help="for machines")


def run(given: argparse.Namespace) -> int:
    """Print the table."""
    from kbuild.frontend.keras import supported_layers

    layers = supported_layers()
    if given.json:
        document = [{"class": name, "family": found.family, "note": found.note} for name, found in layers.items()]
        print(json.dumps({"layers": document}, indent=2))
    else:
        print_table(("layer", "family", "note"), [(name, found.family, found.note) for name, found in layers.items()])
        print(
            "\nThese layers are read. `kbuild backends` says which operations each backend prints, and "
            "`kbuild check` whether one can print your model."
        )
    return 0
