"""A fixed graph as kernel calls: what all printers of HLS C++ share.

Names are made collision-free by a prefix that says what they are, since node names are any identifiers: no prefix
begins with another one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from kbuild.dataclass import dataclass, replace
from kbuild.errors import UnsupportedModel
from kbuild.fixed import FixedType, Overflow, product_type
from kbuild.ir import Graph, Shape, Tensor

AXES = 4  # axes that backends/hls/broadcast.h loops over
SPATIAL_AXES = 3  # axes that the windows of backends/hls/window.h slide over


@dataclass(frozen=True)
class Array:
    """The values of a node, or intermediate ones of it, in row-major order."""

    name: str
    type_name: str
    type: FixedType
    size: int

    @property
    def limbs(self) -> int:
        """64-bit words of one value."""
        return limbs(self.type)


@dataclass(frozen=True)
class Constant:
    """Weights, a table or a scalar. `integer`: it is spelled as an integer type."""

    name: str
    tensor: Tensor
    integer: bool = False

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.tensor.data.size

    @property
    def type(self) -> FixedType:
        """Its fixed-point type."""
        return self.tensor.fixed()

    def spell(self) -> str:
        """Its C++ type."""
        return integer_type(self.type.width, self.type.signed) if self.integer else spell(self.type)


@dataclass(frozen=True)
class Config:
    """The compile-time parameters of one kernel call: a struct of integers and types, and of structs for its parts."""

    name: str
    integers: Mapping[str, int]
    types: Mapping[str, str]
    parts: tuple[Config, ...] = ()
    code: tuple[str, ...] = ()  # lines: functions that are made for these parameters

    def text(self) -> str:
        """The C++ struct."""
        lines = [f"    {line}" for part in self.parts for line in part.text().splitlines()]
        lines += [f"    static const int {name} = {value};" for name, value in self.integers.items()]
        lines += [f"    typedef {spelled} {name};" for name, spelled in self.types.items()]
        lines += [f"    {line}" for line in self.code]
        return "\n".join([f"struct {self.name} {{", *lines, "};"])


@dataclass(frozen=True)
class Call:
    """`kernel<config>(inputs..., output, further outputs..., constants...)`; without a kernel `config::run(...)`, a
    function among the code of the configuration."""

    kernel: str | None
    config: Config
    inputs: tuple[str, ...]
    output: str
    constants: tuple[str, ...] = ()
    further: tuple[str, ...] = ()

    def text(self, values: str = "", constants: str = "") -> str:
        """The statement, with what stands before the name of a value and of a constant."""
        names = [values + name for name in (*self.inputs, self.output, *self.further)]
        names += [constants + name for name in self.constants]
        called = f"{self.config.name}::run" if self.kernel is None else f"kbuild::{self.kernel}<{self.config.name}>"
        return f"{called}({', '.join(names)});"


@dataclass(frozen=True)
class Step:
    """What one node becomes: kernel calls in order, with the constants and intermediate arrays they use.

    `header` has the kernels, a file of `backends/hls/`; one that is not kbuild's own has its text in `source`. `side`:
    neighbours in an array that the kernels use in one cycle, which a memory must have side by side. `inside`
    are the steps of a graph that the node runs: their calls are in the code of its own.
    """

    header: str
    calls: tuple[Call, ...]
    constants: tuple[Constant, ...] = ()
    temporaries: tuple[Array, ...] = ()
    source: str | None = None
    side: int = 1
    inside: tuple[Step, ...] = ()


def everywhere(steps: Iterable[Step]) -> Iterator[Step]:
    """The steps, and those inside them."""
    for step in steps:
        yield from everywhere(step.inside)
        yield step


def includes(steps: Iterable[Step]) -> list[str]:
    """The lines that include the kernels of all steps."""
    return [f'#include "kernels/{header}"' for header in sorted({step.header for step in everywhere(steps)})]


def arrays(graph: Graph, steps: Iterable[Step]) -> list[Array]:
    """All values: those of the nodes in order, then the intermediate ones."""
    nodes = [Array(value_name(n.name), type_name(n.name), n.fixed(), elements(n.shape)) for n in graph]
    return nodes + [array for step in steps for array in step.temporaries]


def numbered(calls: Sequence[Call]) -> tuple[Call, ...]:
    """The calls with configurations of their own names."""
    if len(calls) == 1:
        return tuple(calls)
    return tuple(
        replace(call, config=replace(call.config, name=f"part_{i}_{call.config.name}"))
        for i, call in enumerate(calls, start=1)
    )


def limbs(of: FixedType) -> int:
    """64-bit words that hold one value."""
    return -(-of.width // 64)


def value_name(node: str) -> str:
    """Array of a node's values."""
    return f"layer_{node}"


