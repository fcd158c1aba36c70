"""Fixed-point types and exact casts on integer arrays: the definition that every engine is checked against.

A value is an integer `q` with a `FixedType`; it stands for `q * 2**-fraction`, where `fraction = width - integer`.
`integer` counts the sign bit of a signed type and may be negative or larger than `width`. Rounding and overflow are
those of the Xilinx `ap_fixed` (UG1399, "Arbitrary Precision Fixed-Point Data Types") and the `ac_fixed` reference.

Integer arrays are `int64` while their values fit `INT64_BITS` bits, and `object` arrays of Python integers beyond, so
that nothing ever wraps unasked.
"""

from __future__ import annotations

import math
import re
from enum import Enum
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kbuild.dataclass import dataclass, replace
from kbuild.parallel import mapped, parts

IntArray = NDArray[Any]  # int64, or object holding Python integers
FloatArray = NDArray[np.float64]

MAX_WIDTH = 1024
_BLOCK = 1 << 15  # values at a time, so that the steps of a conversion stay in the processor's cache
_PART = 1 << 17  # the same: worth a thread
INT64_BITS = 62  # headroom of one bit over the sign: adding half an LSB before a shift cannot overflow


class Quantization(str, Enum):
    """How bits below the LSB are dropped."""

    TRN = "TRN"  # towards minus infinity (floor)
    TRN_ZERO = "TRN_ZERO"  # towards zero
    RND = "RND"  # nearest, ties towards plus infinity
    RND_ZERO = "RND_ZERO"  # nearest, ties towards zero
    RND_INF = "RND_INF"  # nearest, ties away from zero
    RND_MIN_INF = "RND_MIN_INF"  # nearest, ties towards minus infinity
    RND_CONV = "RND_CONV"  # nearest, ties to even


class Overflow(str, Enum):
    """What happens to a value outside the range."""

    WRAP = "WRAP"  # modulo 2**width
    SAT = "SAT"  # nearest end of the range
    SAT_ZERO = "SAT_ZERO"  # zero
    SAT_SYM = "SAT_SYM"  # nearest end of the symmetric range [-max, max]


@dataclass(frozen=True)
class FixedType:
    """`fixed<width, integer, quantization, overflow>`, signed or not."""

    width: int
    integer: int
    signed: bool = True
    quantization: Quantization = Quantization.TRN
    overflow: Overflow = Overflow.WRAP

    def __post_init__(self) -> None:
        if not 1 <= self.width <= MAX_WIDTH:
            raise ValueError(f"a width of {self.width} bits is outside 1..{MAX_WIDTH}")
        if abs(self.integer) > 2 * MAX_WIDTH:
            raise ValueError(f"{self.integer} integer bits are outside -{2 * MAX_WIDTH}..{2 * MAX_WIDTH}")

    @property
    def fraction(self) -> int:
        """Number of fraction bits; negative when the LSB is larger than one."""
        return self.width - self.integer

    @property
    def min(self) -> int:
        """Smallest integer `q` of the type."""
        return -(1 << (self.width - 1)) if self.signed else 0

    @property
    def max(self) -> int:
        """Largest integer `q` of the type."""
        return (1 << (self.width - self.signed)) - 1

    @property
    def floor(self) -> int:
        """Smallest integer that a saturating cast returns: `-max` for SAT_SYM, where one signed bit still holds -1."""
        return min(-self.max, -1) if self.overflow is Overflow.SAT_SYM and self.signed else self.min

    @property
    def lsb(self) -> Fraction:
        """The value of one step."""
        return pow2(-self.fraction)

    @property
    def range(self) -> tuple[Fraction, Fraction]:
        """Smallest and largest value."""
        return self.min * self.lsb, self.max * self.lsb

    def with_modes(self, quantization: Quantization, overflow: Overflow) -> FixedType:
        """The same range and LSB with other modes."""
        return replace(self, quantization=quantization, overflow=overflow)

    def plain(self) -> FixedType:
        """The same range and LSB with the default modes TRN and WRAP."""
        return self.with_modes(Quantization.TRN, Overflow.WRAP)

    def __str__(self) -> str:
        head = f"{'' if self.signed else 'u'}fixed<{self.width},{self.integer}"
        if self.overflow is not Overflow.WRAP:
            return f"{head},{self.quantization.value},{self.overflow.value}>"
        if self.quantization is not Quantization.TRN:
            return f"{head},{self.quantization.value}>"
        return head + ">"

    def spell(self, dialect: str) -> str:
        """The C++ spelling: dialect `ap` (Vivado, Vitis) or `ac` (Catapult, Quartus)."""
        q, o = self.quantization.value, self.overflow.value
        if dialect == "ac":
            return f"ac_fixed<{self.width},{self.integer},{str(self.signed).lower()},AC_{q},AC_{o}>"
        name = "ap_fixed" if self.signed else "ap_ufixed"
        if self == self.plain():
            return f"{name}<{self.width},{self.integer}>"
        return f"{name}<{self.width},{self.integer},AP_{q},AP_{o},0>"

    @classmethod
    def parse(cls, text: str) -> FixedType:
        """Read any accepted spelling (`fixed<16,6>`, `ap_ufixed<8, 1, AP_RND, AP_SAT>`, `ac_int<4,false>`, ...).

        Raises ValueError with a sentence that says what is wrong and what would be right.
        """
        match = _TYPE.match(text)
        if not match:
            raise ValueError(
                f"'{text}' is not a fixed-point type; write for example fixed<16,6>, ufixed<8,1,RND,SAT>, "
                "int<8>, ap_fixed<16,6,AP_RND,AP_SAT>, ac_fixed<16,6,true>"
            )
        prefix, name = match["prefix"] or "", match["name"]
        if prefix == "ac_" and name.startswith("u"):
            raise ValueError(f"'{text}': ac_ types say signedness as an argument, e.g. ac_{name[1:]}<...,false>")
        args = [a.strip() for a in match["args"].split(",")]
        try:
            return _from_args(name, prefix == "ac_", args)
        except ValueError as error:
            raise ValueError(f"'{text}': {error}") from None


