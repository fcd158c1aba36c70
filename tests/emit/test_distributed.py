"""Distributed arithmetic in C++: when sums are whole, what new weights change, and how much of it is written."""

from __future__ import annotations

import numpy as np
import pytest
from random_graphs import Builder

from kbuild.emit import check
from kbuild.emit.hls.design import Config
from kbuild.emit.hls.distributed import with_adders
from kbuild.emit.hls.simulation import sources, with_loaded_weights
from kbuild.errors import UnsupportedModel
from kbuild.fixed import FixedType, Overflow, Quantization
from kbuild.ir import Graph, Layer, Node, Tensor, verify
from kbuild.ops.dense import Dense
from kbuild.ops.input import Input

X, W = FixedType(8, 4), FixedType(6, 2)  # products have eight fraction bits


def one(seed: int, strategy: str = "distributed_arithmetic", size: int = 6) -> Graph:
    b = Builder(np.random.default_rng(seed))
    b.nodes.append(Node("x", Input((size,)), (), (size,), Layer("x", "InputLayer"), X))
    b.add(Dense(b.tensor((size, 4), W), b.tensor((4,), W), FixedType(20, 12), strategy), [b.nodes[0]], FixedType(8, 4))
    return verify(Graph("one", tuple(b.nodes), (b.nodes[-1].name,)))


@pytest.mark.parametrize("accum", [FixedType(20, 12), FixedType(19, 12)])
def test_a_matrix_of_zeros_reads_nothing(accum: FixedType) -> None:
    """And compiles without a warning."""
    for value, named in ((0, False), (3, True)):
        code = with_adders(Config("c", {}, {}), Tensor(np.full((2, 3), value), W), None, X, accum).code
        assert (" x[places]" in code[0]) == named and any("x[" in line for line in code[1:]) == named


@pytest.mark.parametrize(
    ("accum", "whole"),
    [
        (FixedType(20, 12), True),
        (FixedType(9, 1), True),  # wraps, and may do so once at the end
        (FixedType(22, 14, True, Quantization.RND, Overflow.SAT), True),  # has room for every sum
        (FixedType(9, 1, True, Quantization.TRN, Overflow.SAT), False),
        (FixedType(19, 12), False),  # each product is rounded
    ],
)
def test_sums_are_whole_where_nothing_is_rounded_or_saturates(accum: FixedType, whole: bool) -> None:
    matrix = Builder(np.random.default_rng(0)).tensor((6, 4), W)
    config = with_adders(Config("c", {}, {}), matrix, None, X, accum)
    assert config.integers["parts"] == (1 if whole else 6)
    outputs = [line for line in config.code if line.strip().startswith("y[")]
    assert len(outputs) == 4 * config.integers["parts"]
    shared = sum("const ap_int" in line for line in config.code)
    assert shared > 0 and not any("*" in line for line in config.code if "=" in line)


def test_weights_of_zero_cost_nothing() -> None:
    config = with_adders(Config("c", {}, {}), Tensor(np.zeros((3, 2), np.int64), W), None, X, FixedType(20, 12))
    assert [line.strip() for line in config.code if "y[" in line and "=" in line] == ["y[0] = 0;", "y[1] = 0;"]


def test_new_weights_are_new_code() -> None:
    """Unlike with any other strategy."""
    assert sources(one(1)) != sources(one(2))
    assert sources(with_loaded_weights(one(1))) == sources(with_loaded_weights(one(2))) == sources(one(3, "latency"))


def test_too_much_of_it_is_refused() -> None:
    check(one(1), "Vitis")
    with pytest.raises(UnsupportedModel, match=r"distributed arithmetic of this model has [\d,]+ terms to add, more "
                       r"than the 60,000 that kbuild writes \(largest layers: dense1"):  # fmt: skip
        check(one(1, size=20_000), "Vivado")
    check(one(1, "unrolled", size=20_000), "Vivado")
