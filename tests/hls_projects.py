"""Networks with every kernel in them, and their emitted projects on disk, for tests of Vivado and Vitis projects."""

from __future__ import annotations

import importlib.util
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from random_graphs import Builder, random_inputs

from kbuild import emulate
from kbuild.emit import Target, emit
from kbuild.emit.hls import vectors
from kbuild.fixed import FixedType, IntArray, Overflow
from kbuild.ir import Graph, Layer, Node, Shape, Tensor, verify
from kbuild.ops.affine import Affine
from kbuild.ops.concatenate import Concatenate
from kbuild.ops.conv import Conv
from kbuild.ops.dense import Dense
from kbuild.ops.einsum import Einsum
from kbuild.ops.gather import Gather
from kbuild.ops.gru import Gru
from kbuild.ops.input import Input
from kbuild.ops.interpolate import Interpolate
from kbuild.ops.lstm import Lstm
from kbuild.ops.lut import Lut
from kbuild.ops.merge import Merge
from kbuild.ops.normalize import Normalize
from kbuild.ops.pad import Pad
from kbuild.ops.pool import Pool
from kbuild.ops.quantize import Quantize
from kbuild.ops.reduce import Reduce
from kbuild.ops.relu import Relu
from kbuild.ops.repeat import Repeat
from kbuild.ops.rnn import SimpleRnn
from kbuild.ops.scan import Scan
from kbuild.ops.softmax import ALLOWED, Softmax
from kbuild.ops.transpose import Transpose

TARGET = Target("Vitis", "tagger", "xcvu13p-flga2577-2-e", 5.0, 0.27, "io_parallel")
OF = FixedType(12, 5)


def source(name: str, shape: Shape) -> Node:
    return Node(name, Input(shape), (), shape, Layer(name, "InputLayer"), OF)


def everything() -> Graph:
    """Every kernel once, in a few small layers."""
    b = Builder(np.random.default_rng(2))
    x, z = source("x", (4,)), source("z", (2, 3))
    b.nodes += [x, z]
    table = FixedType(6, 1, signed=False)
    tables = b.tensor((8,), table), b.tensor((8,), table)
    soft = [Softmax(kind, tables[0], -9, 4, tables[1], 1) for kind in ("stable", "latency", "legacy")]
    latency = b.add(Dense(b.tensor((4, 3), OF), b.tensor((3,), OF), b.type()), [x])
    resource = b.add(Dense(b.tensor((3, 4), OF), None, b.type(), "resource", 6), [z])
    unrolled = b.add(Dense(b.tensor((4, 2), OF), b.tensor((2,), OF), b.type(), "unrolled", 2), [resource])
    for accum in (OF, FixedType(30, 14, True, OF.quantization, Overflow.SAT)):  # products one by one, whole sums
        b.add(Dense(b.tensor((3, 2), OF), b.tensor((2,), OF), accum, "distributed_arithmetic"), [z])
    fine = FixedType(9, 1, False, overflow=Overflow.SAT)
    low = Tensor(np.array([0, 20, 41, 63]), FixedType(6, 0, signed=False))
    soft.append(replace(soft[0], exp_low=low, inv_slope=b.tensor((8,), FixedType(7, 0, signed=False)), inv_drop=1,
                        inv_shift=3, numerator=fine, inverse=fine, distinct=True))  # fmt: skip
    soft.append(Softmax("argmax"))
    rows = [b.add(op, [z], OF) for op in soft]
    masks = Tensor(np.array([1, 0, 1]), ALLOWED), Tensor(np.array([[1, 0, 1], [0, 1, 1]]), ALLOWED)
    rows += [b.add(replace(op, mask=masks[i > 0]), [z], OF) for i, op in enumerate(soft)]
    b.add(Relu(), [latency])
    b.add(Relu(b.tensor((1, 2), OF), b.tensor((), OF), b.tensor((), OF)), [unrolled])
    b.add(Lut("tanh", (), b.tensor((16,), OF), -700, 6), [unrolled])
    b.add(Affine(b.tensor((1, 3), OF), b.tensor((2, 1), OF)), [z])
    merged = [b.add(Merge(kind), [z, latency]) for kind in ("add", "subtract", "multiply", "maximum", "minimum")]
    b.add(Merge("average"), [merged[0], latency])
    b.add(Merge("average"), [*merged[:2], rows[0]])
    b.add(Concatenate(0), [*rows, z])
    outputs = [node.name for node in b.nodes if not any(node.name in other.inputs for other in b.nodes)]
    # An output that is read inside, an input that is an output, an output that is given twice.
    return verify(Graph("everything", tuple(b.nodes), (*outputs, latency.name, "x", outputs[0])))