_TYPE = re.compile(r"^\s*(?P<prefix>ap_|ac_)?(?P<name>u?fixed|u?int)\s*<(?P<args>[^<>]*)>\s*$")


def _from_args(name: str, ac: bool, args: list[str]) -> FixedType:
    is_int = name.endswith("int")
    needed = 1 if is_int else 2
    if len(args) < needed:
        raise ValueError(f"{name} needs {'a width' if is_int else 'a width and integer bits'}")
    numbers = [_integer(a) for a in args[:needed]]
    rest = args[needed:]
    signed = not name.startswith("u")
    if ac and rest:
        if rest[0] not in ("true", "false"):
            raise ValueError(f"'{rest[0]}' is not a signedness; write true or false")
        signed = rest.pop(0) == "true"
    if is_int and rest:
        raise ValueError(f"{name} takes no '{rest[0]}'")
    quantization = _mode(Quantization, rest[0]) if rest else Quantization.TRN
    overflow = _mode(Overflow, rest[1]) if len(rest) > 1 else Overflow.WRAP
    if len(rest) > 2 and (ac or len(rest) > 3 or _integer(rest[2]) != 0):
        raise ValueError("a number of saturated bits in WRAP mode is not supported; leave it out or write 0")
    return FixedType(numbers[0], numbers[-1], signed, quantization, overflow)


def _integer(text: str) -> int:
    if not re.fullmatch(r"[+-]?\d{1,5}", text):
        raise ValueError(f"'{text}' is not an integer")
    return int(text)


def _mode(kind: Any, text: str) -> Any:
    name = re.sub(r"^(AP|AC)_", "", text)
    if name not in kind.__members__:
        what = "a quantization" if kind is Quantization else "an overflow"
        raise ValueError(f"'{text}' is not {what} mode; one of {', '.join(kind.__members__)}")
    return kind[name]


def pow2(exponent: int) -> Fraction:
    """Exact 2**exponent."""
    return Fraction(1 << exponent) if exponent >= 0 else Fraction(1, 1 << -exponent)


# ---- types of results -------------------------------------------------------------------------------------------


def type_for(low: int, high: int, fraction: int) -> FixedType:
    """The smallest type with `fraction` fraction bits that holds the integers low..high."""
    signed = low < 0
    bits = max((-low - 1).bit_length() if signed else 0, high.bit_length() if high > 0 else 0)
    width = max(bits + signed, 1)
    return FixedType(width, width - fraction, signed)


def product_type(a: FixedType, b: FixedType) -> FixedType:
    """The exact type of a product."""
    corners = [x * y for x in (a.min, a.max) for y in (b.min, b.max)]
    return type_for(min(corners), max(corners), a.fraction + b.fraction)


