"""The C simulation of designs with streams against the emulator, with FIFOs of any size and of the computed depths."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from random_graphs import ANY, MAKERS, NARROW, SEQUENCE, SPATIAL, Builder, random_graph, random_inputs

from kbuild import emulate
from kbuild.emit.hls.stream.depths import LEAST, deadlock, depths
from kbuild.emit.hls.stream.process import Arrays, Clone, Kernel
from kbuild.engines import csim
from kbuild.engines.csim_stream import Deadlock, StreamCSim
from kbuild.fixed import FixedType, IntArray, from_float, to_float, wide
from kbuild.ir import Graph, Layer, Node, Shape, verify
from kbuild.ops.concatenate import Concatenate
from kbuild.ops.conv import Conv
from kbuild.ops.dense import Dense
from kbuild.ops.identity import Identity
from kbuild.ops.input import Input
from kbuild.ops.merge import Merge
from kbuild.ops.pool import Pool
from kbuild.ops.relu import Relu
from kbuild.ops.reshape import Reshape
from kbuild.ops.transpose import Transpose

MODELS = Path(os.environ.get("KBUILD_MODELS", "/nonexistent"))
OF = FixedType(12, 5)
GRAPHS = [(0, ANY, True), (2, NARROW, True), (11, NARROW, False)]
NODES = 26


def same(a: IntArray, b: IntArray) -> bool:
    return a.shape == b.shape and bool((wide(a) == wide(b)).all())


def built(graph: Graph, folder: Path) -> StreamCSim:
    return StreamCSim(csim.build(graph, folder, io_type="io_stream"), graph)


def assert_every_node_equal(graph: Graph, folder: Path, samples: int = 8) -> StreamCSim:
    """One process after the other, and all beside each other with FIFOs of the depths they have in the design."""
    engine = built(graph, folder)
    inputs, names = random_inputs(graph, 7, samples), [node.name for node in graph]
    wanted = emulate.run(graph, inputs, names).values
    for found in (engine.run(inputs, names), engine.run_bounded(inputs, names).values):
        wrong = [f"{node.name}: {node}" for node in graph if not same(wanted[node.name], found[node.name])]
        assert not wrong, wrong[0]
    return engine


@pytest.mark.parametrize(("seed", "widths", "more"), GRAPHS)
def test_random_graphs(seed: int, widths: tuple[int, int], more: bool, tmp_path: Path) -> None:
    assert_every_node_equal(random_graph(seed, NODES, widths=widths, spatial=more, sequence=more), tmp_path)


@pytest.mark.parametrize("seed", [3])
def test_random_loops(seed: int, tmp_path: Path) -> None:
    assert_every_node_equal(random_graph(seed, 16, loops=True), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200, 215))
def test_more_random_loops(seed: int, tmp_path: Path) -> None:
    assert_every_node_equal(random_graph(seed, 20, widths=ANY if seed % 4 == 3 else NARROW, loops=True), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 140))
def test_more_random_graphs(seed: int, tmp_path: Path) -> None:
    widths = ANY if seed % 4 == 3 else NARROW
    graph = random_graph(seed, 50, widths=widths, spatial=seed % 2 == 1, sequence=seed % 3 == 1)
    engine = assert_every_node_equal(graph, tmp_path)
    assert_depths_are_those_of_the_simulation(engine)


def test_the_random_graphs_have_everything() -> None:
    from kbuild.emit.hls.stream.network import network

    graphs = [random_graph(seed, NODES, widths=widths, spatial=more, sequence=more) for seed, widths, more in GRAPHS]
    assert {node.op.kind for graph in graphs for node in graph} == {*MAKERS, *SPATIAL, *SEQUENCE, "input"}
    processes = [process for graph in graphs for process in network(graph).processes]
    assert {type(process.body) for process in processes} == {Arrays, Clone, Kernel}
    arrays = [process.body for process in processes if isinstance(process.body, Arrays)]
    assert any(body.passes > 1 and body.before for body in arrays)  # an input for all packets
    assert any(len(body.before) > 1 for body in arrays)  # inputs that come one after the other
    assert any(len(body.outputs) > 1 for body in arrays)  # states of one recurrent cell
    assert any(process.name.startswith("repack") for process in processes)
    assert {len(process.outputs) > 2 for process in processes if isinstance(process.body, Clone)} == {True, False}


# ---- depths ----------------------------------------------------------------------------------------------------


def assert_depths_are_those_of_the_simulation(engine: StreamCSim) -> int:
    """What is computed is what the simulation needs: for the depths without margin, and for each FIFO that is deeper
    than the least with one packet less. Returns the number of FIFOs without whose last packet all stops."""
    least = depths(engine.network, lags=False)
    inputs = random_inputs(engine.graph, 3, 1)
    found = engine.run_bounded(inputs, depths=least)
    assert all(found.occupancy[name] <= depth for name, depth in least.items())
    critical = 0
    for name in [name for name, depth in least.items() if depth > LEAST]:
        less = {**least, name: least[name] - 1}
        predicted = deadlock(engine.network, less)
        critical += bool(predicted)
        if not predicted:
            engine.run_bounded(inputs, depths=less)
            continue
        with pytest.raises(Deadlock) as stopped:
            engine.run_bounded(inputs, depths=less)
        assert set(stopped.value.fifos) == {(fifo.name, full) for fifo, full in predicted}
    return critical


class Small:
    """A network in the making, of processes that take a packet at a time and of those that wait for everything."""

    def __init__(self, *shapes: Shape) -> None:
        self.b = Builder(np.random.default_rng(1))
        for i, shape in enumerate(shapes):
            self.b.nodes.append(Node(f"x{i}", Input(shape), (), shape, Layer(f"x{i}", "InputLayer"), OF))

    def dense(self, x: Node, outputs: int) -> Node:
        return self.b.add(Dense(self.b.tensor((x.shape[-1], outputs), OF), None, OF), [x], OF)

    def relu(self, x: Node) -> Node:
        return self.b.add(Relu(), [x], OF)

    def late(self, x: Node) -> Node:
        """A value that comes when all of x has come."""
        for _ in range(2):
            x = self.b.add(Transpose((1, 0)), [x], OF)
        return x

    def graph(self, *outputs: Node) -> Graph:
        return verify(Graph("small", tuple(self.b.nodes), tuple(node.name for node in outputs)))


def residual(packets: int = 20) -> Graph:
    """x + f(x), where f gives nothing before it has everything. The path around it must hold all packets but two: one
    is in the merge, and the last one is written when f has come to its end."""
    s = Small((packets, 3))
    x = s.relu(s.b.nodes[0])
    return s.graph(s.b.add(Merge("add"), [x, s.late(x)], OF))


def test_a_residual_network_needs_room_for_what_comes_early(tmp_path: Path) -> None:
    engine = assert_every_node_equal(residual(), tmp_path)
    least = depths(engine.network, lags=False)
    (skip,) = [name for name, depth in least.items() if depth > LEAST]
    assert least[skip] == 18 and assert_depths_are_those_of_the_simulation(engine) == 1
    deep = {fifo.name: fifo.depth for fifo in engine.network.fifos}
    with pytest.raises(Deadlock, match=rf"the FIFO {skip} \(from clone_relu1 to process_merge4, depth 9\) is full; "):
        engine.run_bounded(random_inputs(engine.graph, 1, 1), depths={skip: deep[skip] // 2})


def wide_block() -> Graph:
    """A residual block of a network of many channels, whose windows lie in memory: the products of a pixel are in turn,
    and the path around them holds what comes meanwhile. Pools and a convolution beside it."""
    s, wide = Small((5, 4, 456)), (3, 3)
    (x,) = s.b.nodes
    once, pads = (1, 1), ((1, 1), (1, 1))
    by_channel = Conv(s.b.tensor((*wide, 1, 456), OF), None, OF, "resource", 9 * 8, strides=once, padding=pads,
                      dilation=once, input_dilation=once, groups=456)  # fmt: skip
    strided = Conv(s.b.tensor((*wide, 456, 4), OF), None, OF, "resource", 9 * 57, strides=(2, 2), padding=pads,
                   dilation=once, input_dilation=once)  # fmt: skip
    deep = s.b.add(by_channel, [s.relu(x)], OF)
    total = s.b.add(Merge("add"), [x, deep], OF)
    pools = [s.b.add(Pool(kind, wide, (2, 2), pads), [total], OF) for kind in ("max", "average")]
    return s.graph(total, s.b.add(strided, [total], OF), *pools)


def test_windows_in_memory(tmp_path: Path) -> None:
    engine = assert_every_node_equal(wide_block(), tmp_path, 2)
    bodies = [process.body for process in engine.network.processes]
    kernels = [body.step.calls[0].kernel for body in bodies if isinstance(body, Kernel)]
    assert set(kernels) == {"stream_conv_stored", "stream_pool_stored_max", "stream_pool_stored_average"}
    assert_depths_are_those_of_the_simulation(engine)


def three_ways() -> Graph:
    """A value that is used three times after different delays, and by two outputs; an input that is an output."""
    s = Small((6, 2), (6, 2))
    x = s.relu(s.b.nodes[0])
    late, later = s.late(x), s.late(s.late(x))
    joined = s.b.add(Concatenate(1), [x, later, late, s.b.nodes[1]], OF)
    total = s.b.add(Merge("add"), [s.dense(joined, 2), x, x], OF)
    return s.graph(total, x, s.b.nodes[1], total)


def repacked() -> Graph:
    """Reshapes cost nothing, and equal elements meet in packets of other widths."""
    s = Small((4, 6), (24,), (2, 2, 3))
    x, y, z = s.b.nodes
    flat = s.b.add(Reshape((24,)), [x], OF)
    other = s.b.add(Reshape((3, 8)), [s.relu(flat)], OF)
    again = s.b.add(Reshape((24,)), [s.relu(other)], OF)
    both = s.b.add(Merge("maximum"), [again, y], OF)
    rows = s.b.add(Reshape((8, 3)), [s.relu(y)], OF)
    narrow = s.dense(rows, 4)
    cast = s.b.add(Reshape((12,)), [z], FixedType(9, 3))
    part = s.b.add(Identity(), [cast], OF)
    return s.graph(s.dense(both, 3), s.b.add(Reshape((32,)), [narrow], OF), other, part, s.dense(part, 5))


@pytest.mark.parametrize("graph", [three_ways, repacked])
def test_networks(graph: Callable[[], Graph], tmp_path: Path) -> None:
    assert_depths_are_those_of_the_simulation(assert_every_node_equal(graph(), tmp_path))


@pytest.mark.parametrize("seed", [2, 4])
def test_depths_of_random_networks(seed: int, tmp_path: Path) -> None:
    """Networks with many paths, of processes that hold back nothing and such that hold back everything."""
    rng = np.random.default_rng(seed)
    s = Small((7, 3), (7, 3))
    for _ in range(14):
        found = [node for node in s.b.nodes if node.shape == (7, 3)]
        x, y = (found[i] for i in rng.integers(len(found), size=2))
        choice = rng.random()
        node = s.late(x) if choice < 0.25 else s.relu(x) if choice < 0.4 else s.dense(x, 3)
        if choice > 0.5:
            s.b.add(Merge("add"), [node, y], OF)
    read = {name for node in s.b.nodes for name in node.inputs}
    graph = s.graph(*(node for node in s.b.nodes if node.name not in read))
    assert assert_depths_are_those_of_the_simulation(assert_every_node_equal(graph, tmp_path, 2)) > 0


# ---- the engine ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 3])
def test_many_samples_in_threads_and_with_other_weights(threads: int, tmp_path: Path) -> None:
    first, second = residual(), residual()
    assert csim.sources(first, "io_stream") == csim.sources(second, "io_stream")
    library = csim.build(first, tmp_path, io_type="io_stream")
    inputs = {name: np.resize(x, (5000, 20, 3)) for name, x in random_inputs(second, 5, 300).items()}
    (name,) = second.outputs
    found = StreamCSim(library, second, threads).run(inputs)
    assert same(found[name], emulate.run(second, inputs).values[name])


def test_a_large_design_is_compiled_in_parts() -> None:
    def compiled(graph: Graph) -> list[str]:
        return [path for path in csim.sources(graph, "io_stream") if path.endswith(".cpp")]

    assert compiled(residual()) == ["csim.cpp", "part_0.cpp"]
    seed, widths, more = GRAPHS[2]
    large = random_graph(seed, NODES, widths=widths, spatial=more, sequence=more)
    assert compiled(large) == ["csim.cpp", *(f"part_{number}.cpp" for number in range(6))]


def test_the_library_of_the_other_io_type_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="was compiled for another graph"):
        StreamCSim(csim.build(residual(), tmp_path), residual())


# ---- hls4ml ----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not MODELS.is_dir(), reason="the published models (KBUILD_MODELS) are not here")
@pytest.mark.parametrize(
    ("name", "precision", "file"),
    [
        ("KERAS_conv1d_small", "ap_fixed<16,6>", "hls4ml-fixed16_6-stream.npz"),
        ("KERAS_conv2d_model", "ap_fixed<18,8>", "hls4ml-fixed18_8-stream.npz"),
    ],
)
def test_the_bits_of_hls4ml(name: str, precision: str, file: str, tmp_path: Path) -> None:
    from kbuild.config import load_recipe, resolve_settings
    from kbuild.frontend.keras import read_model
    from kbuild.passes.context import Context, layer_infos
    from kbuild.passes.pipeline import optimize

    model = MODELS / name / name
    (tmp_path / "recipe.yml").write_text(
        f"KerasJson: {model}.json\nKerasH5: {model}_weights.h5\nBackend: Vivado\nIOType: io_stream\n"
        f"HLSConfig:\n  Model:\n    Precision: {precision}\n    ReuseFactor: 1\n"
    )
    (recipe,) = load_recipe(tmp_path / "recipe.yml")
    graph = read_model(Path(f"{model}.json"), Path(f"{model}_weights.h5"), None, name)
    settings = resolve_settings(recipe, layer_infos(graph))
    fixed = optimize(graph, Context(settings, backend=recipe.backend, io_type=recipe.io_type))
    golden = np.load(MODELS / name / file)
    x = fixed.inputs[0]
    given = {x.name: from_float(golden["x0"], x.fixed())}
    engine, names = built(fixed, tmp_path), [node.name for node in fixed]
    values = engine.run(given, names)
    bounded = engine.run_bounded({x.name: given[x.name][:2]}, names).values
    assert all(same(bounded[name], values[name][:2]) for name in names)
    floats = {node.layer.name: to_float(values[node.name], node.fixed()) for node in fixed}
    logits = fixed[fixed[fixed.outputs[0]].inputs[0]]
    floats["logits"] = to_float(values[logits.name], logits.fixed())
    compared = [key for key in golden.files if key != "x0"]
    assert "logits" in compared
    for key in compared:
        assert np.array_equal(floats[key.removeprefix("layer/")], golden[key]), key
