"""Work on every core gives what one core gives."""

import threading

import numpy as np
import pytest
from random_graphs import random_graph, random_inputs

from kbuild import emulate, fixed, parallel
from kbuild.fixed import FixedType, from_float


def test_in_order_and_on_several_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel.os, "cpu_count", lambda: 3)
    together = threading.Barrier(3)

    def work(item: int) -> int:
        if item < 3:
            together.wait(10)
        return item * item

    assert parallel.mapped(work, range(20)) == [item * item for item in range(20)]
    assert parallel.mapped(work, []) == []


def test_a_failure_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        parallel.mapped(lambda item: 1 // item, [1, 0, 2])


def test_parts() -> None:
    assert parallel.parts(5, 2) == [slice(0, 2), slice(2, 4), slice(4, 5)]
    assert parallel.parts(0, 2) == []


def test_a_conversion_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).normal(0, 3, (7, 11))
    for mode in fixed.Quantization:
        of = FixedType(6, 3, True, mode, fixed.Overflow.SAT)
        whole = from_float(x, of)
        with monkeypatch.context() as patch:
            patch.setattr(fixed, "_PART", 10)
            patch.setattr(fixed, "_BLOCK", 3)
            assert (from_float(x, of) == whole).all()


@pytest.mark.parametrize("seed", range(6))
def test_the_emulator_in_chunks(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = random_graph(seed)
    inputs = random_inputs(graph, seed, 9)
    names = [node.name for node in graph]
    whole = emulate.run(graph, inputs, names)
    monkeypatch.setattr(emulate, "CHUNK_ELEMENTS", 1)
    chunks = emulate.run(graph, inputs, names)
    assert chunks.overflows == whole.overflows
    assert all((chunks.values[name] == whole.values[name]).all() for name in names)
