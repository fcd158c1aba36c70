"""One random model of every layer, with the answers that Keras gave: right, or refused for a documented reason."""

from __future__ import annotations

import pytest

from conformance import golden
from conformance.catalog import KERAS, QUANTIZED
from conformance.check import REFUSED, RIGHT, Outcome, Trial, examine
from conformance.run import simulate_all
from kbuild.cli import support
from kbuild.config.backends import load_backend

CASES = golden.cases(KERAS)
QUANTIZED_CASES = golden.cases(QUANTIZED)
C_SIMULATED = ("QConv2D", "quantizer quantized_relu", "HConv1D", "FixedPointQuantizer", "hgq>QSoftmax", "hgq>QDot")
SHARE = 16  # one case of so many goes through the C simulation in the fast tests


@pytest.fixture(scope="module")
def examined() -> list[tuple[Outcome, list[Trial]]]:
    """Everything but the C simulation."""
    return [examine(case, golden.load) for case in CASES]


@pytest.fixture(scope="module")
def quantized() -> list[tuple[Outcome, list[Trial]]]:
    """The same of the quantized libraries."""
    return [examine(case, golden.load) for case in QUANTIZED_CASES]


def assert_none_failed(outcomes: list[Outcome]) -> None:
    assert [f"{o.case}: {o.status}: {o.message}\n{o.code}" for o in outcomes if o.failed] == []


def test_emulator(examined: list[tuple[Outcome, list[Trial]]]) -> None:
    """As Keras in floats; within the derived bounds in fixed point."""
    assert_none_failed([outcome for outcome, _ in examined])


def test_c_simulation_of_some(examined: list[tuple[Outcome, list[Trial]]]) -> None:
    chosen = [pair for number, pair in enumerate(examined) if number % SHARE == 0]
    simulate_all([trial for _, trials in chosen for trial in trials])
    assert_none_failed([outcome for outcome, _ in chosen])


def test_quantized_models_are_equal(quantized: list[tuple[Outcome, list[Trial]]]) -> None:
    """The integers of QKeras, HGQ and HGQ2; of every layer and quantizer."""
    assert_none_failed([outcome for outcome, _ in quantized])
    assert {case.answered_by for case in QUANTIZED_CASES} == set(QUANTIZED)


def test_c_simulation_of_some_quantized(quantized: list[tuple[Outcome, list[Trial]]]) -> None:
    trials = [trial for outcome, found in quantized for trial in found if outcome.case.layer in C_SIMULATED]
    assert {trial.outcome.case.answered_by for trial in trials} == set(QUANTIZED)
    simulate_all(trials)
    assert_none_failed([outcome for outcome, _ in quantized])
    assert {"io_parallel", "io_stream"} == {io_type for trial in trials for io_type in trial.outcome.simulated}


@pytest.mark.slow
def test_c_simulation_quantized(quantized: list[tuple[Outcome, list[Trial]]]) -> None:
    simulate_all([trial for _, trials in quantized for trial in trials])
    assert_none_failed([outcome for outcome, _ in quantized])


@pytest.mark.slow
def test_c_simulation(examined: list[tuple[Outcome, list[Trial]]]) -> None:
    simulate_all([trial for _, trials in examined for trial in trials])
    assert_none_failed([outcome for outcome, _ in examined])


def test_the_recorded_facts_are_true(
    examined: list[tuple[Outcome, list[Trial]]], quantized: list[tuple[Outcome, list[Trial]]]
) -> None:
    """`kbuild layers` shows what the run found; whatever it claims of a layer holds for its model here."""
    recorded, wrong = support.recorded().layers, []
    for outcome, _ in [*examined, *quantized]:
        facts = recorded.get(outcome.case.layer)
        if facts is None:
            wrong.append(f"{outcome.case}: no facts")
        elif outcome.status == RIGHT and not set(outcome.kinds) - {"input"} <= facts.operations:
            wrong.append(f"{outcome.case}: right, with {outcome.kinds}; recorded: {facts}")
        elif outcome.status == REFUSED and facts.emulated == "yes":
            wrong.append(f"{outcome.case}: refused: {outcome.message}; recorded: {facts}")
        for target, answer in outcome.targets.items() if facts else ():
            backend, io_type = target.split()
            if facts.printed(load_backend(backend), io_type) == "yes" and answer != RIGHT:
                wrong.append(f"{outcome.case}: {target}: {answer}")
    assert wrong == []
