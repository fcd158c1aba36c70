"""The C simulation against the emulator: every node of random graphs, as integers, with ==."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from random_graphs import (
    ACTIVATIONS,
    ANY,
    MAKERS,
    NARROW,
    SEQUENCE,
    SPATIAL,
    Builder,
    random_graph,
    random_inputs,
    typed_cell,
)

from kbuild import emulate
from kbuild.emit.hls.recurrent import shared
from kbuild.engines import csim
from kbuild.fixed import FixedType, IntArray, Overflow, Quantization, from_float, to_float, wide
from kbuild.ir import Graph, Layer, Node, verify
from kbuild.ops.conv import Conv
from kbuild.ops.dense import Dense
from kbuild.ops.einsum import Einsum
from kbuild.ops.gru import Gru
from kbuild.ops.identity import Identity
from kbuild.ops.input import Input
from kbuild.ops.lstm import Lstm
from kbuild.ops.merge import KINDS, Merge
from kbuild.ops.multipliers import STRATEGIES
from kbuild.ops.normalize import STATISTICS, Normalize
from kbuild.ops.pool import Pool
from kbuild.ops.reduce import Reduce
from kbuild.ops.relu import Relu
from kbuild.ops.rnn import Recurrent, SimpleRnn
from kbuild.ops.scan import Scan
from kbuild.ops.softmax import IMPLEMENTATIONS, Softmax

MODELS = Path(os.environ.get("KBUILD_MODELS", "/nonexistent"))

SAMPLES = 60
GRAPHS = [(seed, NARROW) for seed in range(5)] + [(seed, ANY) for seed in range(100, 102)]
SPATIAL_GRAPHS = [(seed, NARROW) for seed in range(200, 203)] + [(300, ANY)]
SEQUENCE_GRAPHS = [(seed, NARROW) for seed in range(400, 403)] + [(403, ANY)]
LOOP_GRAPHS = [(31, NARROW), (38, ANY)]
NODES = 50


def same(a: IntArray, b: IntArray) -> bool:
    return a.shape == b.shape and bool((wide(a) == wide(b)).all())


def assert_every_node_equal(graph: Graph, folder: Path, samples: int = SAMPLES) -> None:
    inputs = random_inputs(graph, 7, samples)
    names = [node.name for node in graph]
    wanted = emulate.run(graph, inputs, names).values
    found = csim.CSim(csim.build(graph, folder), graph).run(inputs, names)
    wrong = [f"{node.name}: {node}" for node in graph if not same(wanted[node.name], found[node.name])]
    assert not wrong, wrong[0]


@pytest.mark.parametrize(("seed", "widths"), GRAPHS)
def test_random_graphs(seed: int, widths: tuple[int, int], tmp_path: Path) -> None:
    assert_every_node_equal(random_graph(seed, NODES, widths=widths), tmp_path)


@pytest.mark.parametrize(("seed", "widths"), SPATIAL_GRAPHS)
def test_random_spatial_graphs(seed: int, widths: tuple[int, int], tmp_path: Path) -> None:
    assert_every_node_equal(random_graph(seed, NODES, widths=widths, spatial=True), tmp_path, 12)


@pytest.mark.parametrize(("seed", "widths"), SEQUENCE_GRAPHS)
def test_random_sequence_graphs(seed: int, widths: tuple[int, int], tmp_path: Path) -> None:
    assert_every_node_equal(random_graph(seed, 34, widths=widths, sequence=True), tmp_path, 12)


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "widths"), [(s, w) for s in range(3000, 3020) for w in (NARROW, ANY)])
def test_more_random_sequence_graphs(seed: int, widths: tuple[int, int], tmp_path: Path) -> None:
    assert_every_node_equal(random_graph(seed, 50, widths=widths, sequence=True), tmp_path, 12)


@pytest.mark.parametrize(("seed", "widths"), LOOP_GRAPHS)
def test_random_loops(seed: int, widths: tuple[int, int], tmp_path: Path) -> None:
    assert_every_node_equal(random_graph(seed, 20, widths=widths, loops=True), tmp_path, 12)


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "widths"), [(s, w) for s in range(4000, 4012) for w in (NARROW, ANY)])
def test_more_random_loops(seed: int, widths: tuple[int, int], tmp_path: Path) -> None:
    assert_every_node_equal(random_graph(seed, 24, widths=widths, loops=True), tmp_path, 12)


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "widths"), [(s, w) for s in range(2000, 2012) for w in (NARROW, ANY)])
def test_more_random_spatial_graphs(seed: int, widths: tuple[int, int], tmp_path: Path) -> None:
    assert_every_node_equal(random_graph(seed, 60, widths=widths, spatial=True), tmp_path, 12)


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "widths"), [(s, w) for s in range(1000, 1030) for w in (NARROW, ANY)])
def test_more_random_graphs(seed: int, widths: tuple[int, int], tmp_path: Path) -> None:
    assert_every_node_equal(random_graph(seed, 60, widths=widths), tmp_path)


def test_the_random_graphs_have_everything() -> None:
    """So that a change of the generator cannot quietly stop testing something."""
    nodes = [(graph, node) for seed, widths in GRAPHS for graph in [random_graph(seed, NODES, widths=widths)]
             for node in graph]
    assert {node.op.kind for _, node in nodes} == {*MAKERS, "input"}
    assert {node.op.implementation for _, node in nodes if isinstance(node.op, Softmax)} == set(IMPLEMENTATIONS)
    assert {node.op.mask is None for _, node in nodes if isinstance(node.op, Softmax)} == {True, False}
    assert {node.op.operation for _, node in nodes if isinstance(node.op, Merge)} == set(KINDS)
    assert {node.op.strategy for _, node in nodes if isinstance(node.op, Dense)} == {*STRATEGIES}
    assert any(isinstance(node.op, Merge) and len(node.inputs) > 2 for _, node in nodes)
    assert any(isinstance(n.op, Merge) and len({g[i].shape for i in n.inputs}) > 1 for g, n in nodes)
    assert {len(node.shape) for _, node in nodes if isinstance(node.op, Dense)} == {1, 2, 3}
    types = [node.fixed() for _, node in nodes]
    assert {t.quantization for t in types} == set(Quantization) and {t.overflow for t in types} == set(Overflow)
    assert any(t.width > 64 for t in types) and any(t.integer < 0 for t in types)
    assert any(t.integer > t.width for t in types) and any(not t.signed for t in types)


def test_the_random_spatial_graphs_have_everything() -> None:
    nodes = [(graph, node) for seed, widths in SPATIAL_GRAPHS
             for graph in [random_graph(seed, NODES, widths=widths, spatial=True)] for node in graph]
    assert {node.op.kind for _, node in nodes} >= {*SPATIAL}
    convs = [node for _, node in nodes if isinstance(node.op, Conv)]
    assert {len(node.shape) for node in convs} == {2, 3, 4}
    ops = [node.op for node in convs if isinstance(node.op, Conv)]
    assert {op.strategy for op in ops} == {*STRATEGIES}
    for drawn in (lambda op: op.strides, lambda op: op.dilation, lambda op: op.input_dilation, lambda op: [op.groups]):
        assert {max(drawn(op)) > 1 for op in ops} == {True, False}
    assert any(op.groups > 1 and op.strategy == "resource" for op in ops)
    pools = [(node.op, graph[node.inputs[0]].shape) for graph, node in nodes if isinstance(node.op, Pool)]
    assert {op.operation for op, _ in pools} == {"max", "average"}
    assert {len(set(op.counts(shape).flat)) > 1 for op, shape in pools if op.operation == "average"} == {True, False}
    reduced = {node.op.operation for _, node in nodes if isinstance(node.op, Reduce)}
    assert reduced == {"sum", "mean", "max", "min"}


def test_the_random_loops_have_everything() -> None:
    graphs = [random_graph(seed, 20, widths=widths, loops=True) for seed, widths in LOOP_GRAPHS]
    pairs = [(node, node.op) for graph in graphs for node in graph if isinstance(node.op, Scan)]
    assert {op.return_sequences for _, op in pairs} == {op.go_backwards for _, op in pairs} == {True, False}
    assert {len(op.before) for _, op in pairs} >= {1, 2}
    assert {len(node.inputs) > 1 for node, _ in pairs} == {True, False}
    assert {inner.op.kind for _, op in pairs for inner in op.body} >= {*MAKERS}


def test_the_random_sequence_graphs_have_everything() -> None:
    pairs = [(graph, node) for seed, widths in SEQUENCE_GRAPHS
             for graph in [random_graph(seed, 34, widths=widths, sequence=True)] for node in graph]
    ops = [node.op for _, node in pairs]
    assert {op.kind for op in ops} >= {*SEQUENCE}
    cells = [(graph, node, node.op) for graph, node in pairs if isinstance(node.op, Recurrent)]
    for flag in ("go_backwards", "return_sequences", "flip"):
        for kind in ("simple_rnn", "lstm", "gru"):
            assert {getattr(op, flag) for _, _, op in cells if op.kind == kind} == {True, False}
    assert {op.strategy for _, _, op in cells} == {*STRATEGIES}
    assert any(op.reuse_factor > 1 for _, _, op in cells) and any(op.recurrent_reuse_factor > 1 for _, _, op in cells)
    assert {op.activation for _, _, op in cells} == {*ACTIVATIONS}
    assert {len(node.inputs) for _, node, _ in cells} == {1, 2, 3}
    assert {op.reset_after for _, _, op in cells if isinstance(op, Gru)} == {True, False}
    assert {op.output for _, _, op in cells if isinstance(op, Lstm)} == {0, 1}
    assert any(shared(graph) for graph, _, _ in cells)
    normalizations = [op for op in ops if isinstance(op, Normalize)]
    assert {op.statistic for op in normalizations} == {*STATISTICS}
    assert {op.groups > 1 for op in normalizations} == {True, False}
    assert {op.weight is None for op in ops if isinstance(op, Einsum)} == {True, False}
    assert {op.bias is None for op in ops if isinstance(op, Einsum)} == {True, False}
    assert {op.strategy for op in ops if isinstance(op, Einsum) and op.weight is not None} == {*STRATEGIES}
    assert any(op.reuse_factor > 1 for op in ops if isinstance(op, Einsum) and op.weight is None)


def given(name: str, shape: tuple[int, ...], type: FixedType) -> Node:
    return Node(name, Input(shape), (), shape, Layer(name, "InputLayer"), type)


def test_every_accumulator(tmp_path: Path) -> None:
    """Dense with all rounding and overflow modes of the accumulator, coarse and fine, signed or not, and strategies."""
    builder = Builder(np.random.default_rng(5))
    x = given("x", (12,), FixedType(9, 4))
    builder.nodes.append(x)
    weight, bias = builder.tensor((12, 6), FixedType(8, 3)), builder.tensor((6,), FixedType(10, 5))
    strategies = itertools.cycle([("latency", 4), ("resource", 1), ("resource", 4), ("resource", 36), ("unrolled", 1),
                                  ("distributed_arithmetic", 1), ("distributed_arithmetic", 1)])
    for quantization, overflow, fraction in itertools.product(Quantization, Overflow, (3, 7, 12)):
        signed = len(builder.nodes) % 5 > 0
        accum = FixedType(fraction + 5, 5, signed, quantization, overflow)
        with_bias = None if len(builder.nodes) % 4 == 0 else bias
        builder.add(Dense(weight, with_bias, accum, *next(strategies)), [x], accum.plain())
    names = tuple(node.name for node in builder.nodes[1:])
    assert_every_node_equal(verify(Graph("accumulators", tuple(builder.nodes), names)), tmp_path, 200)


@pytest.mark.parametrize("kind", [SimpleRnn, Lstm, Gru])
def test_every_direction_of_recurrent_cells(kind: type[Recurrent], tmp_path: Path) -> None:
    """Each by itself, and all that share a computation."""
    builder = Builder(np.random.default_rng(9), (4, 20))
    x = given("x", (4, 3), FixedType(9, 4))
    builder.nodes.append(x)
    for backwards, alone in itertools.product((False, True), (True, False)):
        op = replace(typed_cell(builder, kind, 3), go_backwards=backwards)
        for sequences, flip, output in itertools.product((False, True), (False, True), range(kind.states)):
            op = replace(typed_cell(builder, kind, 3), go_backwards=backwards) if alone else op
            builder.add(replace(op, return_sequences=sequences, flip=flip, output=output), [x])
    names = tuple(node.name for node in builder.nodes[1:])
    graph = verify(Graph("directions", tuple(builder.nodes), names))
    assert len(shared(graph)) == len(names) // 2
    assert_every_node_equal(graph, tmp_path, 20)


def test_every_cast(tmp_path: Path) -> None:
    """All values of a type cast to other types in all modes."""
    builder = Builder(np.random.default_rng(6))
    sources = [given("signed_", (1,), FixedType(8, 4)), given("unsigned_", (1,), FixedType(7, 3, signed=False))]
    builder.nodes += sources
    for source, quantization, overflow in itertools.product(sources, Quantization, Overflow):
        for width, integer, signed in ((4, 3, True), (5, 2, False), (12, 5, True)):
            builder.add(Identity(), [source], FixedType(width, integer, signed, quantization, overflow))
    names = tuple(node.name for node in builder.nodes[2:])
    graph = verify(Graph("casts", tuple(builder.nodes), names))
    values = np.arange(256)
    inputs = {"signed_": values[:, None] - 128, "unsigned_": values[:, None] % 128}
    found = csim.CSim(csim.build(graph, tmp_path), graph).run(inputs)
    wanted = emulate.run(graph, inputs).values
    assert [name for name in names if not same(found[name], wanted[name])] == []


# ---- the engine ------------------------------------------------------------------------------------------------


def mlp(seed: int, hidden: int = 24) -> Graph:
    """A small network whose sources do not depend on the seed."""
    builder = Builder(np.random.default_rng(seed))
    of = FixedType(16, 6)
    builder.nodes.append(given("x", (10,), of))
    for k, n in ((10, hidden), (hidden, 5)):
        weight, bias = builder.tensor((k, n), FixedType(12, 3)), builder.tensor((n,), of)
        builder.add(Relu(), [builder.add(Dense(weight, bias, of), [builder.nodes[-1]], of)], of)
    return verify(Graph("mlp", tuple(builder.nodes), (builder.nodes[-1].name,)))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return csim.build(mlp(0), tmp_path_factory.mktemp("mlp"))


def test_new_weights_need_no_compiler(library: Path) -> None:
    first, second = mlp(0), mlp(1)
    assert csim.sources(first) == csim.sources(second)
    inputs = random_inputs(first, 3, 50)
    engines = [csim.CSim(library, graph) for graph in (first, second)]
    for graph, engine in [(first, engines[0]), (second, engines[1]), (first, engines[0])]:
        found, wanted = engine.run(inputs), emulate.run(graph, inputs).values
        assert same(found[graph.outputs[0]], wanted[graph.outputs[0]])
    outputs = [engine.run(inputs)[graph.outputs[0]] for graph, engine in zip((first, second), engines, strict=True)]
    assert not same(*outputs)


def test_fingerprint_names_sources_and_compiler() -> None:
    texts = csim.sources(mlp(0))
    key = csim.fingerprint(texts, "g++ 12")
    assert key == csim.fingerprint(csim.sources(mlp(1)), "g++ 12")
    assert len({key, csim.fingerprint(texts, "g++ 13"), csim.fingerprint(csim.sources(mlp(0, 25)), "g++ 12")}) == 3


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("samples", [0, 1, 2, 7, 20_001])
def test_batches_of_any_size(library: Path, threads: int, samples: int) -> None:
    graph = mlp(4)
    inputs = random_inputs(mlp(4), 5, min(samples, 300))
    inputs = {"x": np.resize(inputs["x"], (samples, 10))}
    name = graph.outputs[0]
    found = csim.CSim(library, graph, threads).run(inputs)
    assert list(found) == [name] and same(found[name], emulate.run(graph, inputs).values[name])


def test_calls_at_the_same_time(library: Path) -> None:
    graphs = [mlp(seed) for seed in range(5)]
    inputs = {"x": np.resize(random_inputs(graphs[0], 1, 100)["x"], (30_000, 10))}
    results: dict[int, IntArray] = {}

    def work(index: int) -> None:
        results[index] = csim.CSim(library, graphs[index]).run(inputs)[graphs[index].outputs[0]]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(graphs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, graph in enumerate(graphs):
        assert same(results[index], emulate.run(graph, inputs).values[graph.outputs[0]])


def test_other_threads_run_during_a_call(library: Path) -> None:
    """Were the interpreter's lock held, the first sleep would last as long as the call."""
    graph, took, samples = mlp(0), 0.0, 50_000
    engine, few = csim.CSim(library, graph, threads=1), random_inputs(mlp(0), 1, 100)["x"]
    while took < 0.1:
        samples *= 2
        batch = csim.Batch(graph, csim.checked(graph, {"x": np.resize(few, (samples, 10))}), None)
        call = threading.Thread(
            target=engine._c.kbuild_run, args=(engine._constants, batch.sources, batch.targets, batch.samples)
        )
        turns, started = 0, time.perf_counter()
        call.start()
        while call.is_alive():
            time.sleep(0.001)
            turns += 1
        took = time.perf_counter() - started
    assert turns > 5


