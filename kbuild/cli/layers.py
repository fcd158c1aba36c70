"""`kbuild layers`: every Keras layer, and on which engines, io types and backends it works."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from itertools import groupby

from kbuild.cli.common import print_table

MARKS = {"yes": "yes", "partly": "partly", "no": "-"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="for machines")
    form.add_argument("--markdown", action="store_true", help="as docs/layers.md")
    form.add_argument("--summary", action="store_true", help="by family, as in the README")


def run(given: argparse.Namespace) -> int:
    """Print the table."""
    from kbuild.cli import support

    if given.json:
        print(json.dumps({"layers": list(support.documents())}, indent=2))
    elif given.markdown:
        print(markdown(), end="")
    elif given.summary:
        print(summary(), end="")
    else:
        print_table(("layer", *titles(), "note"), [(name, *cells, note) for name, cells, note in rows()])
        print(f"\nAlso read: {', '.join(support.others())}.\n\n{legend()}")
    return 0


def titles() -> list[str]:
    """The columns of answers: the emulator, then every backend and io type."""
    from kbuild.cli.support import targets

    return ["emulator", *(target.title for target in targets())]


def rows() -> Iterator[tuple[str, list[str], str]]:
    """Layer, an answer for each column, and the note."""
    from kbuild.cli.support import note, recorded, targets

    for facts in recorded().layers.values():
        answers = [facts.emulated, *(facts.printed(t.backend, t.io_type) for t in targets())]
        yield facts.name, [MARKS[answer] for answer in answers], note(facts)


def legend() -> str:
    """What the answers mean."""
    from kbuild.cli.support import recorded

    return (
        f"These are the facts of {recorded().cases} random models that were compared on the emulator and in the C "
        "simulation, with Keras in floats and within derived bounds, with QKeras, HGQ and HGQ2 by equality of the "
        "integers, and what the backends print. `partly`: some configurations are refused, by name and before anything "
        "is written; `kbuild check` says whether your model is one."
    )


def markdown() -> str:
    """docs/layers.md."""
    from kbuild.cli.support import others, recorded

    lines = ["# Layers", "", "Printed by `kbuild layers --markdown`; a test keeps it true.", "", legend()]
    facts = recorded().layers
    for family, group in groupby(rows(), key=lambda row: facts[row[0]].family):
        lines += ["", f"## {family[0].upper()}{family[1:]}", ""]
        lines += [f"| {' | '.join(('layer', *titles(), 'note'))} |", f"|{' --- |' * (len(titles()) + 2)}"]
        lines += [f"| `{name}` | {' | '.join(cells)} | {note} |" for name, cells, note in group]
    lines += ["", "## Also read", "", "Other names of these layers, and classes that no random model has:", ""]
    lines += [", ".join(f"`{name}`" for name in others()) + "."]
    return "\n".join(lines) + "\n"


def summary() -> str:
    """The table of the README: by family, what works where."""
    from kbuild.cli.support import recorded, targets

    lines = ["| layers | models | " + " | ".join(titles()) + " |", "|" + " --- |" * (len(titles()) + 2)]
    by_family = groupby(recorded().layers.values(), key=lambda facts: facts.family)
    for family, group in by_family:
        found = [facts for facts in group if facts.right]
        if not found:
            continue
        counted = [sum(f.emulated != "no" for f in found)]
        counted += [sum(f.printed(t.backend, t.io_type) != "no" for f in found) for t in targets()]
        models = sum(facts.right for facts in found)
        lines.append(f"| {family}: {len(found)} | {models} | {' | '.join(map(str, counted))} |")
    return "\n".join(lines) + "\n"
