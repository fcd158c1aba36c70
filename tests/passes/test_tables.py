"""Tables: exact where every input has its entry, within the derived bound where not."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kbuild.fixed import FixedType, FloatArray, IntArray, Overflow, Quantization, from_float, to_float
from kbuild.ir import Graph, Layer, Node, OverflowCount, Tensor
from kbuild.ops.affine import Affine
from kbuild.ops.functions import FUNCTIONS, LINES
from kbuild.ops.input import Input
from kbuild.ops.lut import Lut
from kbuild.ops.relu import Relu
from kbuild.passes.context import Context
from kbuild.passes.pipeline import optimize
from kbuild.passes.tables import lut_table

INPUTS = st.builds(
    lambda width, integer, signed: FixedType(width, integer, signed, Quantization.RND, Overflow.SAT),
    st.integers(2, 16),
    st.integers(-2, 8),
    st.booleans(),
)


@settings(max_examples=200, deadline=None)
@given(INPUTS, st.sampled_from(sorted(FUNCTIONS)), st.sampled_from([None, 64, 4096]))
def test_function_tables(x: FixedType, function: str, size: int | None) -> None:
    span = tuple(float(v) for v in x.range)
    if function == "exp" and span[1] > 20:
        span = (span[0], 20.0)
    op = lut_table(Lut(function), x, (span[0], span[1]), size, None)
    table = op.made()
    assert table.data.size <= (size or 4096)
    q = np.arange(x.min, min(x.max, int(span[1] * 2.0**x.fraction)) + 1)[:, None]
    of = op.infer_type([x])
    y = to_float(op.eval([q], [x], of, OverflowCount()), of)
    true = op.eval_float([to_float(q, x)])
    steps = np.abs(np.diff(true[:, 0])).max(initial=0.0) * 2**op.shift  # no cell varies by more than this
    if op.line is not None:
        far = q[:, 0] >= op.end  # there it is the line, as exactly as a table of the whole range had it
        assert np.abs(y - true)[far].max(initial=0.0) <= span[1] * 2.0**-15 + float(table.fixed().lsb)
        assert op.line.floats() != 1.0 or np.array_equal(y[far], to_float(q, x)[far])
        y, true = y[~far], true[~far]
    assert np.abs(y - true).max(initial=0.0) <= steps + float(table.fixed().lsb)
    if op.shift == 0:
        assert np.abs(y - true).max(initial=0.0) <= float(table.fixed().lsb) * 1.001


@pytest.mark.parametrize("function", ["clipped_line", "sigmoid", "tanh", "sparse_plus"])
def test_coarse_entries_still_make_a_table(function: str) -> None:
    """With entries as coarse as the function, the parts that are as good as each of its ends overlap."""
    params = (1.0, 0.0, -1.0, 1.0) if function == "clipped_line" else ()
    x = FixedType(15, 0, True, Quantization.RND)
    for integer in range(-1, 5):
        of = FixedType(16, 16 - integer, True, Quantization.RND_INF, Overflow.SAT)
        op = lut_table(Lut(function, params), x, (-0.5, 0.5), None, of)
        values = np.arange(x.min, x.max + 1, 97)
        y = to_float(op.eval([values], [x], of, OverflowCount()), of)
        assert np.abs(y - op.eval_float([to_float(values, x)])).max() <= 1.5 * float(of.lsb)


@pytest.mark.parametrize("function", ["elu", "selu", "celu", "softplus", "gelu", "silu", "mish", "softsign", "tanh"])
def test_wide_inputs_without_data(function: str) -> None:
    """Of inputs whose range nobody has given, small ones too come out well: what is a line needs no entries."""
    x = FixedType(16, 6, True, Quantization.RND, Overflow.SAT)
    op = lut_table(Lut(function), x, (-32.0, 32.0), None, None)
    of = op.infer_type([x])
    q = np.arange(x.min, x.max + 1)[:, None]
    y = to_float(op.eval([q], [x], of, OverflowCount()), of)
    assert np.abs(y - op.eval_float([to_float(q, x)])).max() < 1 / 50


def test_what_is_a_line_everywhere_has_one_entry() -> None:
    x = FixedType(16, 6, True)
    op = lut_table(Lut("elu"), x, (1.0, 32.0), None, None)
    assert op.made().data.size == 1 and op.line is not None


def test_inputs_beyond_64_bits() -> None:
    """As the sums of a recurrent layer have, whose inputs and weights have 32 bits and no data tell their range."""
    x = FixedType(66, 18)
    op = lut_table(Lut("tanh"), x, (-131072.0, 131071.0), None, None)
    q = np.array([x.min, -(3 << 48), 0, 1 << 48, x.max], dtype=object)[:, None]
    of = op.infer_type([x])
    y = to_float(op.eval([q], [x], of, OverflowCount()), of)
    assert np.abs(y - np.tanh([[-1e5], [-3.0], [0.0], [1.0], [1e5]])).max() < 1 / 60


def test_entries_have_the_range_that_the_results_take() -> None:
    """An exponential at the end of its input's type is far beyond what it is for the data: that must cost no bits."""
    x = FixedType(16, 6, True, Quantization.RND, Overflow.SAT)
    op = lut_table(Lut("exp"), x, (-32.0, 32.0), None, None, taken=(0.0, 20.0))
    assert str(op.made().fixed()) == "ufixed<16,5>"
    q = np.arange(-10 << x.fraction, 3 << x.fraction)[:, None]  # up to exp(3), 20.1
    y = to_float(op.eval([q], [x], op.made().fixed(), OverflowCount()), op.made().fixed())
    steps = 20.0 * 2.0 ** (op.shift - x.fraction)
    assert np.abs(y - np.minimum(np.exp(to_float(q, x)), 20.0)).max() <= steps
    given = FixedType(16, 8, False)
    assert lut_table(Lut("exp"), x, (-32.0, 5.0), None, given, taken=(0.0, 20.0)).made().floats().max() > 140


