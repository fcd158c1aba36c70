"""The comparison finds every disagreement and names the layer, the sample and both integers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from kbuild.emulate import run
from kbuild.fixed import FixedType, IntArray, Overflow, Quantization
from kbuild.flow import comparison
from kbuild.ir import Graph, Layer, Node, Tensor
from kbuild.ops.dense import Dense
from kbuild.ops.input import Input
from kbuild.ops.normalize import Normalize
from kbuild.ops.relu import Relu

X, W, Y = FixedType(8, 3), FixedType(6, 2), FixedType(10, 5)


def graphs(result: FixedType = Y) -> tuple[Graph, Graph]:
    """A float graph of input, dense, relu, and the fixed one with the same values."""
    rng = np.random.default_rng(3)
    weight = Tensor(np.round(rng.uniform(-1.9, 1.9, (4, 3)) * 16) / 16)
    layers = [Layer("x", "InputLayer"), Layer("fc", "Dense"), Layer("fc_relu", "Activation")]
    ops = [
        (Input((4,)), Input((4,))),
        (Dense(weight), Dense(weight.quantized(W))),
        (Relu(), Relu()),
    ]
    names, shapes = ["x", "fc", "act"], [(4,), (3,), (3,)]
    types = [X, result, result]
    float_nodes, fixed_nodes = [], []
    for i, (name, layer) in enumerate(zip(names, layers, strict=True)):
        reads = (names[i - 1],) if i else ()
        float_nodes.append(Node(name, ops[i][0], reads, shapes[i], layer))
        fixed_nodes.append(Node(name, ops[i][1], reads, shapes[i], layer, types[i]))
    return Graph("g", tuple(float_nodes), ("act",)), Graph("g", tuple(fixed_nodes), ("act",))


class Spoiled:
    """The emulator, with one integer of one layer changed in one sample."""

    def __init__(self, graph: Graph, layer: str | None = None, sample: int = 0) -> None:
        self.graph, self.layer, self.sample, self.seen = graph, layer, sample, 0

    def run(self, inputs: Mapping[str, IntArray], keep: Sequence[str]) -> Mapping[str, IntArray]:
        values = {name: value.copy() for name, value in run(self.graph, inputs, keep).values.items()}
        samples = len(next(iter(inputs.values())))
        if self.layer and self.seen <= self.sample < self.seen + samples:
            values[self.layer][self.sample - self.seen, 2] += 1
        self.seen += samples
        return values


def inputs(samples: int = 50) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    return {"x": np.round(np.random.default_rng(5).uniform(-3.9, 3.9, (samples, 4)) * 32) / 32}


def test_equal_engines_agree() -> None:
    reference, fixed = graphs()
    found = comparison.compare(fixed, reference, inputs(), {"csim": Spoiled(fixed)}, print)
    assert found.mismatches == []
    assert {name: (run.samples, run.mismatches) for name, run in found.engines.items()} == {
        "emulate": (50, 0), "csim": (50, 0),
    }  # fmt: skip
    assert found.outputs["act"].shape == found.float_outputs["act"].shape == (50, 3)


@pytest.mark.parametrize("layer", ["fc", "act"])
@pytest.mark.parametrize("sample", [0, 17, 49])
@pytest.mark.parametrize("alive", [30, 1 << 20])
def test_one_wrong_integer_is_found(
    monkeypatch: pytest.MonkeyPatch, layer: str, sample: int, alive: int
) -> None:
    monkeypatch.setattr(comparison, "_ALIVE", alive)  # in chunks of three samples, and in one
    reference, fixed = graphs()
    found = comparison.compare(
        fixed, reference, inputs(), {"csim": Spoiled(fixed), "rtl": Spoiled(fixed, layer, sample)}, lambda _: None
    )
    assert found.engines["csim"].mismatches == 0 and found.engines["rtl"].mismatches == 1
    (mismatch,) = found.mismatches
    assert (mismatch.engine, mismatch.layer, mismatch.sample, mismatch.position) == (
        "rtl", fixed[layer].layer.name, sample, (2,),
    )  # fmt: skip
    assert mismatch.engine_value == mismatch.emulator_value + 1
    assert f"layer {fixed[layer].layer.name}, sample {sample}, element [2]" in str(mismatch)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    reference, fixed = graphs()
    whole = comparison.compare(fixed, reference, inputs(), {}, lambda _: None)
    monkeypatch.setattr(comparison, "_ALIVE", 30)
    parts = comparison.compare(fixed, reference, inputs(), {}, lambda _: None)
    assert whole.layers == parts.layers
    assert (whole.outputs["act"] == parts.outputs["act"]).all()


def test_a_value_may_be_two_outputs() -> None:
    reference, fixed = (replace(graph, outputs=("act", "act")) for graph in graphs())
    found = comparison.compare(fixed, reference, inputs(), {}, lambda _: None)
    assert found.outputs["act"].shape == found.float_outputs["act"].shape == (50, 3)


def test_overflows_are_counted_with_what_would_be_enough() -> None:
    reference, fixed = graphs(FixedType(7, 2))
    found = comparison.compare(fixed, reference, inputs(500), {}, lambda _: None)
    layer = next(layer for layer in found.layers if layer.name == "fc")
    assert layer.overflows > 0 and layer.enough_integer_bits is not None
    for integer in (layer.enough_integer_bits, layer.enough_integer_bits - 1):
        reference, fixed = graphs(FixedType(5 + integer, integer))
        again = comparison.compare(fixed, reference, inputs(500), {}, lambda _: None)
        overflows = next(layer for layer in again.layers if layer.name == "fc").overflows
        assert (overflows == 0) == (integer == layer.enough_integer_bits)


def test_what_a_quantizer_of_the_model_cuts_off_is_no_overflow() -> None:
    """Nor is it an error: the model cuts it off as well. An accumulator that overflows still does."""
    reference, fixed = graphs(FixedType(7, 2, True, Quantization.RND, Overflow.SAT))
    dense = fixed["fc"]
    narrow_accum = FixedType(12, 2, True, Quantization.TRN, Overflow.SAT)
    for accum, overflows in ((FixedType(20, 10), False), (narrow_accum, True)):
        narrow = replace(dense, op=replace(dense.op, accum=accum))
        counted = {}
        for declared in (True, False):
            nodes = [fixed["x"], replace(narrow, declared=declared), fixed["act"]]
            found = comparison.compare(fixed.with_nodes(nodes), reference, inputs(500), {}, lambda _: None)
            counted[declared] = found.layers[1]
        assert counted[True].overflows < counted[False].overflows
        assert (counted[True].overflows > 0) == overflows == (counted[True].enough_integer_bits is not None)
        assert counted[False].max_abs_error > 1 and (counted[True].max_abs_error == 0 or overflows)


def test_no_more_bits_are_advised_than_would_help() -> None:
    """A layer whose result has room, with an accumulator that has none, in an operation that says no type for it."""
    reference, fixed = graphs()
    table = Tensor(np.full(4, 3), FixedType(4, 2))
    op = Normalize(axes=(0,), table=table, accum=FixedType(4, 1, True, Quantization.TRN, Overflow.SAT))
    narrow = [node if node.name != "act" else replace(node, op=op) for node in fixed]
    found = comparison.compare(fixed.with_nodes(narrow), reference, inputs(100), {}, lambda _: None)
    assert found.layers[2].overflows > 0 and found.layers[2].enough_integer_bits is None


def test_an_input_that_a_quantizer_of_the_model_reads_does_not_overflow() -> None:
    reference, fixed = graphs()
    for declared in (True, False):
        nodes = [replace(fixed["x"], declared=declared), fixed["fc"], fixed["act"]]
        found = comparison.compare(fixed.with_nodes(nodes), reference, {"x": inputs(50)["x"] * 4}, {}, lambda _: None)
        assert (found.layers[0].overflows == 0) == declared


def test_an_error_is_that_of_the_layer() -> None:
    reference, fixed = graphs(FixedType(12, 7))
    found = comparison.compare(fixed, reference, inputs(), {}, lambda _: None)
    errors = {layer.name: layer.max_abs_error for layer in found.layers}
    assert errors["x"] == 0.0
    assert errors["fc"] is not None and 0 < errors["fc"] < 2**-5
