"""Quantized recurrent layers over long sequences: the emitted text does not grow with them, nor with other weights."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from recurrent_models import cell, model

from kbuild import emulate
from kbuild.dataclass import replace
from kbuild.emit import Target, emit
from kbuild.emit.hls.limits import digits
from kbuild.emit.hls.simulation import simulation
from kbuild.engines import csim
from kbuild.engines.csim_stream import StreamCSim
from kbuild.fixed import IntArray
from kbuild.frontend.keras.build import build_graph
from kbuild.ir import Graph, Node, Tensor
from kbuild.ops.dense import Dense
from kbuild.ops.scan import Scan
from kbuild.passes.context import Context
from kbuild.passes.pipeline import optimize

IO_TYPES = ("io_parallel", "io_stream")


def lstm(steps: int, units: int, io_type: str) -> tuple[Graph, dict[str, IntArray]]:
    settings = {"state_quantizer": "quantized_bits(8,0,1,alpha=1)", "activation": "quantized_tanh(8)",
                "recurrent_activation": "quantized_sigmoid(6)", "return_sequences": True}  # fmt: skip
    graph = build_graph(model("QLSTM", *cell("QLSTM", units, 4, **settings), (steps, 4)), "m")
    x = {"x0": np.random.default_rng(2).integers(-16, 17, (20, steps, 4)) / 8}
    fixed = optimize(graph, Context(calibration=x, io_type=io_type))
    return fixed, emulate.quantize_inputs(fixed, x)[0]


def with_other_weights(graph: Graph) -> Graph:
    """The same structure and types."""

    def turned(node: Node) -> Node:
        if not isinstance(node.op, Dense):
            return node
        return replace(node, op=replace(node.op, weight=Tensor(node.op.weight.data[::-1], node.op.weight.type)))

    return graph.changed_inside(lambda inner: inner.with_nodes(turned(node) for node in inner))


@pytest.mark.parametrize("io_type", IO_TYPES)
def test_the_text_is_the_same_but_for_the_number_of_steps(io_type: str) -> None:
    target = Target("Vitis", "net", "xcvu13p-flga2577-2-e", 5.0, 0.27, io_type)

    def texts(steps: int) -> dict[str, str]:
        graph = lstm(steps, 3, io_type)[0]
        found = {**simulation(graph, io_type).files, **emit(graph, target)}
        return {path: re.sub(r'"[0-9a-f]{32}"|\d+', "#", str(text)) for path, text in found.items()}

    few, many = texts(5), texts(200)
    assert few.keys() == many.keys()
    assert [path for path in few if few[path] != many[path]] == []


@pytest.mark.parametrize("io_type", IO_TYPES)
def test_a_long_sequence_and_other_weights_with_one_library(io_type: str, tmp_path: Path) -> None:
    graph, inputs = lstm(100, 20, io_type)
    other = with_other_weights(graph)
    assert simulation(graph, io_type).structure == simulation(other, io_type).structure
    library = csim.build(graph, tmp_path, io_type=io_type)
    found = []
    for each in (graph, other):
        wanted = emulate.run(each, inputs).values
        if io_type == "io_stream":
            values = dict(StreamCSim(library, each, threads=1).run_bounded(inputs).values)
        else:
            values = csim.CSim(library, each, threads=1).run(inputs)
        found.append(values[each.outputs[0]])
        assert np.array_equal(found[-1], wanted[each.outputs[0]])
    assert not np.array_equal(*found)


def test_the_multipliers_of_a_loop_are_those_inside() -> None:
    """Each with the reuse factor that is for it, once: what multiplies states has RecurrentReuseFactor."""
    (scan,) = {node.op for node in lstm(5, 3, "io_parallel")[0] if isinstance(node.op, Scan)}
    matrices = scan.matrices([(5, 4)], "io_parallel")
    assert {(m.terms, m.outputs, m.recurrent) for m in matrices} == {(4, 12, False), (3, 12, True)}
    reuse = [3 if m.recurrent else 4 for m in matrices]
    made = scan.reusing("resource", *reuse)
    assert made.reuse_factors == tuple(reuse) and made.strategy == "resource"
    inside = {(node.op.terms, node.op.reuse_factor) for node in made.body if isinstance(node.op, Dense)}
    assert inside == {(4, 4), (3, 3)}


def test_adders_inside_a_loop_count_once() -> None:
    graph, _ = lstm(5, 3, "io_parallel")
    adders = [replace(node, op=node.op.reusing("distributed_arithmetic", *node.op.reuse_factors))
              if isinstance(node.op, Scan) else node for node in graph]  # fmt: skip
    loops = [node for node in adders if isinstance(node.op, Scan)]
    assert [digits(node) for node in loops] == [0] * len(loops)
    dense = [digits(inner) for node in loops for inner in node.everywhere() if isinstance(inner.op, Dense)]
    assert dense and min(dense) > 0
    assert sum(digits(node) for node in graph.with_nodes(adders).everywhere()) == sum(dense)