def spatial(rows: int = 5) -> Graph:
    """Every kernel of images once, in a few small layers."""
    b = Builder(np.random.default_rng(4))
    x = source("x", (rows, 4, 2))
    b.nodes.append(x)
    plain = {"strides": (1, 1), "padding": ((1, 1), (0, 1)), "dilation": (1, 1), "input_dilation": (1, 1)}
    first = b.add(Conv(b.tensor((3, 2, 2, 3), OF), b.tensor((3,), OF), b.type(), **plain), [x], OF)
    grouped = Conv(b.tensor((2, 1, 1, 4), OF), None, OF, "resource", 4, strides=(2, 1), padding=((0, 0), (0, 0)),
                   dilation=(1, 2), input_dilation=(1, 2), groups=2)  # fmt: skip
    b.add(grouped, [x], OF)
    b.add(Conv(b.tensor((2, 2, 3, 2), OF), None, OF, "unrolled", 2, **plain), [first], OF)
    for strategy in ("latency", "resource", "distributed_arithmetic"):
        b.add(Conv(b.tensor((1, 1, 1, 4), OF), None, FixedType(30, 14), strategy, strides=(1, 1), groups=2,
                   padding=((0, 0), (0, 0)), dilation=(1, 1), input_dilation=(1, 1), parallelization_factor=2),
              [x], OF)  # fmt: skip
        b.add(Conv(b.tensor((2, 2, 2, 2), OF), None, FixedType(30, 14), strategy, encoded=True,
                   parallelization_factor=4 if strategy == "resource" else 1, **plain), [x], OF)  # fmt: skip
    for kind in ("max", "average"):
        b.add(Pool(kind, (2, 3), (2, 2), ((1, 0), (1, 2))), [first], OF)
    b.add(Pool("average", (3, 1), (1, 1), ((0, 0), (0, 0))), [first], OF)
    for kind in ("sum", "mean", "max", "min"):
        b.add(Reduce(kind, (0, 1), rows * 4), [x], OF)
    b.add(Pad(((1, -1), (0, 2), (0, 0))), [x], OF)
    b.add(Transpose((2, 0, 1)), [x], OF)
    b.add(Repeat((2, 3, 1)), [x], OF)
    b.add(Interpolate((2, 3, 1)), [x], OF)
    read = {name for node in b.nodes for name in node.inputs}
    return verify(Graph("spatial", tuple(b.nodes), tuple(node.name for node in b.nodes if node.name not in read)))


