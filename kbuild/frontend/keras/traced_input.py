"""A symbol of da4ml for an element of an input, which remembers how it is quantized. Imports da4ml."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from da4ml.trace.fixed_variable import FixedVariable, FixedVariableInput

from kbuild.dataclass import dataclass, field


class Entry(NamedTuple):
    """What an element of an input is cast to; integer bits without the sign."""

    signed: int
    integer: int
    fraction: int
    saturate: int

    @property
    def width(self) -> int:
        """All bits; 0 for an element that is not read."""
        return max(self.signed + self.integer + self.fraction, 0)


@dataclass
class Requests:
    """The quantizers of an element, as (signed, integer, fraction) with bits to round, and their overflow modes."""

    types: list[tuple[int, int, int]] = field(default_factory=list)
    modes: set[str] = field(default_factory=set)

    def entry(self) -> Entry:
        """The type from which every quantizer makes what it makes of the element itself.

        Truncated to the finest LSB; wrapped to the widest, or saturated beyond it, which does not change what wraps or
        saturates to less. Raises ValueError where some quantizers wrap and some saturate.
        """
        if not self.types:
            return Entry(0, 0, 0, 0)
        saturate = int("WRAP" not in self.modes)
        if not saturate and len(self.modes) > 1:
            raise ValueError("an input is quantized both by a quantizer that wraps and by one that saturates")
        signed = 1 if saturate else max(k for k, _, _ in self.types)
        integer = max(i for _, i, _ in self.types) + saturate
        return Entry(signed, integer, max(f for _, _, f in self.types), saturate)


class Recorded(FixedVariableInput):  # type: ignore[misc]
    """An element whose type is not known."""

    def __init__(self, hardware: Any) -> None:
        super().__init__(0.0, hardware)
        self.requests = Requests()

    def quantize(
        self, k: int | bool, i: int, f: int, overflow_mode: str = "WRAP", round_mode: str = "TRN", *_: Any, **__: Any
    ) -> Any:
        """A value of the type."""
        k, i, f = int(k), int(i), int(f)
        if k + i + f <= 0:
            return FixedVariable(0, 0, 1, hwconf=self.hwconf, opr="const")
        self.requests.types.append((k, i, f + (round_mode.upper() != "TRN")))
        self.requests.modes.add(overflow_mode.upper())
        step, end = Decimal(2) ** -f, Decimal(2) ** i
        return FixedVariable(-end * k, end - step, step, _from=(self,), _factor=self._factor, opr="wrap",
                             latency=self.latency, hwconf=self.hwconf)  # fmt: skip
