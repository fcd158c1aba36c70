"""kbuild.fixed, kbuild's C++ headers and the vendors' own headers must agree to the last bit.

Each group of cases is compiled twice, with our headers and with the vendors' (ap_types, ac_types of the da4ml wheel),
and both must write the words that kbuild.fixed, or exact integer arithmetic written here, expects.
"""

from __future__ import annotations

import importlib.util
import itertools
import random
import struct
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from kbuild.fixed import FixedType, Overflow, Quantization, cast, from_float, to_float

HERE = Path(__file__).resolve().parent
OURS = HERE.parents[1] / "backends" / "fixed"
DIALECTS = ["ap", "ac"]
MODES = list(itertools.product(Quantization, Overflow))
NATIVE = {
    "bool": (1, False),
    "signed char": (8, True),
    "unsigned char": (8, False),
    "short": (16, True),
    "int": (32, True),
    "unsigned": (32, False),
    "long": (64, True),
    "unsigned long": (64, False),
}


# ---- programs --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """One call, its input and its expected output; `vendor`: whether the vendor's header can be asked, too."""

    call: str
    words: list[int]
    expected: list[int]
    vendor: bool = True


def limbs(q: int, width: int) -> list[int]:
    """The low `width` bits of q as 64-bit words, lowest first."""
    bits = q & ((1 << width) - 1)
    return [bits >> low & (2**64 - 1) for low in range(0, width, 64)]


def vendor_include(dialect: str) -> Path:
    spec = importlib.util.find_spec("da4ml")
    assert spec is not None and spec.submodule_search_locations, "da4ml is a test dependency: pip install kbuild[test]"
    return Path(spec.submodule_search_locations[0]) / f"codegen/hls/source/{dialect}_types/include"


def compile_program(folder: Path, calls: Sequence[str], dialect: str, ours: bool) -> Path:
    """Compile the calls, in order, into a program; `dialect` is ap or ac."""
    name = f"{dialect}-{'ours' if ours else 'vendor'}"
    source, program = folder / f"{name}.cpp", folder / name
    source.write_text(_source(calls))
    flags = ["-std=c++17", "-O0", "-w", "-DNDEBUG", "-DAP_INT_MAX_W=4", f"-I{HERE}"]
    flags += ["-DHARNESS_AC"] if dialect == "ac" else []
    flags += ["-DHARNESS_OURS", f"-I{OURS}"] if ours else [f"-I{vendor_include(dialect)}"]
    subprocess.run(["g++", *flags, str(source), "-o", str(program)], check=True)
    return program


def _source(calls: Sequence[str], per_function: int = 64) -> str:
    """Small functions: compilers need more than linear time for a huge main()."""
    chunks = [calls[i : i + per_function] for i in range(0, len(calls), per_function)]
    parts = ['#include "fixed_harness.h"\n']
    for number, chunk in enumerate(chunks):
        parts.append(f"static void part{number}() {{\n" + "".join(f"    {call};\n" for call in chunk) + "}\n")
    body = "".join(f"    part{number}();\n" for number in range(len(chunks)))
    return "".join(parts) + f"int main() {{\n{body}    return 0;\n}}\n"


def run_program(program: Path, words: Sequence[int]) -> list[int]:
    data = np.array(words, dtype=np.uint64).tobytes()
    done = subprocess.run([str(program)], input=data, stdout=subprocess.PIPE, check=True)
    return [int(word) for word in np.frombuffer(done.stdout, dtype=np.uint64)]


def check(folder: Path, cases: Sequence[Case], dialect: str, ours: bool) -> None:
    """Run all cases in one program; fail with the first cases whose words differ from the expected ones."""
    program = compile_program(folder, [case.call for case in cases], dialect, ours)
    got = run_program(program, [word for case in cases for word in case.words])
    assert len(got) == sum(len(case.expected) for case in cases), "a case wrote another number of words"
    wrong, at = [], 0
    for case in cases:
        mine = got[at : at + len(case.expected)]
        at += len(case.expected)
        if mine != case.expected:
            first = next(i for i, (a, b) in enumerate(zip(mine, case.expected, strict=True)) if a != b)
            wrong.append(f"{case.call} word {first}: got {mine[first]:#x}, expected {case.expected[first]:#x}")
    assert not wrong, f"{len(wrong)} of {len(cases)} calls differ:\n" + "\n".join(wrong[:20])


