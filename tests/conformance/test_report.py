"""The report says how many cases went through the C simulation, beside how many a backend prints."""

from __future__ import annotations

from conformance import report
from conformance.catalog import CaseId
from conformance.check import REFUSED, RIGHT, WRONG, Outcome

PARALLEL, STREAM = report.TARGETS


def outcome(seed: int, status: str = RIGHT, simulated: tuple[str, ...] = (), **printed: str) -> Outcome:
    answers = {PARALLEL: printed.get("parallel", RIGHT), STREAM: printed.get("stream", RIGHT)}
    return Outcome(CaseId("Dense", "keras3", seed), status, targets=answers, simulated=set(simulated))


OUTCOMES = [
    outcome(1, simulated=("io_parallel", "io_stream")),
    outcome(2, simulated=("io_parallel",), stream=f"{REFUSED}: reuse factor"),
    outcome(3),
    outcome(4, WRONG, simulated=("io_parallel", "io_stream")),
    Outcome(CaseId("Dense", "keras3", 5), REFUSED, "masking"),
]


def test_table() -> None:
    header, dense, everything = (line.split("  ") for line in report.table(OUTCOMES).splitlines())
    assert [word.strip() for word in header if word][-2:] == ["simulated/printed: parallel", "stream"]
    for row, name in ((dense, "Dense"), (everything, "all")):
        assert [word.strip() for word in row if word] == [name, "5", "3", "1", "1", "0", "2/3", "1/2"]


def test_document() -> None:
    layer = report.document(OUTCOMES, 0)["layers"]["Dense"]
    assert layer["simulated"] == {PARALLEL: 2, STREAM: 1}
    assert layer["targets"] == {PARALLEL: {RIGHT: 4}, STREAM: {RIGHT: 3, f"{REFUSED}: reuse factor": 1}}
