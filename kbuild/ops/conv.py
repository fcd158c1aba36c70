"""`conv`: convolution over any number of spatial axes, in groups, strided, dilated or transposed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from kbuild.dataclass import dataclass
from kbuild.fixed import INT64_BITS, FixedType, FloatArray, IntArray
from kbuild.ir.op import Evaluation, Interval, OverflowCount, Shape
from kbuild.ir.tensor import Tensor
from kbuild.ops.accumulate import accumulate
from kbuild.ops.casting import cast_into
from kbuild.ops.compiled import Compiled, Sums
from kbuild.ops.contraction import Contraction
from kbuild.ops.floatconv import FloatConv
from kbuild.ops.floatsums import float_sums
from kbuild.ops.multipliers import Matrix, Multiplying, StoredWindow
from kbuild.ops.windows import (
    BLOCK,
    REGISTERS,
    Array,
    Pairs,
    Window,
    at_least,
    blocks,
    per_axis,
    positions,
    spread,
    windows,
)

if TYPE_CHECKING:
    from kbuild.ops.native.kernels import Kernels


@dataclass(frozen=True, kw_only=True)
class Conv(Contraction, Compiled):
    """The general convolution (XLA's ConvGeneralDilated) of channels-last values.

    weight: [*kernel, Cin / groups, Cout]; input [*spatial, Cin]; output [*positions, Cout]. The input gets
    `input_dilation - 1` zeros between its elements and `padding` (low, high) zeros around, per spatial axis; then

        y[p, o] = sum_k sum_c x[p * strides + k * dilation, group(o) * Cin / groups + c] * weight[k, c, o] + bias[o]

    with o in group o // (Cout / groups). Padding adds products that are zero. The order of accumulation is that of
    (kernel position, channel), the last running fastest. A depthwise convolution has groups = Cin; a transposed one
    with strides s has input_dilation = s and the mirrored kernel. The parallelization factor, how many positions are
    computed at once, divides the number of positions. `encoded`: a streamed convolution keeps its window in a FIFO for
    each place of the kernel instead of line buffers. Neither changes the result.
    """

    strides: tuple[int, ...]
    padding: Pairs
    dilation: tuple[int, ...]
    input_dilation: tuple[int, ...]
    groups: int = 1
    parallelization_factor: int = 1
    encoded: bool = False

    kind: ClassVar[str] = "conv"
    settings: ClassVar[tuple[str, ...]] = (*Multiplying.settings, "ParallelizationFactor", "ConvImplementation")

    def matrices(self, shapes: Sequence[Shape], io_type: str) -> tuple[Matrix, ...]:
        window = self.terms * self.groups
        if io_type == "io_stream" and window > REGISTERS and self.parallelization_factor == 1 and not self.encoded:
            stored = StoredWindow(*self.matrix_shape, window=window, groups=self.groups,
                                  group_channels=self.weight.shape[-2])  # fmt: skip
            return (stored,)
        return (Matrix(*self.matrix_shape, window=window, places=self.parallelization_factor),)

    @property
    def kernel(self) -> tuple[int, ...]:
        """Size of the kernel along the spatial axes."""
        return self.weight.shape[:-2]

    @property
    def window(self) -> Window:
        """What decides which inputs each sum has."""
        return Window(self.kernel, self.strides, self.padding, self.dilation, self.input_dilation, self.groups)

    def verify(self, shapes: Sequence[Shape]) -> None:
        super().verify(shapes)
        rank = len(self.kernel)
        if rank < 1:
            raise ValueError(f"the weight has shape {self.weight.shape}, without a spatial axis")
        for name, values in (
            ("strides", self.strides),
            ("dilation", self.dilation),
            ("input_dilation", self.input_dilation),
        ):
            per_axis(name, values, rank)
            at_least(name, values, 1)
        per_axis("padding", self.padding, rank)
        at_least("padding", [n for pair in self.padding for n in pair], 0)
        channels = self.weight.shape[-2] * self.groups
        if self.groups < 1 or self.outputs % self.groups:
            raise ValueError(f"{self.outputs} output channels are not {self.groups} equal groups")
        if len(shapes[0]) != rank + 1 or shapes[0][-1] != channels:
            raise ValueError(f"the input has shape {shapes[0]}, not {rank} spatial axes and {channels} channels")
        shape = self.infer_shape(shapes)
        if min(shape) < 1:
            raise ValueError(f"the kernel {self.kernel} is larger than the input {shapes[0][:-1]} with its padding")
        if math.prod(shape[:-1]) % self.parallelization_factor:
            raise ValueError(f"{self.parallelization_factor} does not divide the positions of {shape}")

    def infer_shape(self, shapes: Sequence[Shape]) -> Shape:
        spread_out = [(n - 1) * f + 1 for n, f in zip(shapes[0][:-1], self.input_dilation, strict=True)]
        axes = zip(spread_out, self.kernel, self.strides, self.padding, self.dilation, strict=True)
        return (*(positions(*axis) for axis in axes), self.outputs)

    def summed(self) -> tuple[Tensor, ...]:
        """With zeros between the inputs, only every `input_dilation`-th element of the window is one of them."""
        found = []
        axes = list(zip(self.kernel, self.dilation, self.input_dilation, strict=True))
        for phase in product(*(sorted({k * d % f for k in range(n)}) for n, d, f in axes)):
            met = [[k for k in range(n) if k * d % f == p] for (n, d, f), p in zip(axes, phase, strict=True)]
            part = self.weight.data[np.ix_(*met)]
            found.append(Tensor(part.reshape(-1, self.outputs), self.weight.type))
        return tuple(found)

    def _grouped(self, values: Array) -> Array:
        """Weights as [groups, K, N / groups], or a bias as [groups, N / groups]."""
        if values.ndim == 1:
            return values.reshape(self.groups, -1)
        return np.moveaxis(values.reshape(self.terms, self.groups, -1), 1, 0)

    def _columns(self, view: Array) -> Array:
        """Windows [B, *positions, *kernel, Cin] laid out as [groups, B * positions, K]."""
        rank = len(self.kernel)
        if self.groups == 1:
            return view.reshape(1, -1, self.terms)
        split = view.reshape(*view.shape[:-1], self.groups, -1)
        axes = (2 * rank + 1, *range(2 * rank + 1), 2 * rank + 2)
        return split.transpose(axes).reshape(self.groups, -1, self.terms)

    def _windows(self, x: Array) -> Array:
        padded = spread(x, self.padding, self.input_dilation)
        return windows(padded, self.kernel, self.strides, self.dilation)

    def eval(
        self, inputs: Sequence[IntArray], types: Sequence[FixedType], result: FixedType, overflow: OverflowCount
    ) -> IntArray:
        return self.prepared(types, result)(inputs, overflow)

    def prepared(self, types: Sequence[FixedType], result: FixedType) -> Evaluation:
        accum = self.infer_type(types)
        floats = float_sums(types[0], self.matrix, self.bias, accum, result, self.groups)
        if floats is None or result.width > INT64_BITS:
            return partial(self._unfolded, types[0], result)
        by_blas = FloatConv(floats, self.window)
        return lambda inputs, overflow: by_blas.evaluate(inputs[0], self.infer_shape([inputs[0].shape[1:]]), overflow)

    def compiled(
        self, shapes: Sequence[Shape], types: Sequence[FixedType], result: FixedType, kernels: Kernels
    ) -> Evaluation | None:
        sums = Sums(types[0], self.matrix, self.bias, self.infer_type(types), result, self.groups)
        convolve, shape = kernels.convolution(sums, self.window, shapes[0]), self.infer_shape(shapes)
        if convolve is None:
            return None
        return lambda inputs, overflow: convolve(inputs[0], overflow).reshape(-1, *shape)

    def products(self, shapes: Sequence[Shape]) -> int:
        return math.prod(self.infer_shape(shapes)) * self.terms

    def _unfolded(
        self, of: FixedType, result: FixedType, inputs: Sequence[IntArray], overflow: OverflowCount
    ) -> IntArray:
        accum = self.infer_type([of])
        weight = Tensor(self._grouped(self.weight.data), self.weight.type)
        bias = None if self.bias is None else Tensor(self._grouped(self.bias.data), self.bias.type)
        view = self._windows(inputs[0])
        parts = []
        for samples, row_blocks in blocks(view.shape, BLOCK):
            inner = []
            for rows in row_blocks:
                part = view[samples, rows]
                sums = accumulate(self._columns(part), of, weight, bias, accum, overflow)
                y = cast_into(sums, accum.fraction, result, overflow)
                inner.append(np.moveaxis(y, 0, 1).reshape(*part.shape[: len(self.kernel) + 1], self.outputs))
            parts.append(inner[0] if len(inner) == 1 else np.concatenate(inner, axis=1))
        if not parts:
            return np.zeros((0, *view.shape[1 : len(self.kernel) + 1], self.outputs), np.int64)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _real(self, x: FloatArray, weight: FloatArray) -> FloatArray:
        """The convolution in float64, without the bias."""
        view = self._windows(x)
        grouped = self._grouped(weight)
        y = np.empty((*view.shape[: len(self.kernel) + 1], self.outputs))
        for samples, row_blocks in blocks(view.shape, BLOCK):
            for rows in row_blocks:
                part = y[samples, rows]
                sums = self._columns(view[samples, rows]) @ grouped
                part[...] = np.moveaxis(sums, 0, 1).reshape(part.shape)
        return y

    def eval_float(self, inputs: Sequence[FloatArray]) -> FloatArray:
        y = self._real(inputs[0], self.weight.floats())
        return y if self.bias is None else y + self.bias.floats()

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        weight = self.weight.floats()
        low, high = inputs[0].low[np.newaxis], inputs[0].high[np.newaxis]
        positive, negative = np.maximum(weight, 0), np.minimum(weight, 0)
        bias = 0.0 if self.bias is None else self.bias.floats()
        least = self._real(low, positive) + self._real(high, negative) + bias
        return Interval(least[0], (self._real(high, positive) + self._real(low, negative) + bias)[0])