def type_name(node: str) -> str:
    """Their C++ type."""
    return f"type_{node}"


def config_name(node: str) -> str:
    """Configuration of the node's kernel."""
    return f"config_{node}"


def spell(of: FixedType) -> str:
    """The C++ type."""
    return of.spell("ap")


def integer_type(width: int, signed: bool = True) -> str:
    """A C++ integer type."""
    return f"ap_int<{width}>" if signed else f"ap_uint<{width}>"


def unit_type(exponent: int) -> str:
    """The C++ type whose smallest positive value is 2**exponent."""
    return spell(FixedType(1, 1 + exponent, signed=False))


def scalar(value: int) -> Tensor:
    """An integer constant in the smallest type."""
    bits = max(value.bit_length() if value >= 0 else (-value - 1).bit_length(), 1)
    return Tensor(np.array([value], dtype=object), FixedType(bits + 1, bits + 1))


def as_product(a: FixedType, b: FixedType) -> FixedType:
    """The type that C++ gives to a product: its width is the sum of both widths."""
    exact = product_type(a, b)
    return FixedType(a.width + b.width, a.integer + b.integer, exact.signed or a.signed or b.signed)


def summand(product: FixedType, accum: FixedType) -> FixedType:
    """What a product is cast to before it is added: the accumulator's LSB, no overflow that addition would not do.

    A product that needs no rounding stays as it is; a wrapping accumulator may wrap each term as well, since that is
    modular; for a saturating one the term keeps all integer bits, and one more for rounding up.
    """
    if product.fraction <= accum.fraction:
        return product
    if accum.overflow is Overflow.WRAP:
        return accum
    integer = max(product.integer + 1, 2 - accum.fraction)
    return FixedType(integer + accum.fraction, integer, product.signed, accum.quantization)


def broadcast(shape: Shape, **operands: Shape) -> dict[str, int]:
    """Sizes and distances for `backends/hls/broadcast.h`: `size0..3`, and `<operand>0..3` for each operand.

    Axes along which every operand behaves alike are joined. Raises UnsupportedModel when more than four remain.
    """
    aligned = {name: (1,) * (len(shape) - len(s)) + s for name, s in operands.items()}
    sizes: list[int] = []
    stretched: list[tuple[bool, ...]] = []
    for axis, size in enumerate(shape):
        pattern = tuple(s[axis] == 1 for s in aligned.values())
        if size == 1:
            continue
        if stretched and stretched[-1] == pattern:
            sizes[-1] *= size
        else:
            sizes.append(size)
            stretched.append(pattern)
    if len(sizes) > AXES:
        raise UnsupportedModel(f"broadcasting {', '.join(map(str, operands.values()))} to {shape} needs more than "
                               f"{AXES} nested loops; reshape the inputs so that fewer axes alternate")
    pad = AXES - len(sizes)
    result = {f"size{i}": size for i, size in enumerate([1] * pad + sizes)}
    for index, name in enumerate(operands):
        own = [1 if pattern[index] else size for size, pattern in zip(sizes, stretched, strict=True)]
        strides = [0 if pattern[index] else math.prod(own[i + 1:]) for i, pattern in enumerate(stretched)]
        result |= {f"{name}{i}": stride for i, stride in enumerate([0] * pad + strides)}
    return result


def spatial(**values: Sequence[int]) -> dict[str, int]:
    """`<name>0..2` for the values along the axes that windows slide over; for axes that are not there 1, or `low` 0.

    Raises UnsupportedModel for more than three axes.
    """
    return _per_axis(SPATIAL_AXES, values)


def moved(**values: Sequence[int]) -> dict[str, int]:
    """`<name>0..3` for the values along the axes of an array; for axes that are not there 1, or `low` and `a` 0.

    Raises UnsupportedModel for more than four axes.
    """
    return _per_axis(AXES, values)


def _per_axis(axes: int, values: Mapping[str, Sequence[int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, given in values.items():
        if len(given) > axes:
            raise UnsupportedModel(f"its {name} has {len(given)} axes, and the HLS kernels loop over {axes}; join some "
                                   "of them by a Reshape before it")
        neutral = 0 if name in ("low", "a") else 1
        found |= {f"{name}{i}": n for i, n in enumerate([*[neutral] * (axes - len(given)), *given])}
    return found


def row_major(shape: Sequence[int]) -> tuple[int, ...]:
    """Distance between neighbours along each axis."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def elements(shape: Sequence[int]) -> int:
    """Number of elements of a shape."""
    return math.prod(shape)
