"""Adder graphs from canonical signed digits, sharing pairs of terms.

The pair of terms that occurs most often over all columns becomes a value of its own, again and again (Hartley,
"Subexpression sharing in filters using canonic signed digit multipliers", IEEE TCAS-II 43(10), 1996). What is left of
each column is added as a balanced tree.
"""

from __future__ import annotations

import heapq
from collections import Counter

import numpy as np

from kbuild.emit.adders.adder_graph import AdderGraph, Output, Step
from kbuild.fixed import IntArray

SHARING_DIGITS = 4_000  # beyond, columns share only the multiples of single inputs: the search grows as the square

Term = tuple[int, int, bool]  # a value, its shift, whether it is subtracted
Pair = tuple[int, int, int, bool]  # two values, the second one's shift relative to the first, opposite signs


def count(matrix: IntArray) -> int:
    """Number of non-zero canonical signed digits: an upper bound of the adders of a graph."""
    magnitude: IntArray = np.abs(matrix)
    ones = (3 * magnitude) ^ magnitude
    if ones.dtype == object:
        return sum(bin(int(v)).count("1") for v in ones.ravel())
    return int(np.unpackbits(np.ascontiguousarray(ones).view(np.uint8)).sum())


def digits_of(value: int) -> list[tuple[int, bool]]:
    """Canonical signed digits: position and whether negative, no two adjacent (Reitwiesner, 1960)."""
    found, at = [], 0
    while value:
        if value & 1:
            negative = value & 3 == 3
            found.append((at, negative))
            value += 1 if negative else -1
        value >>= 1
        at += 1
    return found


def solve(matrix: IntArray) -> AdderGraph:
    """A graph for `y = x @ matrix`."""
    inputs, columns = matrix.shape
    terms: list[set[Term]] = [
        {(k, at, negative) for k in range(inputs) for at, negative in digits_of(int(matrix[k, n]))}
        for n in range(columns)
    ]
    steps: list[Step] = []
    search = _Search(terms, across=count(matrix) <= SHARING_DIGITS)
    while (pair := search.best()) is not None:
        first, second, distance, opposite = pair
        a_shift, b_shift = max(-distance, 0), max(distance, 0)
        steps.append(Step(first, second, a_shift, b_shift, opposite))
        search.replace(pair, inputs + len(steps) - 1)
    depths = [0] * inputs
    for step in steps:
        depths.append(1 + max(depths[step.a], depths[step.b]))
    outputs = [_tree(sorted(column), steps, depths) for column in terms]
    return AdderGraph(inputs, tuple(steps), tuple(outputs))


def _pair(a: Term, b: Term) -> Pair:
    if (b[0], b[1]) < (a[0], a[1]):
        a, b = b, a
    return a[0], b[0], b[1] - a[1], a[2] != b[2]


class _Search:
    """How often each pair of terms occurs; `terms` is changed in place as pairs become values."""

    def __init__(self, terms: list[set[Term]], across: bool) -> None:
        self.terms = terms
        self.across = across  # pairs of different inputs too
        self.counts: Counter[Pair] = Counter()
        for column in terms:
            self.counts.update(
                _pair(a, b) for a in column for b in column if a < b and (across or a[0] == b[0])
            )
        self.heap = [(-n, pair) for pair, n in self.counts.items() if n > 1]
        heapq.heapify(self.heap)

    def best(self) -> Pair | None:
        """The most frequent pair that occurs at least twice; of equals the first in order."""
        while self.heap:
            negated, pair = heapq.heappop(self.heap)
            now = self.counts[pair]
            if now == -negated:
                return pair
            if now > 1:
                heapq.heappush(self.heap, (-now, pair))
        return None

    def replace(self, pair: Pair, value: int) -> None:
        """Use `value` for every occurrence of the pair."""
        first, second, distance, opposite = pair
        for column in self.terms:
            for a in sorted(t for t in column if t[0] == first):
                b = (second, a[1] + distance, a[2] ^ opposite)
                if a in column and b in column and a != b:
                    self._change(column, a, -1)
                    self._change(column, b, -1)
                    self._change(column, (value, min(a[1], b[1]), a[2]), 1)
        self.counts[pair] = 0

    def _change(self, column: set[Term], term: Term, by: int) -> None:
        if by < 0:
            column.remove(term)
        for other in column:
            if self.across or other[0] == term[0]:
                pair = _pair(term, other)
                self.counts[pair] += by
                if by > 0 and self.counts[pair] > 1:
                    heapq.heappush(self.heap, (-self.counts[pair], pair))
        if by > 0:
            column.add(term)


def _tree(column: list[Term], steps: list[Step], depths: list[int]) -> Output:
    """The terms added, the earliest first."""
    queue = [(depths[value], i, value, shift, negative) for i, (value, shift, negative) in enumerate(column)]
    heapq.heapify(queue)
    if not queue:
        return Output(None)
    order = len(queue)
    while len(queue) > 1:
        a, b = heapq.heappop(queue), heapq.heappop(queue)
        if a[4] and not b[4]:
            a, b = b, a
        shift = min(a[3], b[3])
        steps.append(Step(a[2], b[2], a[3] - shift, b[3] - shift, a[4] != b[4]))
        depths.append(1 + max(a[0], b[0]))
        order += 1
        heapq.heappush(queue, (depths[-1], order, len(depths) - 1, shift, a[4]))
    _, _, value, shift, negative = queue[0]
    return Output(value, shift, negative)