def test_inputs_are_given_in_any_layout(library: Path) -> None:
    """Columns of a larger array, Fortran order, narrower integers, Python integers."""
    graph = mlp(0)
    values = random_inputs(graph, 9, 40)["x"]
    engine, name = csim.CSim(library, graph), graph.outputs[0]
    wanted = engine.run({"x": values})[name]
    layouts: list[Callable[[IntArray], IntArray]] = [
        np.asfortranarray, lambda x: x.astype(np.int32), wide, lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    ]  # fmt: skip
    for layout in layouts:
        assert same(engine.run({"x": layout(values)})[name], wanted)


def test_a_wrong_shape_is_refused(library: Path) -> None:
    engine = csim.CSim(library, mlp(0))
    with pytest.raises(ValueError, match=r"the input x has shape \(9,\), not \(10,\)"):
        engine.run({"x": np.zeros((3, 9), np.int64)})
    with pytest.raises(ValueError, match="the input x is missing"):
        engine.run({})


def test_a_library_of_another_graph_is_refused(library: Path) -> None:
    with pytest.raises(ValueError, match="was compiled for another graph"):
        csim.CSim(library, mlp(0, 25))


def test_a_library_that_was_replaced_while_loaded(tmp_path: Path) -> None:
    first, second = mlp(0), mlp(0, 25)
    before = csim.CSim(csim.build(first, tmp_path), first)
    after = csim.CSim(csim.build(second, tmp_path), second)
    inputs = random_inputs(first, 2, 30)
    for graph, engine in ((first, before), (second, after)):
        name = graph.outputs[0]
        assert same(engine.run(inputs)[name], emulate.run(graph, inputs).values[name])