# ---- values and types ------------------------------------------------------------------------------------------


def integer_type(width: int, signed: bool) -> FixedType:
    """ap_int / ac_int: no fraction; ap_int converts from fractions towards zero."""
    return FixedType(width, width, signed, Quantization.TRN_ZERO)


def spell(t: FixedType, dialect: str, integer: bool = False) -> str:
    if not integer:
        return t.spell(dialect)
    if dialect == "ac":
        return f"ac_int<{t.width},{str(t.signed).lower()}>"
    return f"ap_{'' if t.signed else 'u'}int<{t.width}>"


def random_type(rng: random.Random, widest: int, modes: bool = True) -> FixedType:
    width = rng.choice([rng.randint(1, min(widest, 70)), rng.randint(1, widest)])
    integer = rng.choice([rng.randint(-12, width + 12), rng.randint(0, width), width])
    t = FixedType(width, integer, rng.random() < 0.5)
    return t.with_modes(*rng.choice(MODES)) if modes else t


def random_integer(rng: random.Random, widest: int) -> FixedType:
    return integer_type(rng.randint(1, widest), rng.random() < 0.5)


def some_values(t: FixedType, rng: random.Random, count: int = 24) -> list[int]:
    """All integers of a small type; ends, small ones, runs of bits and random ones of a large type."""
    if t.width <= 6:
        return list(range(t.min, t.max + 1))
    values = [t.min, t.max, 0, 1, t.max - 1, t.min + 1, -1 if t.signed else 2]
    while len(values) < count:
        kept = rng.randint(1, t.width)
        values.append(rng.randint(t.min, t.max) >> rng.randint(0, t.width - 1))
        values.append((rng.getrandbits(kept) << (t.width - kept)) + t.min)
    return [v for v in values if t.min <= v <= t.max]


def number(q: int, t: FixedType) -> Fraction:
    return q * t.lsb


def store(value: Fraction, to: FixedType) -> int:
    """The stored integer of an exact value, by kbuild.fixed."""
    shift = value.denominator.bit_length() - 1
    return int(cast(np.array([value.numerator], dtype=object), shift, to)[0])


def exact(value: Fraction, t: FixedType) -> int:
    q = value / t.lsb
    assert q.denominator == 1
    return q.numerator


# ---- casts -----------------------------------------------------------------------------------------------------


def cast_case(a: FixedType, b: FixedType, values: list[int], dialect: str) -> Case:
    array = np.array(values, dtype=np.int64 if a.width < 63 else object)
    results = [int(q) for q in cast(array, a.fraction, b)]
    return Case(
        f"casts<{a.spell(dialect)}, {b.spell(dialect)}>()",
        [len(values), *(w for v in values for w in limbs(v, a.width))],
        [w for q in results for w in limbs(q, b.width)],
    )


def small_casts() -> Iterable[tuple[FixedType, FixedType]]:
    """Every pair of types of at most 5 bits; only the difference of the LSBs matters, so the source is an integer."""
    for w, s, w2, s2 in itertools.product(range(1, 6), (False, True), range(1, 6), (False, True)):
        for drop, (q, o) in itertools.product(range(-6, 9), MODES):
            yield FixedType(w, w, s), FixedType(w2, w2 + drop, s2, q, o)


