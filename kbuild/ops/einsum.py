"""`einsum`: sums of products of two values, or of a value and a constant, over any axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from kbuild.dataclass import dataclass, replace
from kbuild.fixed import FixedType, FloatArray, IntArray, Overflow, limit, product_type, quantize, shift_left, type_for
from kbuild.ir.op import Interval, OverflowCount, Shape
from kbuild.ir.tensor import Tensor
from kbuild.ops import exact
from kbuild.ops.accumulate import exact_sum_bounds, matmul
from kbuild.ops.casting import cast_into
from kbuild.ops.multipliers import OF_VALUES, STRATEGIES, Matrix, Multiplying

Array = NDArray[Any]


@dataclass(frozen=True)
class Einsum(Multiplying):
    """NumPy's `einsum` of two operands in which a letter stands for an axis, the batch axis not among them.

    equation: such as `bc,cd->bd`. The operands are the two inputs, or the input and `weight`. A letter stands once in
    an operand; one that is in both operands and not in the output is summed over; every other is in the output. Each
    product is brought to the LSB of the type `accum` by its quantization mode and added, letters that are summed over
    running in the order of the first operand, the last fastest; a wrapping accumulator wraps once at the end, another
    saturates after each addition. The bias, which broadcasts to the output, is added exactly; one cast to the result.
    """

    equation: str
    weight: Tensor | None = None
    bias: Tensor | None = None
    accum: FixedType | None = None
    strategy: str = "latency"
    reuse_factor: int = 1

    kind: ClassVar[str] = "einsum"
    arity: ClassVar[tuple[int, int | None]] = (1, 2)
    variables: ClassVar[tuple[str, ...]] = ("weight", "bias", "accum", "result")

    @property
    def letters(self) -> tuple[str, str, str]:
        """The axes of both operands and of the output."""
        operands, _, output = self.equation.partition("->")
        first, _, second = operands.partition(",")
        return first, second, output

    @property
    def parts(self) -> tuple[str, str, str, str]:
        """Letters of both and the output, of the first and the output, summed over, of the second and the output."""
        first, second, output = self.letters
        return (
            "".join(c for c in first if c in second and c in output),
            "".join(c for c in first if c not in second),
            "".join(c for c in first if c in second and c not in output),
            "".join(c for c in second if c not in first),
        )

    @property
    def strategies(self) -> tuple[str, ...]:
        return OF_VALUES if self.weight is None else STRATEGIES

    def reusing(self, strategy: str, *reuse: int) -> Einsum:
        return replace(self, strategy=strategy, reuse_factor=reuse[0])

    @property
    def constants(self) -> tuple[Tensor, ...]:
        return () if self.weight is None else (self.weight,)

    def matrices(self, shapes: Sequence[Shape], io_type: str) -> tuple[Matrix, ...]:
        shared, rows, terms, columns = self.extents(shapes)
        if self.weight is None:
            return (Matrix(terms, columns, copies=shared * rows, constant=False),)
        one_by_one = io_type == "io_stream" and self.of_one_row() is not None
        return (Matrix(terms, shared * columns, copies=1 if one_by_one else rows),)

    def extents(self, shapes: Sequence[Shape]) -> tuple[int, int, int, int]:
        """Elements along each of `parts`: as many products of rows x terms and terms x columns, and their sizes."""
        sizes = self._sizes(shapes)
        shared, rows, terms, columns = (math.prod(sizes[letter] for letter in part) for part in self.parts)
        return shared, rows, terms, columns

    def of_one_row(self) -> Einsum | None:
        """The operation that makes the inner axes of the result of those of the value, for each outer position alike.

        None where there is none: for two values, and where outer axes move or take part in the products.
        """
        (first, second, output), (shared, left, summed, _) = self.letters, self.parts
        inner = output[len(left) :]
        if self.weight is None or shared or first != left + summed or not output.startswith(left):
            return None
        bias = self.bias
        if bias is not None:
            outer = len(bias.shape) - min(len(bias.shape), len(inner))
            if any(n != 1 for n in bias.shape[:outer]):
                return None
            bias = Tensor(bias.data.reshape(bias.shape[outer:]), bias.type)
        return replace(self, equation=f"{summed},{second}->{inner}", bias=bias)

    def _shapes(self, shapes: Sequence[Shape]) -> tuple[Shape, Shape]:
        return (shapes[0], shapes[1]) if self.weight is None else (shapes[0], self.weight.shape)

    def verify(self, shapes: Sequence[Shape]) -> None:
        super().verify(shapes)
        if len(shapes) != (2 if self.weight is None else 1):
            raise ValueError(f"einsum has two operands, the weight among them, not {len(shapes)} inputs beside it")
        if self.strategy not in self.strategies:
            raise ValueError(f"no strategy of this einsum is called {self.strategy}")
        first, second, output = self.letters
        both = first + second
        if not all(word.isalpha() or not word for word in (first, second, output)):
            raise ValueError(f"the equation {self.equation} has something else than letters")
        if any(len(set(word)) < len(word) for word in (first, second, output)):
            raise ValueError(f"the equation {self.equation} names an axis twice")
        if not set(output) <= set(both) or not set(both) <= set(output) | (set(first) & set(second)):
            raise ValueError(f"the equation {self.equation} has a letter that is neither summed over nor kept")
        sizes: dict[str, int] = {}
        for word, shape in zip((first, second), self._shapes(shapes), strict=True):
            if len(word) != len(shape):
                raise ValueError(f"an operand of shape {shape} has not the axes {word or 'none'}")
            for letter, size in zip(word, shape, strict=True):
                if sizes.setdefault(letter, size) != size:
                    raise ValueError(f"the axis {letter} has {sizes[letter]} and {size} elements")
        shape = self.infer_shape(shapes)
        if self.bias is not None and np.broadcast_shapes(self.bias.shape, shape) != shape:
            raise ValueError(f"the bias of shape {self.bias.shape} does not broadcast to {shape}")

    def _sizes(self, shapes: Sequence[Shape]) -> dict[str, int]:
        first, second = self._shapes(shapes)
        return dict(zip(self.letters[0], first, strict=True)) | dict(zip(self.letters[1], second, strict=True))

    def infer_shape(self, shapes: Sequence[Shape]) -> Shape:
        sizes = self._sizes(shapes)
        return tuple(sizes[letter] for letter in self.letters[2])

    def _operands(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Matrices [B, shared, M, K] and [B, shared, K, N]; a constant has a batch of one."""
        shared, left, summed, right = self.parts
        found = []
        for value, word, rows, columns in (
            (x, self.letters[0], left, summed),
            (y, self.letters[1], summed, right),
        ):
            order = [0, *(word.index(letter) + 1 for letter in shared + rows + columns)]
            moved = value.transpose(order)
            bounds = (1, 1 + len(shared), 1 + len(shared) + len(rows), moved.ndim)
            sizes = [math.prod(moved.shape[a:b]) for a, b in pairwise(bounds)]
            found.append(moved.reshape(len(value), *sizes))
        return found[0], found[1]

    def _arranged(self, y: Array, shapes: Sequence[Shape]) -> Array:
        """A product [B, shared, M, N] with the axes of the output."""
        sizes, (shared, left, _, right) = self._sizes(shapes), self.parts
        word = shared + left + right
        split = y.reshape(len(y), *(sizes[letter] for letter in word))
        return split.transpose([0, *(word.index(letter) + 1 for letter in self.letters[2])])

    def _constant(self) -> Array | None:
        return None if self.weight is None else self.weight.data[np.newaxis]

    def terms(self, shapes: Sequence[Shape]) -> int:
        """The number of products in each sum."""
        return math.prod(self._sizes(shapes)[letter] for letter in self.parts[2])

    def sum_type(self, types: Sequence[FixedType], shapes: Sequence[Shape]) -> FixedType:
        """The exact type of the sum: what `auto` accum is."""
        terms = self.terms(shapes)
        if self.weight is None:
            product = product_type(types[0], types[1])
            return type_for(min(product.min * terms, 0), product.max * terms, product.fraction)
        _, weight = self._operands(np.zeros((1, *shapes[0]), np.int64), self.weight.data[np.newaxis])
        fraction = types[0].fraction + self.weight.fixed().fraction
        low, high = exact_sum_bounds(types[0], Tensor(weight, self.weight.type), None, fraction)
        return type_for(low, high, fraction)

    def made(self) -> FixedType:
        """The type of the accumulator, which must exist by now."""
        if self.accum is None:
            raise ValueError("the accumulator still has no fixed-point type")
        return self.accum

    def infer_type(self, types: Sequence[FixedType]) -> FixedType:
        if self.bias is None:
            return self.made()
        bias = self.bias.fixed()
        return exact.sum_of(self.made().plain(), type_for(*self.bias.bounds(), bias.fraction))

    def eval(
        self, inputs: Sequence[IntArray], types: Sequence[FixedType], result: FixedType, overflow: OverflowCount
    ) -> IntArray:
        constant, accum = self._constant(), self.made()
        a, b = self._operands(inputs[0], inputs[1] if constant is None else constant)
        second = types[1] if self.weight is None else self.weight.fixed()
        sums = _accumulated(a, b, types[0].fraction + second.fraction - accum.fraction, accum, overflow)
        y, fraction = self._arranged(sums, [x.shape[1:] for x in inputs]), accum.fraction
        if self.bias is not None:
            y, fraction = exact.add(y, fraction, self.bias.data, self.bias.fixed().fraction)
        return cast_into(y, fraction, result, overflow)

    def eval_float(self, inputs: Sequence[FloatArray]) -> FloatArray:
        second = inputs[1] if self.weight is None else self.weight.floats()[np.newaxis]
        a, b = self._operands(inputs[0], second)
        y = self._arranged(a @ b, [x.shape[1:] for x in inputs])
        return y if self.bias is None else y + self.bias.floats()

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        """By middles and radii: of a product of values within r and s of p and q, p q +- (|p| s + r |q| + r s)."""
        middles = [(x.low + x.high) / 2 for x in inputs]
        radii = [(x.high - x.low) / 2 for x in inputs]
        if self.weight is not None:
            middles.append(self.weight.floats())
            radii.append(np.zeros(self.weight.shape))
        p, q = self._operands(middles[0][np.newaxis], middles[1][np.newaxis])
        r, s = self._operands(radii[0][np.newaxis], radii[1][np.newaxis])
        shapes = [x.low.shape for x in inputs]
        middle = self._arranged(p @ q, shapes)[0]
        radius = self._arranged(np.abs(p) @ s + r @ np.abs(q) + r @ s, shapes)[0]
        middle = middle if self.bias is None else middle + self.bias.floats()
        return Interval(middle - radius, middle + radius)


def _accumulated(a: IntArray, b: IntArray, shift: int, accum: FixedType, overflow: OverflowCount) -> IntArray:
    """Sums of products of a [..., M, K] and b [..., K, N] in the type `accum`, whose LSB is `shift` bits up."""
    if shift <= 0 and accum.overflow is Overflow.WRAP:
        sums = shift_left(matmul(a, b), -shift)
        result = limit(sums, accum)
        overflow.add(inside=int(np.count_nonzero(result != sums)))
        return result
    saturating = accum.overflow is not Overflow.WRAP
    shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    sums, lost = np.zeros(shape, np.int64), np.zeros(shape, bool)
    for k in range(a.shape[-1]):
        product = exact.multiply(a[..., k, np.newaxis], b[..., k, np.newaxis, :])
        total, _ = exact.add(sums, 0, quantize(product, shift, accum.quantization), 0)
        sums = limit(total, accum) if saturating else total
        lost |= sums != total
    result = limit(sums, accum)
    overflow.add(inside=int(np.count_nonzero(lost | (result != sums))))
    return result
