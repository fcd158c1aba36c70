"""A quantizer as a function of values: chains of operations, for a value of the graph and for weights alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from kbuild.fixed import FixedType, FloatArray
from kbuild.frontend.keras.handler import LayerCall
from kbuild.frontend.keras.quantizers.exact import exact_tensor
from kbuild.ir import Node, Op, Tensor
from kbuild.ops.affine import Affine
from kbuild.ops.merge import Merge
from kbuild.ops.quantize import Quantize
from kbuild.ops.relu import Relu
from kbuild.ops.step import Step

Part = Callable[[int], Op]  # the operation for values of a rank
_ONE = np.ones(())


@dataclass(frozen=True)
class Function:
    """The sum of one or two chains of operations, times `scale`: one number, or one for each element of the last axis.

    Every constant in it is exact.
    """

    paths: tuple[tuple[Part, ...], ...]
    scale: FloatArray = field(default_factory=lambda: _ONE)

    def of(self, values: FloatArray) -> FloatArray:
        """The function of the values."""
        return self.unscaled(values) * self.scale

    def unscaled(self, x: FloatArray) -> FloatArray:
        """The function of the values, without the scale."""
        total = np.zeros(x.shape)
        for path in self.paths:
            value = np.asarray(x, dtype=np.float64)[np.newaxis]
            for part in path:
                value = part(x.ndim).eval_float([value])
            total = total + value[0]
        return total

    def add(self, call: LayerCall, source: Node) -> Node:
        """Nodes of the call's layer that compute the function of a value."""
        rank = len(source.shape)
        ends = []
        for path in self.paths:
            node = source
            for part in path:
                node = call.add(part(rank), node)
            ends.append(node)
        node = ends[0] if len(ends) == 1 else call.add(Merge("add"), *ends)
        if (self.scale == 1).all():
            return node
        if self.scale.ndim > 1 or self.scale.size not in (1, source.shape[-1]):
            raise call.error(f"its alpha of shape {self.scale.shape} does not fit values of shape {source.shape}")
        return call.add(line(self.scale, 0.0)(rank), node)


def line(scale: FloatArray | float, shift: FloatArray | float) -> Part:
    """`x * scale + shift`; each one number, or one for each element of the last axis."""

    def tensor(values: FloatArray | float, rank: int) -> Tensor:
        flat = np.asarray(values, dtype=np.float64).reshape(-1)
        return exact_tensor(flat.reshape(*(1,) * (rank - 1), -1))

    return lambda rank: Affine(tensor(scale, rank), tensor(shift, rank))


def clip_above(top: float | None, slope: float | None = None) -> Part:
    """`min(x, top)` above zero, `slope * x` below; without a slope 0 there, without a top no limit."""

    def made(rank: int) -> Op:
        limit = None if top is None else exact_tensor(np.float64(top))
        return Relu(None if slope is None else exact_tensor(np.full((1,) * rank, slope)), None, limit)

    return made


def cast(of: FixedType) -> Part:
    """Rounding and overflow of a type."""
    return lambda rank: Quantize((of,))


def steps(thresholds: Sequence[float], values: Sequence[float]) -> Part:
    """`values[number of thresholds t with x >= t]`; the thresholds rise."""
    bounds, levels = Tensor(np.array(thresholds, dtype=np.float64)), exact_tensor(np.array(values, dtype=np.float64))
    return lambda rank: Step(bounds, levels)


def above(threshold: float) -> float:
    """The threshold t with x >= t where x > `threshold`."""
    return float(np.nextafter(threshold, np.inf))