def cast_cases(dialect: str, seed: int, small: int, large: int) -> list[Case]:
    rng = random.Random(seed)
    pairs = rng.sample(list(small_casts()), small)
    for t in (8, 40, 200, 1024):
        for _ in range(large // 4):
            a = random_type(rng, t, modes=False)
            b = random_type(rng, t)
            if rng.random() < 0.7:  # LSBs close to each other, where rounding and overflow meet
                b = FixedType(b.width, b.width - a.fraction + rng.randint(-3, 6), b.signed, b.quantization, b.overflow)
            pairs.append((a, b))
    return [cast_case(a, b, some_values(a, rng), dialect) for a, b in pairs]


# ---- doubles ---------------------------------------------------------------------------------------------------


def bits_of_double(x: float) -> int:
    return int.from_bytes(struct.pack("<d", x), "little")


def doubles_for(t: FixedType, rng: random.Random) -> list[float]:
    """Grid points, quarter steps (hence ties) in and around the range, and any other doubles."""
    lsb = float(t.lsb)
    near = [(rng.randint(t.min * 2 - 4, t.max * 2 + 4) + rng.randrange(8) / 8) * lsb for _ in range(30)]
    small = [k / 4 * lsb for k in range(-9, 10)]
    ends = [(e + k / 4) * lsb for e in (t.min, t.max) for k in range(-5, 6)]
    wild = [rng.choice([-1, 1]) * rng.random() * 2.0 ** rng.randint(-80, 80) for _ in range(20)]
    return [*near, *small, *ends, *wild, 0.0, -0.0, 1e300, -1e300, 1e-200, -1e-200]


def double_case(t: FixedType, rng: random.Random, dialect: str, integer: bool = False) -> Case:
    """The cast of doubles; an integer type has the rounding of ap_int (towards zero) or ac_int (down)."""
    values = doubles_for(t, rng)
    if integer:  # the vendors' integers convert numbers near zero wrongly: ap_int(-0.25) is 1
        values = [x for x in values if abs(x) >= 0.5]
    expected = [int(q) for q in from_float(values, t)]
    return Case(
        f"from_doubles<{spell(t, dialect, integer)}>()",
        [len(values), *map(bits_of_double, values)],
        [w for q in expected for w in limbs(q, t.width)],
        # ac_fixed of whole words calls a value out of range before it rounds into it, which only SAT_ZERO shows
        vendor=dialect == "ap" or t.overflow is not Overflow.SAT_ZERO or t.width % 32 != 0,
    )


def conversion_case(t: FixedType, rng: random.Random, dialect: str, integer: bool) -> Case:
    values = some_values(t, rng)
    expected: list[int] = []
    for q in values:
        value = number(q, t)
        whole = value.numerator // value.denominator
        if dialect == "ap" and whole != value and value < 0:
            whole += 1  # ap_fixed converts to integers as C does, ac_fixed rounds down
        real = float(to_float(np.array([q], dtype=np.int64 if t.width < 63 else object), t)[0])
        assert real == float(value)
        bit = q >> (t.width // 2) & 1
        expected += [bits_of_double(real), whole % 2**64, whole % 2**32, whole % 2**32, int(q == 0), bit]
    words = [len(values), *(w for v in values for w in limbs(v, t.width))]
    return Case(f"conversions<{spell(t, dialect, integer)}>()", words, expected)


def double_cases(dialect: str, seed: int, count: int) -> list[Case]:
    rng = random.Random(seed)
    small = [
        FixedType(w, i, s, q, o)
        for w, i, s, (q, o) in itertools.product(range(1, 6), range(-2, 8), (False, True), MODES)
    ]
    types = rng.sample(small, count // 2) + [random_type(rng, 100) for _ in range(count // 2)]
    cases = [double_case(t, rng, dialect) for t in types]
    for _ in range(count // 8):
        t = random_integer(rng, 100)
        cases.append(double_case(t if dialect == "ap" else t.plain(), rng, dialect, integer=True))
    for _ in range(count // 8):
        width = rng.randint(2, 53)
        fixed = FixedType(width, rng.randint(1, width + 4), rng.random() < 0.5)
        cases.append(conversion_case(fixed, rng, dialect, integer=False))
        cases.append(conversion_case(integer_type(width, rng.random() < 0.5), rng, dialect, integer=True))
    return cases


# ---- operators -------------------------------------------------------------------------------------------------


def result_type(a: FixedType, b: FixedType, operator: str) -> FixedType:
    """The exact types of UG1399 and the ac_datatypes reference, which are the same."""
    signed = a.signed or b.signed
    if operator == "*":
        return FixedType(a.width + b.width, a.integer + b.integer, signed)
    integer = max(a.integer + (signed and not a.signed), b.integer + (signed and not b.signed))
    integer += operator in "+-"
    return FixedType(integer + max(a.fraction, b.fraction), integer, signed or operator == "-")


def out(value: Fraction, t: FixedType) -> list[int]:
    return [t.width, int(t.signed), *limbs(exact(value, t), t.width)]


def related(x: Fraction, y: Fraction) -> int:
    return (x == y) | (x != y) << 1 | (x < y) << 2 | (x > y) << 3 | (x <= y) << 4 | (x >= y) << 5


def comparable(a: FixedType, b: FixedType, dialect: str) -> bool:
    """Whether the vendor's header compares by value: ap_private follows C's unsigned conversion from 32 bits on."""
    return dialect == "ac" or a.signed == b.signed or result_type(a, b, "+").width < 32


BITWISE: dict[str, Callable[[int, int], int]] = {
    "&": lambda x, y: x & y,
    "|": lambda x, y: x | y,
    "^": lambda x, y: x ^ y,
}


def binary_words(qa: int, a: FixedType, qb: int, b: FixedType, dialect: str, integers: bool) -> list[int]:
    x, y = number(qa, a), number(qb, b)
    words: list[int] = []
    for operator, value in (("+", x + y), ("-", x - y), ("*", x * y)):
        words += out(value, result_type(a, b, operator))
    for operator, function in BITWISE.items():
        t = result_type(a, b, operator)
        words += out(function(exact(x, t), exact(y, t)) * t.lsb, t)
    one_bit = dialect == "ap" and integers and a.signed and a.width == 1
    more = 2 if one_bit else 1
    words += out(-x, FixedType(a.width + more, a.integer + more, True))
    more = dialect == "ac" and not a.signed
    inverted = FixedType(a.width + more, a.integer + more, a.signed or dialect == "ac")
    flipped = ~qa if inverted.signed else ~qa & a.max
    return [*words, *out(flipped * inverted.lsb, inverted)]


def in_place_words(qa: int, a: FixedType, qb: int, b: FixedType, dialect: str, integers: bool) -> list[int]:
    x, y = number(qa, a), number(qb, b)
    step = a.lsb if dialect == "ac" else Fraction(1)

    def seen(value: Fraction) -> Fraction:  # integers take the right side without its fraction
        whole = value.numerator // value.denominator
        return Fraction(whole + (dialect == "ap" and value < 0 and whole != value)) if integers else value

    results = [x + seen(y), x - seen(y), x * seen(y), x + seen(x * y), x - seen(y * y), x + step, x - step]
    return [w for r in results for w in limbs(store(r, a), a.width)]


def pair_cases(dialect: str, seed: int, count: int, widest: int) -> list[Case]:
    """binary<A, B> and in_place<A, B> for random types, each possibly an integer type."""
    rng = random.Random(seed)
    cases = []
    for number_of_case in range(count):
        kinds = rng.random() < 0.3, rng.random() < 0.3
        limit = 8 if number_of_case % 3 == 0 else widest
        a, b = (random_integer(rng, limit) if k else random_type(rng, limit) for k in kinds)
        if dialect == "ap" and not kinds[0]:
            a = FixedType(a.width, min(a.integer, a.width), a.signed, a.quantization, a.overflow)  # for ++
        names = spell(a, dialect, kinds[0]), spell(b, dialect, kinds[1])
        pairs = list(zip(some_values(a, rng), rng.choices(some_values(b, rng), k=14), strict=False))
        words = [len(pairs), *(w for x, y in pairs for w in limbs(x, a.width) + limbs(y, b.width))]
        for template, function in (("binary", binary_words), ("in_place", in_place_words)):
            expected = [w for x, y in pairs for w in function(x, a, y, b, dialect, kinds[0])]
            garbage = dialect == "ap" and kinds[0] and b.integer <= 0  # ap_fixed::to_ap_int_base() without integer bits
            cases.append(Case(f"{template}<{names[0]}, {names[1]}>()", words, expected, vendor=not garbage))
        relations = [related(number(x, a), number(y, b)) for x, y in pairs]
        vendor = comparable(a, b, dialect) and (dialect == "ap" or kinds[0] == kinds[1])
        cases.append(Case(f"relations<{names[0]}, {names[1]}>()", words, relations, vendor))
    return cases


def divide_case(rng: random.Random, dialect: str) -> Case:
    a, b = random_integer(rng, 63), random_integer(rng, 63)
    quotient = FixedType(a.width + b.signed, a.width + b.signed, a.signed or b.signed)
    width = min(a.width, b.width + (a.signed and not b.signed))
    remainder = FixedType(width, width, a.signed)
    pairs = [(x, y) for x in some_values(a, rng) for y in rng.choices(some_values(b, rng), k=3) if y]
    words, expected = [len(pairs)], []
    for x, y in pairs:
        words += limbs(x, a.width) + limbs(y, b.width)
        q = abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)
        expected += out(Fraction(q), quotient) + out(Fraction(x - q * y), remainder)
    call = f"divide<{spell(a, dialect, True)}, {spell(b, dialect, True)}>()"
    return Case(call, words, expected, vendor=dialect == "ac" or a.signed == b.signed)  # ap_private narrows mixed ones


def wrapped(q: int, t: FixedType) -> int:
    return (q - t.min) % (1 << t.width) + t.min


def shift_case(a: FixedType, rng: random.Random, dialect: str, integer: bool) -> Case:
    words, expected = [], []
    pairs = [(q, rng.randint(-a.width + 1, a.width - 1)) for q in some_values(a, rng)]
    for q, distance in pairs:
        words += [*limbs(q, a.width), distance % 2**64]
        left = wrapped(q << distance if distance >= 0 else q >> -distance, a)
        right = wrapped(q >> distance if distance >= 0 else q << -distance, a)
        expected += [w for r in (left, right) * (3 if distance >= 0 else 2) for w in limbs(r, a.width)]
    return Case(f"shifts<{spell(a, dialect, integer)}>()", [len(pairs), *words], expected)


def native_case(a: FixedType, native: str, rng: random.Random, dialect: str, integer: bool) -> list[Case]:
    width, signed = NATIVE[native]
    c = FixedType(width, width, signed)
    pairs = list(zip(some_values(a, rng), itertools.cycle(rng.choices(some_values(c, rng), k=2)), strict=False))
    words, expected, relations = [len(pairs)], [], []
    for qa, qc in pairs:
        words += [*limbs(qa, a.width), qc % 2**64]
        x, y = number(qa, a), Fraction(qc)
        expected += out(x + y, result_type(a, c, "+")) + out(y - x, result_type(c, a, "-"))
        expected += out(x * y, result_type(a, c, "*"))
        relations += [related(x, y), related(y, x)]
        expected += limbs(store(y, a), a.width) + limbs(store(x + y, a), a.width)
    names = f"{spell(a, dialect, integer)}, {native}"
    return [
        Case(f"with_native<{names}>()", words, expected),
        Case(f"native_relations<{names}>()", words, relations, comparable(a, c, dialect)),
    ]


def single_cases(dialect: str, seed: int, count: int, widest: int) -> list[Case]:
    rng = random.Random(seed)
    cases = []
    for _ in range(count):
        integer = rng.random() < 0.3
        a = random_integer(rng, widest) if integer else random_type(rng, widest)
        cases.append(shift_case(a, rng, dialect, integer))
        cases.append(divide_case(rng, dialect))
        cases += native_case(a, rng.choice(list(NATIVE)), rng, dialect, integer)
    return cases


# ---- tests -----------------------------------------------------------------------------------------------------


def sample(dialect: str, size: int) -> list[Case]:
    return [
        *cast_cases(dialect, seed=1, small=16 * size, large=4 * size),
        *double_cases(dialect, seed=2, count=8 * size),
        *pair_cases(dialect, seed=3, count=size, widest=200),
        *single_cases(dialect, seed=4, count=size, widest=200),
    ]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_our_headers(tmp_path: Path, dialect: str) -> None:
    check(tmp_path, sample(dialect, 8), dialect, ours=True)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_vendors_headers_agree(tmp_path: Path, dialect: str) -> None:
    size = 3 if dialect == "ap" else 6  # a case of ap_types takes four times as long to compile
    check(tmp_path, [case for case in sample(dialect, size) if case.vendor], dialect, ours=False)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(14))
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("ours", [True, False], ids=["kbuild", "vendor"])
def test_every_cast_between_small_types(tmp_path: Path, dialect: str, ours: bool, part: int) -> None:
    pairs = itertools.islice(small_casts(), part, None, 14)
    cases = [cast_case(a, b, list(range(a.min, a.max + 1)), dialect) for a, b in pairs]
    check(tmp_path, cases, dialect, ours)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8))
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("ours", [True, False], ids=["kbuild", "vendor"])
def test_many_wide_types(tmp_path: Path, dialect: str, ours: bool, part: int) -> None:
    cases = [
        *cast_cases(dialect, seed=100 + part, small=0, large=200),
        *double_cases(dialect, seed=200 + part, count=200),
        *pair_cases(dialect, seed=300 + part, count=30, widest=500),
        *single_cases(dialect, seed=400 + part, count=30, widest=900),
    ]
    check(tmp_path, [case for case in cases if ours or case.vendor], dialect, ours)