@pytest.mark.parametrize(("function", "beyond"), [("exp", [3.5, 31.0]), ("tanh", []), ("sigmoid", [])])
def test_results_that_the_entries_do_not_hold_are_overflows(function: str, beyond: list[float]) -> None:
    """The exponential of 3.46 is 32; a tangent that comes to 1 within an LSB is none."""
    x = FixedType(16, 6, True, Quantization.RND, Overflow.SAT)
    op = lut_table(Lut(function), x, (-32.0, 32.0), None, None, taken=(-20.0, 20.0))
    held = [-32.0, -6.0, 0.0, 3.4, *([] if beyond else [6.0, 31.0])]
    q, overflow = from_float(np.array([[*held, *beyond]]), x), OverflowCount()
    op.eval([q], [x], op.made().fixed(), overflow)
    assert (overflow.results, overflow.inside) == (len(beyond), 0)


def exponential() -> Graph:
    """`exp(8 x)`."""
    layer = Layer("l", "Layer")
    scale = Affine(Tensor([8.0]), Tensor([0.0]))
    nodes = (
        Node("x", Input((1,)), (), (1,), layer),
        Node("r", Relu(), ("x",), (1,), layer),  # so that nothing says that the input is scaled
        Node("a", scale, ("r",), (1,), layer),
        Node("e", Lut("exp"), ("a",), (1,), layer),
    )
    return Graph("m", nodes, ("e",))


def test_an_exponential_has_the_range_of_its_data() -> None:
    data = np.linspace(-2.0, 0.25, 50)[:, None]
    fixed = optimize(exponential(), Context(calibration={"x": data}))
    assert fixed["e"].fixed().integer == 4  # 7.4, and a quarter


def test_without_data_an_exponential_keeps_its_fraction() -> None:
    """Random inputs make it as large as 2**369, of which a type would leave nothing but that."""
    assert optimize(exponential(), Context())["e"].fixed().fraction == 7  # up to 256, which is 9 bits


def off_by(op: Lut, x: FixedType, q: IntArray) -> FloatArray:
    """How far an entry may be from the function: what that changes by within two cells, of the last ones for inputs
    beyond them; and some LSBs of the entry, as the ends are those of the type before the table was cut at its line."""
    q = np.clip(q, op.offset, op.end)
    y = op.eval_float([to_float(np.concatenate([q - (1 << op.shift), q, q + (1 << op.shift)], axis=1), x)])
    return y.max(axis=1) - y.min(axis=1) + 8 * float(op.made().fixed().lsb)


@pytest.mark.parametrize("seed", range(4))
def test_random_tables(seed: int) -> None:
    """Any input type, part of it that is reached, size, and type of the entries."""
    rng = random.Random(seed)
    for _ in range(60):
        width = rng.randint(2, 13)
        x = FixedType(width, rng.randint(-2, width + 2), rng.random() < 0.8)
        low, high = sorted(rng.uniform(*map(float, x.range)) for _ in range(2))
        entries = FixedType(rng.randint(2, 20), rng.randint(1, 8)) if rng.random() < 0.5 else None
        function = Lut(rng.choice(sorted({*LINES, "tanh", "exp", "softsign"})))
        seen = function.eval_float([np.linspace(low, rng.uniform(low, high), 100)])
        taken = (seen.min() * 1.25, seen.max() * 1.25) if rng.random() < 0.5 else (-math.inf, math.inf)
        op = lut_table(function, x, (low, high), rng.choice([None, 1024]), entries, taken=taken,
                       lines=rng.random() < 0.8)  # fmt: skip
        q = np.arange(math.ceil(low / float(x.lsb)), math.floor(high / float(x.lsb)) + 1)[:, None]
        of = op.infer_type([x])
        y, wanted = to_float(op.eval([q], [x], of, OverflowCount()), of)[:, 0], op.eval_float([to_float(q, x)])[:, 0]
        least, most = map(float, op.made().fixed().range)
        held = (wanted >= least) & (wanted <= most) | ((q[:, 0] >= op.end) & (op.line is not None))
        assert (np.abs(y - wanted) <= off_by(op, x, q))[held].all(), (op.function, x, low, high, entries, taken)


def test_a_bump_within_the_tolerance_of_its_end() -> None:
    x, entries = FixedType(13, 4), FixedType(3, 2)
    op = lut_table(Lut("mish"), x, (-4.3777, 3.4089), 64, entries)
    assert op.line is not None and op.made().data.size <= 64


def test_the_type_of_entries_holds_all_that_is_left_of_a_line() -> None:
    """The line takes what was large; of the rest, gelu(-2) = -0.0455 is the largest."""
    x = FixedType(13, 14)
    op = lut_table(Lut("gelu"), x, (-4096.0, 5942.0), None, None)
    y = op.eval([np.array([[-1]])], [x], FixedType(16, 1), OverflowCount())
    assert to_float(y, FixedType(16, 1))[0, 0] == pytest.approx(-0.0455, abs=1e-4)
