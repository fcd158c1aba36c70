"""What a run found: a table by layer, the refusals by reason, and the same for machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from conformance.catalog import all_layers, family_of
from conformance.check import CRASHED, REFUSED, RIGHT, WRONG, Outcome

TARGETS = ("Vitis io_parallel", "Vitis io_stream")
LOOSE = 0.1  # of an output's scale: a bound beyond that checks little


def table(outcomes: Sequence[Outcome]) -> str:
    """A line a layer: how many cases were right, refused, wrong, crashed; with each io type, how many of the right ones
    went through the C simulation, of those that HLS prints.
    """
    header = ("layer", "cases", RIGHT, REFUSED, WRONG, CRASHED, "simulated/printed: parallel", "stream")
    rows = [header]
    for layer in [layer for layer in all_layers() if any(o.case.layer == layer for o in outcomes)]:
        rows.append(_row(layer, [o for o in outcomes if o.case.layer == layer]))
    rows.append(_row("all", outcomes))
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    return "\n".join(
        "  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    )


def _row(name: str, outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    counts = Counter(o.status for o in outcomes)
    shown = (len(outcomes), *(counts[s] for s in (RIGHT, REFUSED, WRONG, CRASHED)))
    return (name, *map(str, shown), *("{}/{}".format(*simulated_of_printed(outcomes, target)) for target in TARGETS))


def simulated_of_printed(outcomes: Iterable[Outcome], target: str) -> tuple[int, int]:
    """Cases that went through the C simulation and did not fail, and all that the target prints, with default types."""
    printed = [o for o in outcomes if o.targets.get(target) == RIGHT and not o.failed]
    return sum(target.split()[1] in o.simulated for o in printed), len(printed)


def reasons(outcomes: Iterable[Outcome]) -> Counter[str]:
    """How often each reason was given, for the model or for a target."""
    found: Counter[str] = Counter()
    for outcome in outcomes:
        if outcome.status == REFUSED:
            found[f"the model: {outcome.message}"] += 1
        for target, answer in outcome.targets.items():
            if answer != RIGHT:
                found[f"{target}: {answer.removeprefix(f'{REFUSED}: ')}"] += 1
    return found


def document(outcomes: Sequence[Outcome], seed: int) -> dict[str, Any]:
    """Everything, for machines."""
    counts = Counter(o.status for o in outcomes)
    return {
        "seed": seed,
        "cases": len(outcomes),
        **{status: counts[status] for status in (RIGHT, REFUSED, WRONG, CRASHED)},
        "reasons": dict(reasons(outcomes).most_common()),
        "in float64": sum(o.in_double for o in outcomes),
        "loose bounds": sum(o.looseness > LOOSE for o in outcomes),
        "layers": {
            layer: _layer([o for o in outcomes if o.case.layer == layer])
            for layer in all_layers()
            if any(o.case.layer == layer for o in outcomes)
        },
        "failures": [
            {"case": str(o.case), "status": o.status, "message": o.message, "code": o.code}
            for o in outcomes
            if o.failed
        ],
    }


def _layer(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    counts = Counter(o.status for o in outcomes)
    targets = sorted({target for o in outcomes for target in o.targets})
    return {
        "family": family_of(outcomes[0].case.layer),
        "cases": len(outcomes),
        **{status: counts[status] for status in (RIGHT, REFUSED, WRONG, CRASHED)},
        "reasons": dict(Counter(o.message for o in outcomes if o.status == REFUSED)),
        "operations": sorted({kind for o in outcomes for kind in o.kinds}),
        "targets": {t: dict(Counter(o.targets[t] for o in outcomes if t in o.targets)) for t in targets},
        "simulated": {t: simulated_of_printed(outcomes, t)[0] for t in targets},
    }


def failure(outcome: Outcome) -> str:
    """A failed case with the Keras code that repeats it."""
    code = "\n".join(f"    {line}" for line in outcome.code.splitlines()) or "    (no model)"
    return f"\n{outcome.case}: {outcome.status}: {outcome.message}\n{code}"
