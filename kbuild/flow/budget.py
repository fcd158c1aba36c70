"""`Budget`: the recipe's limits against what was measured."""

from __future__ import annotations

from collections.abc import Sequence

from kbuild.config import Budget
from kbuild.errors import StageError
from kbuild.report.records import BudgetLine, SimulationReport, SynthesisReport


def lines(
    budget: Budget, synthesis: SynthesisReport | None, simulation: SimulationReport | None
) -> tuple[BudgetLine, ...]:
    """One line for each limit that is given; `met` is None where nothing measured the value."""
    resources = synthesis.resources if synthesis else None
    latency = simulation.latency_cycles if simulation else None
    if latency is None and synthesis:
        latency = synthesis.latency_cycles
    upper: tuple[tuple[str, int | None, int | None], ...] = (
        ("LUT", budget.lut, resources.lut if resources else None),
        ("FF", budget.ff, resources.ff if resources else None),
        ("DSP", budget.dsp, resources.dsp if resources else None),
        ("BRAM", budget.bram, resources.bram if resources else None),
        ("LatencyCycles", budget.latency_cycles, latency),
    )
    found = []
    for key, limit, value in upper:
        if limit is not None:
            measured = None if value is None else float(value)
            found.append(BudgetLine(key, float(limit), measured, None if value is None else value <= limit))
    if budget.fmax is not None:
        fmax = synthesis.timing.fmax_mhz if synthesis else None
        found.append(BudgetLine("Fmax", budget.fmax, fmax, None if fmax is None else fmax >= budget.fmax))
    return tuple(found)


def demand(budget: Sequence[BudgetLine]) -> None:
    """Raise StageError with every limit that is exceeded."""
    over = [line for line in budget if line.met is False]
    if over:
        shown = "; ".join(
            f"{line.key} is {line.value:g}, the {'least' if line.key == 'Fmax' else 'limit'} is {line.limit:g}"
            for line in over
        )
        raise StageError(f"the design is over its Budget: {shown}")
