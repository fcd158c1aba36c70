"""Finding an adder graph for a constant matrix.

The graph is found by da4ml (Sun et al., "da4ml: Distributed Arithmetic for Real-time Neural Networks on FPGAs",
arXiv:2507.04535) where it is installed and takes the matrix, else by sharing pairs of signed digits. Whatever made a
graph, it is checked against the matrix before it is used. What is chosen depends on the matrix alone, never on time.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from kbuild.dataclass import replace
from kbuild.emit.adders import signed_digits
from kbuild.emit.adders.adder_graph import AdderGraph, Output, Step
from kbuild.fixed import IntArray, bits_of, compact

BLOCK_DIGITS = 12_000  # more are solved in blocks of rows: the time grows faster than the digits
DA4ML_BITS = 20  # da4ml takes float32 matrices


def solve(matrix: IntArray, ranges: Sequence[tuple[int, int]]) -> AdderGraph:
    """A graph for `y[n] = sum_k x[k] * matrix[k, n]` with low <= x[k] <= high for each of `ranges`; checked."""
    zero = [low == high == 0 for low, high in ranges]  # e.g. a ReLU that never opens: what its weights are is the same
    matrix = np.where(np.array(zero)[:, None], 0, matrix)
    flat = tuple(int(v) for v in matrix.ravel())
    return solved(flat, (int(matrix.shape[0]), int(matrix.shape[1])), tuple(ranges))


@lru_cache(maxsize=256)
def solved(flat: tuple[int, ...], shape: tuple[int, int], ranges: tuple[tuple[int, int], ...]) -> AdderGraph:
    """`solve` of a matrix in row-major order: the same layer is lowered more than once in a build."""
    matrix = compact(np.array(flat, dtype=object).reshape(shape))
    rows = matrix.shape[0]
    blocks = max(1, min(rows, -(-signed_digits.count(matrix) // BLOCK_DIGITS)))
    spans = [(rows * i // blocks, rows * (i + 1) // blocks) for i in range(blocks)]
    graph = _joined(matrix.shape, spans, [_solve_block(matrix[s:e], ranges[s:e]) for s, e in spans])
    return _without_negations(graph).checked(matrix)


def _solve_block(matrix: IntArray, ranges: Sequence[tuple[int, int]]) -> AdderGraph:
    if bits_of(matrix) > DA4ML_BITS or not matrix.any():
        return signed_digits.solve(matrix)
    try:
        from da4ml.cmvm import solve as da4ml_solve
    except ImportError:
        return signed_digits.solve(matrix)
    # Trying all decompositions finds about two per cent fewer adders, in graphs twice as deep and ten times as long.
    # An input that is always the same is given some room: da4ml leaves out what adds up to a constant.
    intervals = [(float(min(low, 0)), float(max(high, 0)), 1.0) if low == high else (float(low), float(high), 1.0)
                 for low, high in ranges]  # fmt: skip
    found = da4ml_solve(matrix.astype(np.float32), qintervals=intervals, search_all_decompose_dc=False)
    return _converted(found.solutions, matrix.shape[0])


def _converted(stages: Sequence[Any], inputs: int) -> AdderGraph:
    """da4ml's cascade of stages as one graph. Its values may be fractions: `exponents` has the scale of each."""
    steps: list[Step] = []
    values: list[tuple[int | None, int, bool]] = [(k, 0, False) for k in range(inputs)]  # index, exponent, negative
    for stage in stages:
        buffer: list[tuple[int | None, int, bool]] = []
        for op in stage.ops:
            if op.opcode == -1:
                index, exponent, negative = values[op.id0]
                buffer.append((index, exponent + int(stage.inp_shifts[op.id0]), negative))
            elif op.opcode in (0, 1):
                a, b = buffer[op.id0], buffer[op.id1]
                buffer.append(_combined(steps, inputs, a, (b[0], b[1] + int(op.data), b[2] ^ (op.opcode == 1))))
            else:
                raise AssertionError(f"da4ml's operation {op.opcode} in the product with a constant matrix")
        values = [
            (None, 0, False) if i < 0 else (buffer[i][0], buffer[i][1] + int(shift), buffer[i][2] ^ bool(negative))
            for i, shift, negative in zip(stage.out_idxs, stage.out_shifts, stage.out_negs, strict=True)
        ]
    return AdderGraph(inputs, tuple(steps), tuple(Output(*value) for value in values))


def _combined(
    steps: list[Step], inputs: int, a: tuple[int | None, int, bool], b: tuple[int | None, int, bool]
) -> tuple[int | None, int, bool]:
    """The sum of two signed, scaled values as a new step."""
    if a[0] is None or b[0] is None:
        return b if a[0] is None else a
    if a[2] and not b[2]:
        a, b = b, a
    (x, x_exponent, negative), (y, y_exponent, y_negative) = a, b
    assert x is not None and y is not None
    exponent = min(x_exponent, y_exponent)
    steps.append(Step(x, y, x_exponent - exponent, y_exponent - exponent, negative != y_negative))
    return inputs + len(steps) - 1, exponent, negative


def _joined(shape: tuple[int, ...], spans: Sequence[tuple[int, int]], parts: Sequence[AdderGraph]) -> AdderGraph:
    """The graph of a matrix from the graphs of its blocks of rows: their outputs added, pair by pair."""
    if len(parts) == 1:
        return parts[0]
    inputs, columns = shape
    steps: list[Step] = []
    terms: list[list[tuple[int | None, int, bool]]] = [[] for _ in range(columns)]
    for (start, _), part in zip(spans, parts, strict=True):
        offset = inputs + len(steps) - part.inputs
        at = [start + k for k in range(part.inputs)] + [part.inputs + offset + i for i in range(len(part.steps))]
        steps += [replace(step, a=at[step.a], b=at[step.b]) for step in part.steps]
        for column, output in zip(terms, part.outputs, strict=True):
            if output.value is not None:
                column.append((at[output.value], output.shift, output.negative))
    for column in terms:
        while len(column) > 1:
            pairs = [_combined(steps, inputs, a, b) for a, b in zip(column[::2], column[1::2], strict=False)]
            column[:] = pairs + column[len(pairs) * 2 :]
    return AdderGraph(inputs, tuple(steps), tuple(Output(*(c[0] if c else (None, 0, False))) for c in terms))


def _without_negations(graph: AdderGraph) -> AdderGraph:
    """Negative outputs whose last step is a difference that nothing else uses: the difference the other way round."""
    uses = [0] * (graph.inputs + len(graph.steps))
    for step in graph.steps:
        uses[step.a] += 1
        uses[step.b] += 1
    for output in graph.outputs:
        if output.value is not None:
            uses[output.value] += 1
    steps, outputs = list(graph.steps), list(graph.outputs)
    for i, output in enumerate(outputs):
        if output.value is None or not output.negative or output.value < graph.inputs or uses[output.value] != 1:
            continue
        step = steps[output.value - graph.inputs]
        if step.subtract:
            steps[output.value - graph.inputs] = Step(step.b, step.a, step.b_shift, step.a_shift, True)
            outputs[i] = replace(output, negative=False)
    return AdderGraph(graph.inputs, tuple(steps), tuple(outputs))