def union_type(*types: FixedType) -> FixedType:
    """The smallest type that holds every value of all the given types."""
    fraction = max(t.fraction for t in types)
    low = min(t.min << (fraction - t.fraction) for t in types)
    high = max(t.max << (fraction - t.fraction) for t in types)
    return type_for(low, high, fraction)


def contains(outer: FixedType, inner: FixedType) -> bool:
    """Whether every value of `inner` is a value of `outer` (casting changes nothing)."""
    shift = outer.fraction - inner.fraction
    if shift < 0:
        return False
    return inner.min << shift >= outer.floor and inner.max << shift <= outer.max


# ---- arrays -----------------------------------------------------------------------------------------------------


def bits_of(q: IntArray) -> int:
    """Number of magnitude bits of the largest value in the array."""
    if q.size == 0:
        return 0
    return max(int(q.max()).bit_length(), (-int(q.min())).bit_length())


def compact(q: IntArray) -> IntArray:
    """The same integers as int64 where they fit, as Python integers otherwise."""
    if q.dtype != object:
        return q.astype(np.int64, copy=False)
    return q.astype(np.int64) if bits_of(q) <= INT64_BITS else q


def wide(q: IntArray) -> IntArray:
    """The same integers as an object array of Python integers."""
    return q if q.dtype == object else np.array(q.ravel().tolist(), dtype=object).reshape(q.shape)


def shift_left(q: IntArray, shift: int) -> IntArray:
    """`q * 2**shift`, exact; shift >= 0."""
    if shift == 0:
        return q
    if q.dtype != object and bits_of(q) + shift > INT64_BITS:
        q = wide(q)
    return q << shift


def quantize(q: IntArray, shift: int, mode: Quantization) -> IntArray:
    """`q / 2**shift` rounded to integers by the mode; a negative shift multiplies exactly."""
    if shift <= 0:
        return shift_left(q, -shift)
    if q.dtype != object and shift > INT64_BITS:
        q = wide(q)
    if mode is Quantization.TRN:
        return q >> shift
    half = 1 << (shift - 1)
    if mode is Quantization.RND:
        return _shifted(q + half, shift)
    if mode is Quantization.RND_MIN_INF:
        return _shifted(q + (half - 1), shift)
    if mode is Quantization.RND_CONV:  # ties went up; take back those that became odd
        up: IntArray = (q + half) >> shift
        odd_ties: IntArray = up & ((q & (2 * half - 1)) == half).astype(q.dtype)
        even: IntArray = up - odd_ties
        return even
    negative: IntArray = (q < 0).astype(q.dtype)  # 0 or 1, in Python integers where q is
    if mode is Quantization.TRN_ZERO:
        almost_one: IntArray = negative * (2 * half - 1)
        return (q + almost_one) >> shift
    if mode is Quantization.RND_ZERO:
        return (q + (half - 1) + negative) >> shift
    return (q + half - negative) >> shift  # RND_INF


def _shifted(q: IntArray, shift: int) -> IntArray:
    """`q >> shift` in the memory of q."""
    q >>= shift
    return q


def limit(q: IntArray, to: FixedType) -> IntArray:
    """Bring integers that are already at the LSB of `to` into its range by its overflow mode.

    The array itself where all are inside, which takes a fraction of the time to see.
    """
    low, high = to.min, to.max
    if q.dtype == np.int64 and (q.size == 0 or (to.floor <= int(q.min()) and int(q.max()) <= high)):
        return q
    if q.dtype != object and to.width > INT64_BITS:
        return q if to.signed or q.size == 0 or int(q.min()) >= 0 else limit(wide(q), to)
    if to.overflow is Overflow.WRAP:
        wrapped = (q - low) & ((1 << to.width) - 1)
        return compact(wrapped + low)
    if to.overflow is Overflow.SAT_ZERO:
        return compact(np.where((q < low) | (q > high), 0, q))
    return compact(np.clip(q, to.floor, high))


def cast(q: IntArray, fraction: int, to: FixedType) -> IntArray:
    """Integers of the type `to` for the values `q * 2**-fraction`: quantize first, then overflow."""
    return limit(quantize(q, fraction - to.fraction, to.quantization), to)


