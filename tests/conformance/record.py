"""Write the facts of a run to `backends/layers.json`, from which `kbuild layers` and the documents are made."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from conformance.catalog import all_layers, family_of
from conformance.check import REFUSED, RIGHT, Outcome
from conformance.refusals import refusals

FILE = Path(__file__).parents[2] / "backends" / "layers.json"


def facts(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Of one layer: operations of every right model, and of some."""
    right = [set(o.kinds) - {"input"} for o in outcomes if o.status == RIGHT]
    always = set.intersection(*right) if right else set()
    return {
        "family": family_of(outcomes[0].case.layer),
        "right": len(right),
        "failed": sum(o.failed for o in outcomes),
        "refused": dict(sorted(Counter(o.message for o in outcomes if o.status == REFUSED).items())),
        "always": sorted(always),
        "sometimes": sorted(set().union(*right) - always),
    }


def document(outcomes: Sequence[Outcome], seed: int) -> dict[str, Any]:
    """The whole file."""
    by_layer = {layer: [o for o in outcomes if o.case.layer == layer] for layer in all_layers()}
    used = {o.message for o in outcomes if o.status == REFUSED}
    return {
        "seed": seed,
        "cases": len(outcomes),
        "refusals": {refusal.reason: refusal.why for refusal in refusals() if refusal.reason in used},
        "layers": {layer: facts(found) for layer, found in by_layer.items() if found},
    }


def write(outcomes: Sequence[Outcome], seed: int) -> None:
    """Replace the file."""
    text = json.dumps(document(outcomes, seed), indent=1)
    FILE.write_text(text + "\n", encoding="utf-8")
