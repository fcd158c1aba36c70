"""A random quantized model as lines of code, beside what each of its values is on the samples that are drawn.

The library computes in float32. A case is equal to the bit only where float32 rounds nothing, so a model is drawn with
its values at hand: of every sum of products it is known, from the widths of both factors, whether float32 holds all of
them. Where it does not, the value is `off`: only a quantizer may read it, one whose steps are far wider than the error,
and the samples that come near to a place where its result changes are left out. No comparison has a tolerance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from conformance.script import Script, Value, arguments, called

MANTISSA = 24  # bits of float32
SAMPLES = 40  # drawn, of which KEPT are kept
KEPT = 5  # as in all other cases: some dozens of them are simulated at once
SINGLE = 2.0**-23
COARSE = 64  # steps of a quantizer are wider than the error of what it reads by this factor


class Redraw(Exception):
    """What was drawn cannot be compared exactly; another model is drawn."""


@dataclass(frozen=True)
class Grid:
    """All of some values are multiples of 2**-fraction, up to a magnitude."""

    fraction: int
    most: float

    @classmethod
    def of(cls, values: np.ndarray) -> Grid:
        """Of what is there."""
        x = np.abs(np.asarray(values, np.float64).ravel())
        x = x[x > 0]
        if not x.size:
            return cls(-100, 0.0)
        mantissa, exponent = np.frexp(x)
        whole = np.ldexp(mantissa, 53).astype(np.int64)
        low = np.log2((whole & -whole).astype(np.float64)).astype(int)  # zeros at the end
        return cls(int((53 - exponent - low).max()), float(x.max()))

    @property
    def bits(self) -> float:
        """Of the widest value."""
        return float(np.log2(max(self.most, 1e-300))) + self.fraction

    @property
    def fits(self) -> bool:
        """Whether float32 holds every multiple up to the magnitude."""
        return self.most == 0 or self.most * 2.0**self.fraction <= 2**MANTISSA


@dataclass
class QuantizedScript(Script):
    """Lines of code, and the values of the samples.

    formats: those that the case is saved in, where it is not in all of its library; live: it is not saved at all;
    samples: by name of a value; off: how far float32 may be from what is meant, 0 for most; kept: the samples that are
    used; subject: names of the layers that the case is about.
    """

    formats: tuple[str, ...] = ()
    live: bool = False
    samples: dict[str, np.ndarray] = field(default_factory=dict)
    off: dict[str, float] = field(default_factory=dict)
    kept: np.ndarray = field(default_factory=lambda: np.ones(SAMPLES, bool))
    subject: list[str] = field(default_factory=list)
    draw: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.draw = np.random.default_rng(self.rng.randrange(1 << 30))

    # ---- inputs

    def grid_input(self, shape: Sequence[int], fraction: int | None = None) -> Value:
        """An input whose samples are multiples of a power of two."""
        x = self.input(shape)
        fraction = self.size(1, 5) if fraction is None else fraction
        spread = self.one(0.4, 1.0, 1.5, 3.0)
        values = np.round(self.draw.normal(0, spread, (SAMPLES, *shape)) * 2**fraction) / 2**fraction
        return self.known(x, values)

    def known(self, value: Value, samples: np.ndarray, off: float = 0.0) -> Value:
        """The value with what it is on the samples."""
        if not np.isfinite(samples).all() or np.abs(samples).max(initial=0) > 2**20:
            raise Redraw("values are too large")
        self.samples[value.name], self.off[value.name] = np.asarray(samples, np.float32), off
        return value

    def of(self, x: Value | Sequence[Value]) -> Any:
        """The samples of a value, or of a list of them, as an argument of a layer."""
        return self.samples[x.name] if isinstance(x, Value) else [self.samples[one.name] for one in x]

    # ---- layers

    def called_layer(
        self, class_name: str, x: Value | Sequence[Value], settings: dict[str, object]
    ) -> tuple[str, Value]:
        """A layer with a name of its own, and its value, without samples yet."""
        name = self.name("l")
        self.run(f"{name} = {class_name}({arguments({**settings, 'name': name})})")
        return name, self.value(f"{name}({called(x)})")

    def called_layers(self, class_name: str, call: str, settings: dict[str, object]) -> tuple[str, list[Value]]:
        """A layer with one value or more, and what it is called with as text."""
        name = self.name("l")
        self.run(f"{name} = {class_name}({arguments({**settings, 'name': name})})")
        return name, self.values(f"{name}({call})")

    def plain(self, class_name: str, x: Value | Sequence[Value], **settings: object) -> Value:
        """A layer in which float32 rounds nothing: it moves, compares or rounds to a grid."""
        if self.errors(x):
            raise Redraw("its input is not exact")
        return self.passing(class_name, x, **settings)

    def passing(self, class_name: str, x: Value | Sequence[Value], **settings: object) -> Value:
        """A layer that only moves values; what is off stays off."""
        name, y = self.called_layer(class_name, x, settings)
        return self.known(y, self.run_layer(name, x), self.errors(x))

    def errors(self, x: Value | Sequence[Value]) -> float:
        """How far the inputs may be off."""
        return self.off[x.name] if isinstance(x, Value) else max(self.off[one.name] for one in x)

    def run_layer(self, name: str, x: Value | Sequence[Value]) -> np.ndarray:
        """What a layer makes of the samples in inference."""
        return np.asarray(self.scope[name](self.of(x), training=False))

    def summed(self, y: Value, samples: np.ndarray, x: Grid, weight: Grid, bias: Grid | None, count: int,
               off: float = 0.0) -> Value:  # fmt: skip
        """A value that is a sum of `count` products and a bias: exact where its widths say so."""
        total = sum_grid(x, weight, bias, count)
        exact = total.fits and off == 0
        error = 0.0 if exact else count * weight.most * off + (count + 4) * SINGLE * total.most
        return self.known(y, samples, error)

    def near(self, values: np.ndarray, step: np.ndarray | float, tie: float, off: float) -> None:
        """Leave out the samples in which values are so near to a place where a quantizer of this step changes that an
        error decides. tie: where it changes, in steps. Raises Redraw where the steps are too fine.
        """
        step = np.broadcast_to(np.asarray(step, np.float64), values.shape)
        if (step < COARSE * off).any():
            raise Redraw("its steps are too fine for what float32 rounds before it")
        part = values.astype(np.float64) / step - tie
        distance = np.abs(part - np.round(part)) * step
        fine = (distance > 2 * off).reshape(len(values), -1).all(axis=1)
        self.kept &= fine

    def chosen(self) -> np.ndarray:
        """The numbers of the samples that are used, of which every case has as many: some are there twice where
        fewer are left. Raises Redraw where none is.
        """
        found = np.flatnonzero(self.kept)
        if not found.size:
            raise Redraw("every sample is near a step")
        return np.resize(found, KEPT)


def added(*grids: Grid) -> Grid:
    """The widths of a sum of values of these widths."""
    return Grid(max(grid.fraction for grid in grids), sum(grid.most for grid in grids))


def sum_grid(x: Grid, weight: Grid, bias: Grid | None, count: int) -> Grid:
    """The widths of a sum of `count` products and a bias."""
    fraction, most = x.fraction + weight.fraction, count * x.most * weight.most
    if bias is not None and bias.most:
        fraction, most = max(fraction, bias.fraction), most + bias.most
    return Grid(fraction, most)


Generator = Callable[[QuantizedScript], Value | Sequence[Value]]


def chain(
    s: QuantizedScript, x: Value, count: int, choices: Callable[[Value], Sequence[Callable[..., Value]]]
) -> Value:
    """A few random layers, one after the other."""
    for _ in range(count):
        x = s.rng.choice(choices(x))(s, x)
    return x


def with_more(s: QuantizedScript, y: Value) -> list[Value]:
    """The output, and now and then exact values before it as further outputs."""
    found = [y]
    for name, off in list(s.off.items()):
        value = Value(name, s.samples[name].shape[1:])
        is_input = any(name == x.name for x in s.inputs)
        if off == 0 and name != y.name and not is_input and value.rank and s.chance(0.15):
            found.append(value)
    s.rng.shuffle(found)
    return found