def test_names_that_mean_something_in_cpp(tmp_path: Path) -> None:
    of = FixedType(8, 4)
    names = ["int", "class", "std", "add", "x", "layer_x", "type_x", "config_x", "weight_x", "t", "main", "kbuild",
             "values", "constants", "Values", "run", "ap_fixed", "x_t", "X", "partial_1_x"]  # fmt: skip
    nodes = [given("x_", (3,), of)]
    for name in names:
        nodes.append(Node(name, Identity(), (nodes[-1].name,), (3,), Layer(name, "Activation"), of))
    nodes.append(Node("partial_1_t", Merge("average"), ("x", "t", "X"), (3,), Layer("m", "Average"), of))
    assert_every_node_equal(verify(Graph("names", tuple(nodes), (nodes[-1].name,))), tmp_path)


def test_hostile_layer_names_do_not_reach_the_sources() -> None:
    graph = mlp(0)
    bad = 'x */ \n#error "\\'
    renamed = graph.with_nodes(replace(node, layer=Layer(bad, bad)) for node in graph)
    assert csim.sources(renamed) == csim.sources(graph)


# ---- hls4ml ----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not MODELS.is_dir(), reason="the published models (KBUILD_MODELS) are not here")
@pytest.mark.parametrize(
    ("name", "precision", "file"),
    [
        ("KERAS_3layer", "ap_fixed<16,6>", "hls4ml-fixed16_6.npz"),
        ("KERAS_3layer_batch_norm", "ap_fixed<24,10>", "hls4ml-fixed24_10.npz"),
        ("KERAS_conv1d_small", "ap_fixed<16,6>", "hls4ml-fixed16_6-stream.npz"),
        ("KERAS_conv2d_model", "ap_fixed<18,8>", "hls4ml-fixed18_8.npz"),
    ],
)
def test_the_bits_of_hls4ml(name: str, precision: str, file: str, tmp_path: Path) -> None:
    from kbuild.config import load_recipe, resolve_settings
    from kbuild.frontend.keras import read_model
    from kbuild.passes.context import Context, layer_infos
    from kbuild.passes.pipeline import optimize

    model = MODELS / name / name
    (tmp_path / "recipe.yml").write_text(
        f"KerasJson: {model}.json\nKerasH5: {model}_weights.h5\nBackend: Vivado\n"
        f"HLSConfig:\n  Model:\n    Precision: {precision}\n    ReuseFactor: 1\n"
    )
    (recipe,) = load_recipe(tmp_path / "recipe.yml")
    graph = read_model(Path(f"{model}.json"), Path(f"{model}_weights.h5"), None, name)
    fixed = optimize(graph, Context(resolve_settings(recipe, layer_infos(graph)), backend=recipe.backend))
    golden = np.load(MODELS / name / file)
    x = fixed.inputs[0]
    engine = csim.CSim(csim.build(fixed, tmp_path), fixed)
    values = engine.run({x.name: from_float(golden["x0"], x.fixed())}, [node.name for node in fixed])
    floats = {node.layer.name: to_float(values[node.name], node.fixed()) for node in fixed}
    logits = fixed[fixed[fixed.outputs[0]].inputs[0]]
    floats["logits"] = to_float(values[logits.name], logits.fixed())
    compared = [key for key in golden.files if key != "x0"]
    assert "logits" in compared
    for key in compared:
        assert np.array_equal(floats[key.removeprefix("layer/")], golden[key]), key
