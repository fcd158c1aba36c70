"""Many cases at once: in processes of their own, some dozens of them in one C simulation."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

from conformance.catalog import CaseId
from conformance.check import CRASHED, IO_TYPES, Outcome, Trial, examine
from conformance.engines import simulate

BATCH = 24  # cases whose graphs are compiled together
ROUND = 16  # batches of a process before it is replaced: TensorFlow keeps what it once compiled
SECONDS = 180  # that a case may take before it counts as crashed


def run(cases: Sequence[CaseId], jobs: int) -> Iterator[Outcome]:
    """The outcomes as they come; a process that dies takes only the cases of its batch along."""
    batches = [cases[i : i + BATCH] for i in range(0, len(cases), BATCH)]
    if jobs == 1 or len(batches) == 1:
        for batch in batches:
            yield from examine_batch(batch)
        return
    while batches:
        waiting, batches = batches[: jobs * ROUND], batches[jobs * ROUND :]
        broken = []
        with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
            tasks = {pool.submit(examine_batch, batch): batch for batch in waiting}
            for task in as_completed(tasks):
                try:
                    yield from task.result()
                except BrokenProcessPool:  # it was one of those that were running: each case is tried again alone
                    broken.append(tasks[task])
        yield from _one_by_one([case for batch in broken for case in batch])


def _one_by_one(cases: Sequence[CaseId]) -> Iterator[Outcome]:
    context = multiprocessing.get_context("spawn")
    for case in cases:
        with ProcessPoolExecutor(1, context) as pool:
            try:
                yield from pool.submit(examine_batch, [case]).result()
            except BrokenProcessPool:
                yield Outcome(case, CRASHED, "the process died")


def examine_batch(cases: Sequence[CaseId]) -> list[Outcome]:
    """Every check of these cases, in this process."""
    outcomes: list[Outcome] = []
    trials: list[Trial] = []
    for case in cases:
        outcome, found = _limited(case)
        outcomes.append(outcome)
        trials += found
    simulate_all(trials)
    return outcomes


def simulate_all(trials: Sequence[Trial]) -> None:
    """Run what the cases leave to the other engines."""
    for io_type in IO_TYPES:
        simulate([trial for trial in trials if trial.io_type == io_type])


def _limited(case: CaseId) -> tuple[Outcome, list[Trial]]:
    def late(*_: object) -> None:
        raise TimeoutError(f"it takes more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        return examine(case)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def processors() -> int:
    """How many processes are worth starting."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
