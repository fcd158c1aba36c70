"""Bounds on errors: on random inputs nothing is beyond its bound, and what is called exact is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from kbuild import emulate
from kbuild.fixed import FixedType, FloatArray, Overflow, Quantization, to_float
from kbuild.frontend.keras import read_model
from kbuild.ir import Graph, Layer, Node, Op, OverflowCount, Tensor, verify
from kbuild.ops.affine import Affine
from kbuild.ops.dense import Dense
from kbuild.ops.input import Input
from kbuild.ops.lut import Lut
from kbuild.ops.quantize import Quantize
from kbuild.ops.softmax import Softmax
from kbuild.passes.context import Context
from kbuild.passes.error_bounds import Inexact, inexact, is_rounded_by_model, sentences
from kbuild.passes.pipeline import optimize
from kbuild.passes.softmax_tables import Exponents, softmax_tables

DATA = Path(__file__).parent.parent / "frontend" / "data"
NAMES = ("qkeras_", "hgq", "keras3_sequence_a", "keras3_sequential", "keras3_attention_0_", "keras3_spatial_p")
FILES = sorted(path for path in DATA.iterdir() if path.suffix in (".h5", ".keras") and path.name.startswith(NAMES))
_FLOAT_BITS = 48  # of wider values float64 is no judge to the last bit


def graphs(graph: Graph, context: Context) -> tuple[Graph, Graph]:
    """Before the types are resolved, and after all passes."""
    made: dict[str, Graph] = {}
    fixed = optimize(graph, context, lambda name, found: made.update({name: found}))
    return made["dead_code"], fixed


def check(before: Graph, after: Graph, inputs: Mapping[str, FloatArray]) -> tuple[int, int]:
    """Every node on its own inputs; the numbers of exact nodes and of nodes within a bound."""
    known = {found.node.name: found for found in inexact(before, after)}
    integers, _ = emulate.quantize_inputs(after, inputs)
    values = emulate.run(after, integers, [node.name for node in after]).values
    exact = bounded = 0
    for node in after:
        if node.op.kind == "input":
            continue
        arguments = [values[name] for name in node.inputs]
        types = [after[name].fixed() for name in node.inputs]
        overflow = OverflowCount()
        found = node.op.eval(arguments, types, node.fixed(), overflow)
        floats = [to_float(q, of) for q, of in zip(arguments, types, strict=True)]
        wanted = before[node.name].op.eval_float(floats)
        if node.name not in known:
            exact += 1
            if is_rounded_by_model(before, node):
                wanted = to_float(Tensor(wanted).quantized(node.fixed()).data, node.fixed())
            wide = max(of.width for of in (*types, node.fixed())) > _FLOAT_BITS
            margin = 2.0**-_FLOAT_BITS * np.abs(wanted).max() if wide else 0.0
            assert np.abs(to_float(found, node.fixed()) - wanted).max() <= margin, node
        elif known[node.name].bound is not None and not overflow.values:
            bounded += 1
            error = float(np.abs(to_float(found, node.fixed()) - wanted).max())
            assert error <= known[node.name].bound, (node, error, known[node.name].bound)
    return exact, bounded


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_random_inputs_stay_within_the_bounds(path: Path) -> None:
    archive, quantized = path.suffix == ".keras", path.name.startswith(("qkeras", "hgq"))
    graph = read_model(None, None if archive else path, path if archive else None, "m")
    rng = np.random.default_rng(7)
    inputs = {node.name: np.round(rng.normal(0, 1, (12, *node.shape)) * 256) / 256 for node in graph.inputs}
    exact, bounded = check(*graphs(graph, Context(calibration=inputs)), inputs)
    assert exact if quantized else bounded


X = FixedType(8, 3)


def single(before: Op, after: Op, result: FixedType, x: FixedType = X) -> list[Inexact]:
    """What is said of one operation on a value [4] with these types."""
    pair = []
    for op, of in ((before, None), (after, result)):
        source = Node("x", Input((4,)), (), (4,), Layer("x", "InputLayer"), of and x)
        node = Node("y", op, ("x",), op.infer_shape([(4,)]), Layer("l", "Thing"), of)
        pair.append(verify(Graph("m", (source, node), ("y",))))
    return list(inexact(*pair))


def test_the_rounding_of_a_result() -> None:
    half = Affine(Tensor(np.array([1]), FixedType(2, 1)), Tensor(np.array([0]), FixedType(1, 1)))
    assert single(half, half, FixedType(10, 3)) == []
    (found,) = single(half, half, FixedType(6, 3, True, Quantization.RND))
    assert found.bound == 2.0**-4
    (found,) = single(half, half, FixedType(6, 3))
    assert found.bound == 2.0**-3
    assert sentences([found]) == (
        "the layer l (Thing) is not exact: its result is rounded to fixed<6,3>; it is within 0.125 of the exact value",
    )
    (twice,) = sentences([found, found])
    assert twice.endswith("each of its 2 operations of this kind is within 0.125 of the exact value")


def test_constants_times_the_largest_input() -> None:
    weight = Tensor(np.array([[0.3], [0.0], [0.0], [-0.3]]))
    made = Dense(Tensor(np.array([[1], [0], [0], [-1]]), FixedType(3, 1)), accum=FixedType(12, 5))
    (found,) = single(Dense(weight), made, FixedType(12, 5))
    assert found.bound == pytest.approx(2 * 0.05 * 4)  # inputs from -4
    assert "its constants are rounded" in found.reason


def test_a_narrow_accumulator_rounds_each_product_and_the_bias() -> None:
    weight = Tensor(np.array([[1], [2], [3], [4]]), FixedType(6, 1))
    made = Dense(weight, accum=FixedType(8, 5))
    (found,) = single(Dense(weight), made, FixedType(8, 5))
    assert found.bound == 5 * 2.0**-3


def test_a_table_is_off_by_what_it_really_is() -> None:
    x = np.arange(-128, 128) / 32
    entries = np.round(np.tanh(x) * 64).astype(np.int64)
    made = Lut("tanh", (), Tensor(entries, FixedType(8, 2)), offset=-128)
    (found,) = single(Lut("tanh"), made, FixedType(8, 2))
    assert found.bound == np.abs(entries / 64 - np.tanh(x)).max() and found.bound <= 2.0**-7
    coarse = Lut("tanh", (), Tensor(entries[8::16], FixedType(8, 2)), offset=-128, shift=4)
    (worse,) = single(Lut("tanh"), coarse, FixedType(8, 2))
    assert worse.bound is not None and 0.2 < worse.bound < 0.3  # half a cell of half a unit, at slope one


@pytest.mark.parametrize("size", [None, 256, 4096])
@pytest.mark.parametrize("x", [FixedType(14, 3), FixedType(9, 6), FixedType(20, 8)], ids=str)
def test_softmax(x: FixedType, size: int | None) -> None:
    """Its bound holds, and says little where the tables say much."""
    rng = np.random.default_rng(3)
    span = (x.min * float(x.lsb), x.max * float(x.lsb))
    op, result = softmax_tables(Softmax(), Exponents("stable", x, span, 4), size, None, None, None)
    (found,) = single(Softmax(), op, result, x)
    q = np.concatenate([rng.integers(x.min, x.max + 1, (4000, 4)), rng.integers(-40, 41, (4000, 4))])
    made = to_float(op.eval([q], [x], result, OverflowCount()), result)
    error = float(np.abs(made - Softmax().eval_float([to_float(q, x)])).max())
    assert found.bound is not None and error <= found.bound <= 1.0
    if size is None:
        assert found.bound <= 2.0**-14


def test_what_a_quantizer_rounds_alike_is_exact() -> None:
    """A tanh whose entries are rounded as the quantizer of the model, which alone reads it, rounds."""
    of = FixedType(5, 1, True, Quantization.RND_CONV, Overflow.SAT)
    x = Node("x", Input((4,)), (), (4,), Layer("x", "InputLayer"))
    act = Node("act", Lut("tanh"), ("x",), (4,), Layer("act", "Activation"))
    q = Node("q", Quantize((of,)), ("act",), (4,), Layer("q", "Quantizer"))
    graph = verify(Graph("m", (x, act, q), ("q",)))
    context = Context(calibration={"x": np.arange(-128, 128).reshape(-1, 4) / 32})
    assert list(inexact(*graphs(graph, context))) == []
    (found,) = inexact(*graphs(verify(Graph("m", (x, act), ("act",))), context))
    assert found.node.name == "act" and found.bound is not None and 0 < found.bound < 2.0**-14
