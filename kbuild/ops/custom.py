"""Operations that are not kbuild's own: an op of one file, which brings its printers along.

The emitters ask an op that they do not know whether it `EmitsHls` and `EmitsVerilog`. All that such an op says is its
exact result; every engine casts it to the type of the node in the same way.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

from numpy.typing import NDArray

from kbuild.dataclass import dataclass, field
from kbuild.fixed import FixedType, IntArray
from kbuild.ir.op import Op, OverflowCount, Shape
from kbuild.ir.tensor import Tensor
from kbuild.ops.casting import cast_into


@dataclass(frozen=True)
class CustomOp(Op):
    """Base of a user's operation: `kind`, fields, `infer_shape`, `infer_type`, `exact`, `eval_float`, `interval`.

    Fields are numbers, booleans, texts, `FixedType`s, tuples of these and `Tensor`s, or None. A tensor is float64 when
    a handler makes the op; it becomes integers of the type that the recipe gives to the variable of the field's name,
    which the class lists in `variables` beside `result`, else of the best one.
    """

    own: ClassVar[bool] = False

    @abstractmethod
    def exact(self, inputs: Sequence[IntArray], types: Sequence[FixedType]) -> IntArray:
        """The result for integers of the input types, as integers with as many fraction bits as `infer_type` has.

        Arrays have the samples as their first axis. Integers are int64 where they fit, else Python's.
        """

    def eval(
        self, inputs: Sequence[IntArray], types: Sequence[FixedType], result: FixedType, overflow: OverflowCount
    ) -> IntArray:
        return cast_into(self.exact(inputs, types), self.infer_type(types).fraction, result, overflow)


@dataclass(frozen=True)
class HlsKernel:
    """A kernel in C++: `source` defines the function template `name`, in the namespace `kbuild`.

        template <typename CONFIG, typename X, typename Y>
        void name(const X x[CONFIG::elements], Y y[CONFIG::elements]) { ... }

    Its parameters are the inputs, the result, and the constants in their order, all arrays in row-major order; values
    are `ap_fixed`, whose arithmetic is exact until an assignment casts. CONFIG has `integers` as constants and `types`
    as types. `includes` are kernels of `backends/hls/` that the source uses.

    elementwise: element i of the result depends on element i of the only input, and all elements are treated alike.
    Streams then compute it packet by packet, with shapes of one packet; anything else waits for the whole value.
    """

    name: str
    source: str
    integers: Mapping[str, int] = field(default_factory=dict)
    types: Mapping[str, FixedType] = field(default_factory=dict)
    constants: Mapping[str, Tensor] = field(default_factory=dict)
    includes: tuple[str, ...] = ()
    elementwise: bool = False


@runtime_checkable
class EmitsHls(Protocol):
    """An op that is printed as HLS C++, for Vivado and Vitis and for the C simulation of any backend."""

    def hls(self, shapes: Sequence[Shape], types: Sequence[FixedType], shape: Shape) -> HlsKernel:
        """The kernel for inputs of these shapes and types and a result of `shape`; its constants have types by now."""
        ...


class Wire(Protocol):
    """An integer in a circuit, within bounds that are known."""

    @property
    def low(self) -> int:
        """The least value."""
        ...

    @property
    def high(self) -> int:
        """The largest value."""
        ...


W = TypeVar("W", bound=Wire)


class Circuit(Protocol[W]):
    """What an op makes its circuit with. Every wire is as wide as its bounds need; registers are put where the clock
    needs them.
    """

    def constant(self, value: int) -> W:
        """A number."""
        ...

    def add(self, a: W, b: W, a_shift: int = 0, b_shift: int = 0, subtract: bool = False) -> W:
        """`(a << a_shift) + (b << b_shift)`, or minus."""
        ...

    def multiply(self, a: W, b: W) -> W:
        """The product."""
        ...

    def floor(self, a: W, shift: int) -> W:
        """`a >> shift`, towards minus infinity; a negative shift multiplies."""
        ...

    def less(self, a: W, b: W) -> W:
        """1 where a < b, else 0."""
        ...

    def select(self, condition: W, a: W, b: W) -> W:
        """`a` where the condition is 1, else `b`."""
        ...

    def lookup(self, entries: Sequence[int], index: W) -> W:
        """The entry at an index within 0..len(entries) - 1."""
        ...


@runtime_checkable
class EmitsVerilog(Protocol):
    """An op that is printed as Verilog, too."""

    def verilog(
        self, circuit: Circuit[Any], inputs: Sequence[NDArray[Any]], types: Sequence[FixedType]
    ) -> NDArray[Any]:
        """The wires of the exact result, an array of its shape, from those of the inputs: as `exact`, of one sample."""
        ...
