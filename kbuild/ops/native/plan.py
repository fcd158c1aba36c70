"""What a compiled kernel is told: operands as they lie in memory, and the proof that its integers never wrap."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kbuild.dataclass import dataclass, replace
from kbuild.fixed import INT64_BITS, FixedType, IntArray, Overflow, Quantization, contains, quantize
from kbuild.ops.accumulate import reach
from kbuild.ops.compiled import Sums
from kbuild.ops.native.segments import Digit, digits
from kbuild.ops.native.windows import Windows

ROWS, COLUMNS, CHANNELS = "kbuild_rows", "kbuild_columns", "kbuild_channels"
_OPERAND_BITS, _WEIGHT_BITS = 16, 31
_LANES = 8  # a vector has this many, or a multiple
_MOST_PACKED = 1 << 28  # elements of a sample, whose places are 32-bit numbers
_NO_LIMIT, _WRAP, _SAT, _SAT_ZERO = range(4)


def _integers(*names: str) -> list[tuple[str, Any]]:
    return [(name, ctypes.c_int64) for name in names]


class _Segment(ctypes.Structure):
    _fields_ = _integers("begin", "end", "lanes", "rows", "kind", "shift")


class _Rounding(ctypes.Structure):
    _fields_ = _integers("shift", "added", "sign", "mask")


class _Limit(ctypes.Structure):
    _fields_ = _integers("overflow", "low", "high", "floor")


class _Plan(ctypes.Structure):
    _fields_ = [
        *_integers("segment_count"),
        *((name, ctypes.c_void_p) for name in ("segments", "taps", "weights", "start")),
        *_integers("outputs", "lanes", "groups", "group_inputs", "group_weights"),
        *_integers("low", "high", "centre", "inputs", "packed", "repeat", "run_count"),
        ("runs", ctypes.c_void_p),
        *_integers("positions"),
        ("base", ctypes.c_void_p),
        ("product", _Rounding),
        ("cast", _Rounding),
        ("accum", _Limit),
        ("result", _Limit),
    ]


@dataclass(frozen=True)
class Plan:
    """A call of a kernel without its arrays: `inputs` elements of a sample, `outputs` of it or of a column."""

    kernel: str
    structure: _Plan
    memory: tuple[object, ...]  # that the structure points into
    inputs: int
    outputs: int


@dataclass(frozen=True)
class _Proof:
    """How sums are made of 64-bit integers that do not wrap, for any inputs of their type.

    What is taken from inputs to make them 16 bits; where sums start, products shifted left by `up` bits; how each
    product is rounded; the type of the accumulator where a sum might leave it; how sums are cast.
    """

    centre: int
    start: IntArray
    up: int
    product: _Rounding
    accum: FixedType | None
    cast: _Rounding
    digits: list[Digit]


def rows_plan(of: Sums, windows: Windows) -> Plan | None:
    """For inputs [samples, elements]; None where the kernel cannot compute that."""
    proof = _prove(of, windows, halves=True)
    if proof is None:
        return None
    outputs = of.weight.shape[-1] // of.groups
    lanes = _filled(outputs)
    weights = np.zeros((of.groups, len(proof.digits), len(windows.taps), lanes, windows.terms.shape[1]), np.int16)
    for number, digit in enumerate(proof.digits):
        split = digit.weights.reshape(*digit.weights.shape[:2], of.groups, outputs)
        weights[:, number, :, :outputs] = split.transpose(2, 0, 3, 1)
    start = np.zeros((of.groups, lanes), np.int64)
    start[:, :outputs] = proof.start.reshape(of.groups, outputs)
    segments = _segments(proof, weights[0, 0].size, weights[0, 0, 0].size)
    return _plan(ROWS, of, proof, windows, segments, weights, start)


def channels_plan(of: Sums, windows: Windows) -> Plan | None:
    """The same for windows in which each output has a channel of its own."""
    proof = _prove(of, windows, halves=False)
    if proof is None:
        return None
    outputs = of.weight.shape[-1]
    weights = np.zeros((1, len(proof.digits), len(windows.taps), _filled(outputs), 1), np.int16)
    for number, digit in enumerate(proof.digits):
        weights[0, number, :, :outputs, 0] = digit.weights[:, 0]
    start = np.zeros((1, weights.shape[3]), np.int64)
    start[0, :outputs] = proof.start
    segments = _segments(proof, weights[0, 0].size, weights.shape[3])
    return _plan(CHANNELS, replace(of, groups=1), proof, windows, segments, weights, start)


def columns_plan(of: Sums, windows: Windows) -> Plan | None:
    """The same for inputs [..., elements, samples], all of which are one window."""
    proof = _prove(of, windows, halves=True)
    if proof is None:
        return None
    weights = np.stack([digit.weights.transpose(2, 0, 1) for digit in proof.digits]).astype(np.int16)
    segments = _segments(proof, weights[0].size, 0, rows=True)
    return _plan(COLUMNS, of, proof, windows, segments, weights, proof.start)


def _filled(outputs: int) -> int:
    return -(-outputs // _LANES) * _LANES


def _segments(proof: _Proof, digit_size: int, tap_size: int, rows: bool = False) -> list[_Segment]:
    """Of all digits, one after the other in memory: in the lanes' operands or in the rows'."""
    found = []
    for number, digit in enumerate(proof.digits):
        for begin, end in digit.segments() or ():
            at = (0, number * digit_size) if rows else (number * digit_size + begin * tap_size, 0)
            found.append(_Segment(begin, end, *at, digit.kind, digit.shift + proof.up))
    return found


def _prove(of: Sums, windows: Windows, halves: bool) -> _Proof | None:
    """`halves`: whether the kernel rounds products in 16-bit halves. None where its integers might wrap."""
    drop = of.x.fraction + of.weight.fixed().fraction - of.accum.fraction
    lost, up = max(drop, 0), max(-drop, 0)
    if of.x.width > _OPERAND_BITS or of.weight.bits > _WEIGHT_BITS or of.result.width > INT64_BITS:
        return None
    if windows.packed > _MOST_PACKED or max(lost, up) > INT64_BITS:
        return None
    centre = 0 if of.x.max < 1 << _OPERAND_BITS - 1 else 1 << _OPERAND_BITS - 1
    start = np.zeros(of.weight.shape[-1], np.int64)
    if of.bias is not None:
        start = quantize(of.bias.data, of.bias.fixed().fraction - of.accum.fraction, of.accum.quantization)
    found = reach(of.x, of.weight, start, of.accum, lost)
    if found is None or (centre and lost):
        return None
    largest, fits = found
    down = of.accum.fraction - of.result.fraction
    centred = centre * int(np.abs(of.weight.data).sum(axis=0).max()) << up
    if max(largest + centred, 1 << max(down, 0)).bit_length() + max(-down, 0) >= INT64_BITS:
        return None
    filled = np.concatenate([of.weight.data, np.zeros((1, of.weight.shape[-1]), np.int64)])
    most = max(-of.x.min - centre, of.x.max - centre, centre)
    cut = digits(filled[windows.terms], most, lost, of.accum.quantization, halves)
    if cut is None:
        return None
    return _Proof(
        centre, start + (centre * of.weight.data.sum(axis=0) << up), up, _rounding(lost, of.accum.quantization, 31),
        None if fits else of.accum, _rounding(down, of.result.quantization, 63), cut,
    )  # fmt: skip


def _rounding(shift: int, mode: Quantization, sign: int) -> _Rounding:
    """`sign`: by how many bits a number is shifted to leave 0 or -1."""
    if shift <= 0:
        return _Rounding(shift, 0, sign, 0)
    half = 1 << shift - 1
    return {
        Quantization.TRN: _Rounding(shift, 0, sign, 0),
        Quantization.TRN_ZERO: _Rounding(shift, 0, sign, 2 * half - 1),
        Quantization.RND: _Rounding(shift, half, sign, 0),
        Quantization.RND_ZERO: _Rounding(shift, half - 1, sign, 1),
        Quantization.RND_INF: _Rounding(shift, half, sign, -1),
        Quantization.RND_MIN_INF: _Rounding(shift, half - 1, sign, 0),
        Quantization.RND_CONV: _Rounding(shift, half - 1, shift, 1),
    }[mode]


def _limit(to: FixedType | None, of: FixedType | None = None) -> _Limit:
    """Of integers of any type, or of the type `of`."""
    if to is None or (of is not None and of.fraction == to.fraction and contains(to, of)):
        return _Limit(_NO_LIMIT, 0, 0, 0)
    mode = {Overflow.WRAP: _WRAP, Overflow.SAT_ZERO: _SAT_ZERO}.get(to.overflow, _SAT)
    return _Limit(mode, to.min, to.max, to.floor)


def _plan(
    kernel: str, of: Sums, proof: _Proof, windows: Windows, segments: list[_Segment], weights: NDArray[Any],
    start: IntArray,
) -> Plan:  # fmt: skip
    outputs = of.weight.shape[-1] // of.groups
    base = np.arange(outputs) * weights[0, 0].size if kernel == COLUMNS else windows.base  # a row has one output
    kept = (
        (_Segment * len(segments))(*segments),
        windows.taps.astype(np.int32), np.ascontiguousarray(weights), np.ascontiguousarray(start, np.int64),
        np.ascontiguousarray(windows.runs, np.int64), base.astype(np.int32),
    )  # fmt: skip
    held, taps, w, first, runs, at = kept
    structure = _Plan(
        len(segments), ctypes.addressof(held), taps.ctypes.data, w.ctypes.data, first.ctypes.data,
        outputs, start.shape[-1], of.groups, windows.group_step, weights[0].size,
        of.x.min, of.x.max, proof.centre, windows.inputs, windows.packed, windows.repeat, len(runs), runs.ctypes.data,
        len(windows.base), at.ctypes.data,
        proof.product, proof.cast, _limit(proof.accum), _limit(of.result, of.accum),
    )  # fmt: skip
    return Plan(kernel, structure, kept, windows.inputs, len(windows.base) * outputs * of.groups)