def cast_counting(q: IntArray, fraction: int, to: FixedType) -> tuple[IntArray, int]:
    """As `cast`, and how many values were outside the range of `to` (after rounding)."""
    rounded = quantize(q, fraction - to.fraction, to.quantization)
    result = limit(rounded, to)
    return result, 0 if result is rounded else int(np.count_nonzero(result != rounded))


def from_float(x: Any, to: FixedType, ends: tuple[float, float] | None = None) -> IntArray:
    """Integers of the type `to` for floating-point values: exact scaling, then the type's rounding and overflow.

    `ends` are the smallest and the largest of the values, where they are known. Raises ValueError for NaN and
    infinities, which no fixed-point type can hold.
    """
    values = np.asarray(x)
    if values.dtype != np.float32 or to.fraction < 0:  # float32 is converted a block at a time
        values = np.asarray(values, dtype=np.float64)
    if values.size == 0:
        return values.astype(np.int64)
    least, largest = ends or (float(values.min()), float(values.max()))
    if not (math.isfinite(least) and math.isfinite(largest)):
        raise ValueError("NaN or infinity cannot become fixed point")
    with np.errstate(over="ignore", under="ignore"):  # what does not fit a double is rounded exactly below
        scaled = np.ldexp([least, largest], to.fraction)
        lost = to.fraction < 0 and bool((np.abs(np.ldexp(values, to.fraction))[values != 0] < 2.0**-1000).any())
    if lost or float(np.abs(scaled).max()) >= 2.0**INT64_BITS:
        return limit(_round_exactly(values, to), to)
    rounded = np.empty(values.shape, np.int64)
    flat, target = values.reshape(-1), rounded.reshape(-1)

    def convert(part: slice) -> None:
        for start in range(part.start, part.stop, _BLOCK):
            block = slice(start, min(start + _BLOCK, part.stop))
            target[block] = _round_floats(scale(np.asarray(flat[block], np.float64), to.fraction), to.quantization)

    mapped(convert, parts(values.size, _PART))
    inside = to.floor <= scaled[0] - 1 and scaled[1] + 1 <= to.max  # rounding moves a value by less than one
    return rounded if inside else limit(rounded, to)


def scale(x: FloatArray, exponent: int) -> FloatArray:
    """`x * 2**exponent`: a multiplication, which is far faster than ldexp, where the factor is a normal number."""
    return x * 2.0**exponent if abs(exponent) < 1000 else np.ldexp(x, exponent)


def _round_floats(y: FloatArray, mode: Quantization) -> IntArray:
    if mode is Quantization.TRN:
        return np.floor(y).astype(np.int64)
    if mode is Quantization.RND:  # floor(y + 1/2), of which only the halves matter
        halves = np.floor(y + y).astype(np.int64)
        return np.right_shift(np.add(halves, 1, out=halves), 1, out=halves)
    whole = np.trunc(y)
    rest = np.abs(y - whole)  # exact, which the distance from the floor of a small negative number is not
    tie, negative = rest == 0.5, y < 0
    if mode is Quantization.TRN_ZERO:
        away = np.zeros(y.shape, bool)
    elif mode is Quantization.RND_MIN_INF:
        away = (rest > 0.5) | (tie & negative)
    elif mode is Quantization.RND_ZERO:
        away = rest > 0.5
    elif mode is Quantization.RND_INF:
        away = rest >= 0.5
    else:
        away = (rest > 0.5) | (tie & (np.mod(whole, 2) != 0))
    result: IntArray = whole.astype(np.int64) + np.where(negative, -1, 1) * away
    return result


def _round_exactly(values: FloatArray, to: FixedType) -> IntArray:
    out = np.empty(values.shape, dtype=object)
    for index, value in np.ndenumerate(values):
        numerator, denominator = float(value).as_integer_ratio()
        down = denominator.bit_length() - 1 - to.fraction  # value / lsb = numerator / 2**down
        out[index] = int(quantize(np.array([numerator], dtype=object), down, to.quantization)[0])
    return out


def to_float(q: IntArray, of: FixedType) -> FloatArray:
    """The values as float64: exact up to 53 bits, the nearest float64 beyond."""
    if q.dtype == object and bits_of(q) > 53:
        flat = [float(int(v) * of.lsb) for v in q.ravel()]
        return np.array(flat, dtype=np.float64).reshape(q.shape)
    return scale(q.astype(np.float64), -of.fraction)
