"""What `kbuild layers` concludes from the facts of a layer and what a backend prints."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import pytest

from kbuild.cli.support import Facts
from kbuild.config.backends import Backend, load_backend


def facts(operations: Collection[str], *least: Collection[str], right: int = 3, refused: int = 0) -> Facts:
    reasons = {"a reason": refused} if refused else {}
    return Facts("Layer", "core", right, 0, reasons, frozenset(operations), tuple(map(frozenset, least)))


@pytest.fixture
def backend() -> Backend:
    """One that prints dense and relu, and softmax in parallel only."""
    both = ("io_parallel", "io_stream")
    return replace(load_backend("Vitis"), ops={"dense": both, "relu": both, "softmax": ("io_parallel",)})


@pytest.mark.parametrize(
    ("found", "parallel", "stream"),
    [
        (facts([], []), "yes", "yes"),  # it leaves no operation behind
        (facts(["dense", "relu"], ["dense"]), "yes", "yes"),
        (facts(["dense", "softmax"], ["dense"]), "yes", "partly"),
        (facts(["dense", "softmax"], ["dense", "softmax"]), "yes", "no"),
        (facts(["lstm", "gru", "dense"], ["lstm"], ["gru", "dense"]), "no", "no"),
        (facts(["lstm", "dense"], ["lstm"], ["dense"]), "partly", "partly"),
        (facts(["dense"], ["dense"], refused=2), "partly", "partly"),
        (facts([], right=0, refused=2), "no", "no"),
    ],
)
def test_what_a_backend_prints_of_a_layer(backend: Backend, found: Facts, parallel: str, stream: str) -> None:
    assert (found.printed(backend, "io_parallel"), found.printed(backend, "io_stream")) == (parallel, stream)


def test_on_the_emulator() -> None:
    assert facts(["conv"], ["conv"]).emulated == "yes"
    assert facts(["conv"], ["conv"], refused=1).emulated == "partly"
    assert facts([], right=0, refused=1).emulated == "no"
