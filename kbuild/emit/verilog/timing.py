"""How long logic takes: what decides where pipeline registers stand.

The figures are typical delays of each family including an average route: enough to place registers, not a promise of a
clock. Place and route has the last word, and its report says what was reached.
"""

from __future__ import annotations

from kbuild.dataclass import dataclass


@dataclass(frozen=True)
class Delays:
    """Delays of one FPGA family in picoseconds."""

    register: int  # clock to output, and setup
    adder: int  # a carry chain of one bit, with the route to it
    carry: int  # each further bit of it
    lut: int  # one level of look-up tables, with the route to it

    def add(self, width: int) -> int:
        """An adder or a comparison of `width` bits."""
        return self.adder + self.carry * width

    def logic(self, bits: int) -> int:
        """A function of `bits` bits as a tree of four-input tables."""
        levels, covered = 1, 4
        while covered < bits:
            levels, covered = levels + 1, covered * 4
        return self.lut * levels


# By the beginning of the part's name: Lattice FPGA-DS-02012 (ECP5), FPGA-DS-02029 and -02008 (iCE40 LP/HX,
# UltraPlus), AMD DS923 (UltraScale+).
FAMILIES = (
    ("LFE5", Delays(register=600, adder=1500, carry=35, lut=900)),
    ("iCE40UP", Delays(register=1900, adder=3300, carry=280, lut=2300)),
    ("iCE40", Delays(register=900, adder=1600, carry=130, lut=1200)),
    ("xc", Delays(register=250, adder=550, carry=8, lut=400)),
)
OTHER = Delays(register=500, adder=1200, carry=30, lut=800)


def delays_of(part: str) -> Delays:
    """The delays of a part; those of a middling FPGA for a part of no known family."""
    return next((delays for start, delays in FAMILIES if part.lower().startswith(start.lower())), OTHER)


@dataclass(frozen=True)
class Clock:
    """What one cycle has room for: `budget` picoseconds of logic between two registers."""

    delays: Delays
    budget: int

    @classmethod
    def of(cls, part: str, period_ns: float, uncertainty: float) -> Clock:
        """`uncertainty` is the fraction of the period that is kept free."""
        delays = delays_of(part)
        return cls(delays, max(round(period_ns * 1000 * (1 - uncertainty)) - delays.register, 0))
