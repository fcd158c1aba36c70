"""What the passes make of quantizers: types on the values they read, thresholds, exact results."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kbuild.config import load_recipe, resolve_settings
from kbuild.dataclass import replace
from kbuild.emulate import run_float
from kbuild.fixed import FixedType, Overflow, Quantization
from kbuild.ir import Graph, Layer, Node, Op, Tensor, verify
from kbuild.ops.affine import Affine
from kbuild.ops.dense import Dense
from kbuild.ops.identity import Identity
from kbuild.ops.input import Input
from kbuild.ops.lut import Lut
from kbuild.ops.pool import Pool
from kbuild.ops.quantize import Quantize
from kbuild.ops.relu import Relu
from kbuild.ops.reshape import Reshape
from kbuild.ops.step import Step
from kbuild.passes import fold_thresholds, resolve_precision
from kbuild.passes.context import VALUE_WIDTH, Context, layer_infos
from kbuild.passes.pipeline import optimize

Q = FixedType(6, 1, True, Quantization.RND_CONV, Overflow.SAT)
WEIGHT = Tensor(np.array([[3, -1], [2, 31], [0, -32]]), FixedType(6, 1))


def chain(shape: tuple[int, ...], *ops: Op) -> Graph:
    nodes = [Node("x", Input(shape), (), shape, Layer("x", "InputLayer"))]
    for i, op in enumerate(ops):
        made = op.infer_shape([nodes[-1].shape])
        nodes.append(Node(f"n{i}", op, (nodes[-1].name,), made, Layer(f"n{i}", op.kind)))
    return verify(Graph("g", tuple(nodes), (nodes[-1].name,)))


def kinds(graph: Graph) -> list[tuple[str, str]]:
    return [(node.op.kind, str(node.fixed())) for node in graph]


def test_a_quantizer_is_the_cast_of_what_it_reads() -> None:
    graph = optimize(chain((3,), Quantize((Q,)), Dense(WEIGHT), Relu(), Quantize((Q,))), Context())
    assert kinds(graph) == [("input", str(Q)), ("dense", "fixed<12,2>"), ("relu", str(Q))]


def test_who_chose_a_type_is_known(tmp_path: Path) -> None:
    """What leaves the range of a quantizer's type is meant to; that of a type the recipe gives is not."""
    last = Tensor(WEIGHT.data[:2], WEIGHT.type)
    graph = chain((3,), Quantize((Q,)), Dense(WEIGHT), Relu(), Quantize((Q,)), Dense(last))
    assert [node.declared for node in optimize(graph, Context())] == [True, False, True, False]
    both = Graph("g", graph.nodes, ("n2", "n4"))  # whose relu keeps its bits
    assert [node.declared for node in optimize(both, Context())] == [True, False, False, True, False]
    (tmp_path / "m.h5").write_bytes(b"")
    (tmp_path / "r.yml").write_text("KerasH5: m.h5\nBackend: Vitis\nHLSConfig: {Model: {Precision: 'fixed<8,3>'}}\n")
    (recipe,) = load_recipe(tmp_path / "r.yml")
    given = Context(resolve_settings(recipe, layer_infos(graph)))
    assert not any(node.declared for node in optimize(graph, given))


def test_an_output_that_others_read_too_keeps_its_bits() -> None:
    graph = chain((3,), Dense(WEIGHT), Quantize((Q,)))
    both = Graph("g", graph.nodes, ("n0", "n1"))
    assert kinds(optimize(both, Context()))[1:] == [("dense", "fixed<22,7>"), ("identity", str(Q))]


def test_a_mean_without_a_finite_form_is_rounded_once() -> None:
    graph = optimize(chain((6, 1), Pool("average", (3,), (3,), ((0, 0),)), Quantize((Q,))), Context())
    assert kinds(graph)[1:] == [("pool", str(Q))]


def test_the_input_of_types_for_each_element() -> None:
    types = (FixedType(6, 4), FixedType(5, 2), None, FixedType(3, 3, signed=False))
    which = Tensor(np.array([0, 1, 2, 3]), FixedType(2, 2, signed=False))
    for quantization, wanted in ((Quantization.TRN, "fixed<7,4>"), (Quantization.RND, "fixed<8,4>")):
        own = tuple(t and t.with_modes(quantization, Overflow.WRAP) for t in types)
        graph = optimize(chain((4,), Quantize(own, which)), Context())
        assert kinds(graph) == [("input", wanted), ("quantize", "fixed<7,4>")]


