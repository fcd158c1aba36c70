"""python -m conformance: random models of every layer against Keras, the bounds and the C simulation."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from conformance import author, record, report
from conformance.catalog import KERAS, LIBRARIES, CaseId, draw
from conformance.check import Outcome
from conformance.run import processors, run


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m conformance", description=__doc__)
    parser.add_argument("-n", "--cases", type=int, default=1000, help="how many cases (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other cases (default: 0)")
    parser.add_argument("--library", dest="libraries", action="append", choices=LIBRARIES,
                        help="of keras3, keras2 unless given")  # fmt: skip
    parser.add_argument("--layer", action="append", help="only cases of this layer; may be repeated")
    parser.add_argument("--jobs", type=int, default=processors(), help="processes (default: one a processor)")
    parser.add_argument("--json", type=Path, help="write what was found to this file")
    parser.add_argument("--record", action="store_true", help="add what is found to the facts of `kbuild layers`")
    parser.add_argument("case", nargs="*", help="cases by name, such as Dense/keras3/42, instead of drawn ones")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the cases; 1 when one is wrong or crashed."""
    given = arguments(argv)
    cases = [CaseId.parse(name) for name in given.case]
    libraries = [library for library in given.libraries or KERAS if can_be_made(library)]
    if not cases and libraries:
        drawn = draw(given.cases if not given.layer else 10**9, given.seed, libraries)
        wanted = (case for case in drawn if not given.layer or case.layer in given.layer)
        cases = [case for case, _ in zip(wanted, range(given.cases), strict=False)]
    started, outcomes = time.monotonic(), []
    for outcome in run(cases, given.jobs):
        outcomes.append(outcome)
        if outcome.failed:
            print(report.failure(outcome), flush=True)
        elif given.case:
            print(f"\n{outcome.case}: {outcome.status} {outcome.message} {outcome.targets}\n{outcome.code}")
        elif len(outcomes) % 100 == 0:
            _progress(outcomes, len(cases), started)
    _show(outcomes, given, time.monotonic() - started)
    if given.record:
        record.write(outcomes, given.seed)
    return int(any(outcome.failed for outcome in outcomes))


def can_be_made(library: str) -> bool:
    """Whether the library is there; a line where it is not."""
    if library in ("qkeras", "hgq") and author.python() is None:
        print(f"kbuild: {library} is skipped: {author.PYTHON} names no Python that has it", flush=True)
        return False
    module = {"hgq2": "hgq", "qkeras3": "qkeras"}.get(library)
    if module is not None and importlib.util.find_spec(module) is None:
        print(f"kbuild: {library} is skipped: it is not in this environment", flush=True)
        return False
    return True


def _progress(outcomes: Sequence[Outcome], total: int, started: float) -> None:
    failed = sum(outcome.failed for outcome in outcomes)
    seconds = time.monotonic() - started
    print(f"{len(outcomes)} of {total}, {failed} failed, {seconds:.0f} s", file=sys.stderr, flush=True)


def _show(outcomes: list[Outcome], given: argparse.Namespace, seconds: float) -> None:
    outcomes.sort(key=lambda outcome: outcome.case.seed)
    print(f"\n{report.table(outcomes)}\n")
    for reason, count in report.reasons(outcomes).most_common():
        print(f"{count:6} refused: {reason}")
    double = sum(outcome.in_double for outcome in outcomes)
    print(f"{double:6} compared with Keras in float64, as its float32 is further off than the tolerance")
    loose = sum(outcome.looseness > report.LOOSE for outcome in outcomes)
    print(f"{loose:6} bounds of ample precision wider than {report.LOOSE:.0%} of the output's scale")
    print(f"\n{len(outcomes)} cases, seed {given.seed}, {seconds:.0f} s")
    if given.json:
        given.json.write_text(json.dumps(report.document(outcomes, given.seed), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