def sequences() -> Graph:
    """Every kernel of sequences once, in a few small layers."""
    b = Builder(np.random.default_rng(8))
    x, start = source("x", (3, 2)), source("start", (3,))
    b.nodes += [x, start]
    table = {"table": b.tensor((8,), OF), "table_address": (-300, 6)}
    gate = {"recurrent_table": b.tensor((8,), OF), "recurrent_address": (-300, 6)}
    types = {"accum": OF, "recurrent_accum": b.type(), "state": OF}

    def weights(gates: int) -> dict[str, Tensor]:
        return {"weight": b.tensor((2, 3 * gates), OF), "recurrent_weight": b.tensor((3, 3 * gates), OF)}

    b.add(SimpleRnn(**weights(1), **table, **types, activation="relu"), [x], OF)
    lstm = Lstm(**weights(4), **table, **gate, **types, cell=OF, cell_table=b.tensor((8,), OF), cell_address=(-9, 4),
                strategy="resource", reuse_factor=2, recurrent_reuse_factor=3, return_sequences=True)
    steps = b.add(lstm, [x, start, start], OF)
    b.add(replace(lstm, return_sequences=False), [x, start, start], OF)
    b.add(replace(lstm, output=1, return_sequences=False), [x, start, start], OF)
    for reset_after in (True, False):
        b.add(Gru(**weights(3), **table, **gate, **types, reset_after=reset_after, go_backwards=True,
                  recurrent_bias=b.tensor((9,), OF),
                  strategy="unrolled" if reset_after else "distributed_arithmetic"), [x, start], OF)
    for given in ([x], [x, start, start]):  # the second one's states are returned, too
        loop = scan(f"inside{len(b.nodes)}_", "resource" if len(given) > 1 else "distributed_arithmetic")
        b.add(loop, given, OF)
        b.add(replace(loop, output=1, return_sequences=True, flip=True, go_backwards=len(given) > 1), given, OF)
    for statistic in ("variance", "mean_square", "sum_square"):
        b.add(Normalize(axes=(0,), statistic=statistic, scale=b.tensor((3, 1), OF), table=b.tensor((12,), OF),
                        table_shift=8, accum=b.type(), guard=4), [steps], OF)
    b.add(Einsum("ab,ac->cb", None, b.tensor((3, 1), OF), b.type()), [steps, steps], OF)
    b.add(Einsum("ab,bc->ac", b.tensor((3, 2), OF), None, b.type()), [steps], OF)
    b.add(Einsum("ab,ac->cb", None, None, b.type(), "resource", 9), [steps, steps], OF)
    for strategy in ("unrolled", "resource", "distributed_arithmetic"):  # of a matrix for each step
        reuse = 1 if strategy == "distributed_arithmetic" else 3
        b.add(Einsum("ab,abc->ca", b.tensor((3, 3, 2), OF), None, FixedType(30, 14), strategy, reuse), [steps], OF)
    b.add(Gather(b.tensor((5, 2), OF)), [steps], OF)
    read = {name for node in b.nodes for name in node.inputs}
    return verify(Graph("sequences", tuple(b.nodes), tuple(n.name for n in b.nodes if n.name not in read)))


def scan(prefix: str, strategy: str) -> Scan:
    """A loop over steps of an element of two features and two states of three."""
    b = Builder(np.random.default_rng(9), prefix=prefix)
    element, first, second = (b.add(Input((size,)), type=OF) for size in (2, 3, 3))
    sums = b.add(Dense(b.tensor((2, 3), OF), b.tensor((3,), OF), OF, strategy), [element])
    further = b.add(Dense(b.tensor((3, 3), OF), None, OF, strategy, 3 if strategy == "resource" else 1), [first])
    gate = b.add(Lut("tanh", (), b.tensor((16,), OF), -700, 6), [b.add(Merge("add"), [sums, further])])
    rounded = b.add(Quantize((FixedType(5, 2), None), Tensor(np.array([0, 1, 0]), FixedType(2, 2))), [second])
    carry = b.add(Merge("multiply"), [gate, rounded])
    hidden = b.add(Merge("subtract"), [b.add(Pad(((-1, 1),)), [gate]), carry])
    return Scan(body=Graph("inside", tuple(b.nodes), (hidden.name, carry.name)))


def write(graph: Graph, folder: Path, target: Target = TARGET, samples: int = 20) -> dict[str, IntArray]:
    inputs = random_inputs(graph, 1, samples)
    outputs = emulate.run(graph, inputs).values
    for path, content in {**emit(graph, target), **vectors(graph, inputs, outputs)}.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        assert isinstance(content, str)
        file.write_text(content)
    return outputs


def run(program: Path, *arguments: str) -> tuple[int, str]:
    done = subprocess.run([program, *arguments], cwd=program.parent, capture_output=True, text=True)
    return done.returncode, done.stdout


def vendor_headers() -> Path:
    spec = importlib.util.find_spec("da4ml")
    if spec is None or spec.origin is None:
        pytest.skip("da4ml, which brings the vendor's headers, is not installed")
    return Path(spec.origin).parent / "codegen" / "hls" / "source" / "ap_types" / "include"