def test_weights_of_a_quantized_model_are_not_folded_into() -> None:
    factor = Affine(Tensor(np.array([0.3, 0.7])), Tensor(np.array([0.1, 0.2])))
    graph = optimize(chain((3,), Quantize((Q,)), Dense(WEIGHT), factor, Relu(), Quantize((Q,))), Context())
    assert [kind for kind, _ in kinds(graph)] == ["input", "dense", "affine", "relu"]
    affine = graph["n2"].op
    assert isinstance(affine, Affine) and affine.scale.fixed().width == 32  # its last bits are rounded by the quantizer
    loose = optimize(chain((3,), Quantize((Q,)), Dense(WEIGHT), factor), Context())
    assert loose[loose.outputs[0]].fixed().width == VALUE_WIDTH


def test_bit_exact_for_any_model() -> None:
    graph = chain((3,), Dense(Tensor(np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]))))
    widths = [optimize(graph, Context(bit_exact=exact))["n0"].fixed().width for exact in (None, False, True)]
    assert widths[0] == widths[1] == VALUE_WIDTH < widths[2]


def test_a_table_is_rounded_as_its_quantizer_rounds() -> None:
    graph = optimize(chain((2,), Quantize((Q,)), Lut("tanh"), Quantize((Q,))), Context())
    table = graph["n1"].op
    assert isinstance(table, Lut) and table.shift == 0 and table.made().data.size == 64
    x = np.arange(-32, 32) / 32
    assert np.array_equal(table.made().data, np.clip(np.round(np.tanh(x) * 32), -32, 31))


@pytest.mark.parametrize("scale", [1.5, -0.25, 0.0])
@pytest.mark.parametrize("values", [[-1, 0, 1], [3, -2, 1]])
def test_a_normalization_moves_into_thresholds(scale: float, values: list[int]) -> None:
    factors = Affine(Tensor(np.array([scale, 1.0, -1.0])), Tensor(np.array([0.25, -0.5, 0.0])))
    step = Step(Tensor(np.array([-0.5, 0.75])), Tensor(np.array(values), FixedType(3, 3)))
    before = chain((3,), Identity(), factors, step)
    after = fold_thresholds.run(before, Context())
    assert [node.op.kind for node in after] == ["input", "identity", "step"]
    x = {"x": np.arange(-64, 65)[:, None] / 16 * np.ones(3)}
    assert np.array_equal(run_float(before, x)["n2"], run_float(after, x)["n2"])
    fixed = resolve_precision.run(after, Context())
    low, high = min(values), max(values)
    assert fixed["n2"].fixed() == (FixedType(2, 2) if (low, high) == (-1, 1) else FixedType(3, 3))


@pytest.mark.parametrize("scale", [2.0, -2.0])
def test_the_least_float_above_a_threshold_stays_above_it(scale: float) -> None:
    """A sign whose 0 is negative, after a line: rounded to nearest, the threshold would be the place of that 0."""
    step = Step(Tensor(np.array([np.nextafter(0.0, 1.0)])), Tensor(np.array([-1, 1]), FixedType(2, 2)))
    line = Affine(Tensor(np.full((1,), scale)), Tensor(np.full((1,), -scale / 2)))
    before = chain((1,), line, step)
    x = np.array([[0.25], [0.5], [0.75]])
    after = fold_thresholds.run(before, Context())
    assert [node.op.kind for node in after] == ["input", "step"]
    wanted = np.sign(scale) * np.array([[-1.0], [0.0], [1.0]])
    wanted[1] = -1.0
    assert np.array_equal(run_float(before, {"x": x})["n1"], wanted)
    assert np.array_equal(run_float(after, {"x": x})["n1"], wanted)


def test_models_that_choose_every_type() -> None:
    """Those of HGQ and HGQ2, which begin with a quantizer of theirs; not those of QKeras."""
    for name, own in (("hgq>QDense", True), ("FixedPointQuantizer", True), ("HQuantize", True), ("QDense", False)):
        graph = chain((3,), Quantize((Q,)), Dense(WEIGHT))
        last = replace(graph.nodes[-1], layer=Layer("fc", name))
        graph = graph.with_nodes((*graph.nodes[:-1], last))
        assert [info.settled for info in layer_infos(graph)] == [own] * 3


def test_what_only_moves_values_keeps_wide_types(tmp_path: Path) -> None:
    (tmp_path / "m.h5").write_bytes(b"")
    text = "KerasH5: m.h5\nBackend: Vitis\nHLSConfig: {LayerName: {n0: {Precision: {result: 'ufixed<23,4>'}}%s}}\n"
    graph = chain((4, 2), Relu(), Pool("max", (2,), (2,), ((0, 0),)), Reshape((4,)))
    for more, widths in (("", [16, 23, 23, 23]), (", n1: {Precision: {maximum: 'fixed<18,4>'}}", [16, 23, 18, 18])):
        (tmp_path / "r.yml").write_text(text % more)
        (recipe,) = load_recipe(tmp_path / "r.yml")
        found = optimize(graph, Context(resolve_settings(recipe, layer_infos(graph))))
        assert [node.fixed().width for node in found] == widths
