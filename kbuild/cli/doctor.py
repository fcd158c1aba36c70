"""`kbuild doctor`: which tools are here, which versions, what is missing and how to get it."""

from __future__ import annotations

import argparse
import json

from kbuild.cli.common import print_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    parser.add_argument("--json", action="store_true", help="for machines")


def run(given: argparse.Namespace) -> int:
    """Print what was found; a missing tool is no failure of this command."""
    from kbuild.flow.cache import Cache
    from kbuild.flow.kernels import state
    from kbuild.flow.reference import keras_version
    from kbuild.tools.doctor import doctor

    tools = doctor()
    keras, kernels = keras_version(), state(Cache())
    if given.json:
        facts = {"tools": [vars(tool) for tool in tools], "keras": keras, "emulator_kernels": kernels}
        print(json.dumps(facts, indent=2))
        return 0
    rows = [(tool.name, tool.version if tool.found else "missing", tool.origin, tool.needed_for) for tool in tools]
    rows.append(("keras", keras or "missing", None, "live models and reference predictions"))
    rows.append(("emulator kernels", kernels, None, "a fast emulator; it is NumPy's without them"))
    print_table(("tool", "version", "found by", "needed for"), rows)
    for tool in tools:
        if not tool.found:
            print(f"\n{tool.name}: {tool.problem if tool.problem and tool.path else tool.how_to_get}")
    if keras is None:
        print('\nkeras: pip install "kbuild[keras]"')
    return 0
