"""Write the facts of a run to `backends/layers.json`, from which `kbuild layers` and the documents are made."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from conformance.catalog import all_layers, family_of
from conformance.check import REFUSED, RIGHT, Outcome
from conformance.refusals import refusals

FILE = Path(__file__).parents[2] / "backends" / "layers.json"


def facts(outcomes: Sequence[Outcome], known: Mapping[str, Any] | None) -> dict[str, Any]:
    """Of one layer, with what is known of it already. Failures are those of the last run of the layer."""
    known = known or {"right": 0, "refused": {}, "operations": [], "least": []}
    sets = [frozenset(o.kinds) - {"input"} for o in outcomes if o.status == RIGHT]
    refused = Counter(o.message for o in outcomes if o.status == REFUSED) + Counter(known["refused"])
    return {
        "family": family_of(outcomes[0].case.layer),
        "right": len(sets) + known["right"],
        "failed": sum(o.failed for o in outcomes),
        "refused": dict(sorted(refused.items())),
        "operations": sorted(set(known["operations"]).union(*sets)),
        "least": _least([*sets, *map(frozenset, known["least"])]),
    }


def _least(sets: Sequence[frozenset[str]]) -> list[list[str]]:
    """Those that contain no other: a backend prints some model when it prints all operations of one of them."""
    return sorted(sorted(one) for one in set(sets) if not any(other < one for other in sets))


def document(outcomes: Sequence[Outcome], seed: int, known: Mapping[str, Any]) -> dict[str, Any]:
    """The whole file: these cases beside what is `known`."""
    cases: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        cases.setdefault(outcome.case.layer, []).append(outcome)
    made = {name: facts(cases[name], known.get(name)) if name in cases else known.get(name) for name in all_layers()}
    layers = {name: {**entry, "family": family_of(name)} for name, entry in made.items() if entry is not None}
    used = {reason for entry in layers.values() for reason in entry["refused"]}
    return {
        "seed": seed,
        "cases": sum(entry["right"] + entry["failed"] + sum(entry["refused"].values()) for entry in layers.values()),
        "refusals": {refusal.reason: refusal.why for refusal in refusals() if refusal.reason in used},
        "layers": layers,
    }


def write(outcomes: Sequence[Outcome], seed: int) -> None:
    """Add the facts of these cases to those that are kept; without the file, they are all."""
    known = json.loads(FILE.read_text(encoding="utf-8"))["layers"] if FILE.exists() else {}
    FILE.write_text(json.dumps(document(outcomes, seed, known), indent=1) + "\n", encoding="utf-8")
