"""A random model as lines of Keras code: what a generator writes is what is run, saved and, where it fails, printed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

OMIT = object()  # a setting that is not written, so that its default counts


@dataclass(frozen=True)
class Value:
    """A tensor of the model by its name in the code; its shape is without the batch."""

    name: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return self.name

    @property
    def rank(self) -> int:
        """Number of axes beside the batch."""
        return len(self.shape)


@dataclass
class Script:
    """Lines of code so far, and the means to draw more.

    keras: the module `keras` (3) or `tf_keras` (2), which runs each line as it is written; rng: the only source of
    randomness; ranges: by name of an input, the rows of the tables that it is an index of.
    """

    keras: ModuleType
    major: int
    rng: random.Random
    lines: list[str] = field(default_factory=list)
    inputs: list[Value] = field(default_factory=list)
    ranges: dict[str, int] = field(default_factory=dict)
    scope: dict[str, Any] = field(default_factory=dict)
    _count: int = 0

    def __post_init__(self) -> None:
        self.scope = self._names()

    def _names(self) -> dict[str, Any]:
        import numpy

        functions = {"ops": self.keras.ops} if self.major == 3 else {}
        return {"keras": self.keras, "layers": self.keras.layers, "np": numpy, "numpy": numpy, **functions}

    # ---- code

    def run(self, line: str) -> None:
        """Write a line and run it."""
        self.lines.append(line)
        exec(line, self.scope)  # the line is ours: a generator wrote it

    def again(self) -> Any:
        """The model that the lines make when they are run once more."""
        scope = self._names()
        for line in self.lines:
            exec(line, scope)
        return scope["model"]

    def name(self, stem: str = "y") -> str:
        """A name that is not used yet."""
        self._count += 1
        return f"{stem}{self._count}"

    def value(self, expression: str) -> Value:
        """The tensor that an expression gives."""
        (found,) = self.values(expression)
        return found

    def values(self, expression: str) -> list[Value]:
        """The tensor, or the list of tensors, that an expression gives."""
        name = self.name()
        self.run(f"{name} = {expression}")
        made = self.scope[name]
        if isinstance(made, list | tuple):
            return [Value(f"{name}[{i}]", _shape(tensor)) for i, tensor in enumerate(made)]
        return [Value(name, _shape(made))]

    def input(self, shape: Sequence[int | None], rows: int | None = None, **settings: object) -> Value:
        """A further input of the model; one of indices below `rows`."""
        name = self.name("x")
        words = {"dtype": "int32" if rows is not None and self.chance(0.5) else OMIT, **settings}
        self.run(f"{name} = keras.Input({arguments(words, repr(tuple(shape)))})")
        made = Value(name, tuple(shape))
        self.inputs.append(made)
        if rows is not None:
            self.ranges[name] = rows
        return made

    def make(self, class_name: str, **settings: object) -> str:
        """An expression that makes a layer."""
        return f"layers.{class_name}({arguments(settings)})"

    def layer(self, class_name: str, x: Value | Sequence[Value], **settings: object) -> Value:
        """A layer called on a value, or on a list of them."""
        return self.value(f"{self.make(class_name, **settings)}({called(x)})")

    # ---- draws

    def chance(self, p: float) -> bool:
        """True with probability p."""
        return self.rng.random() < p

    def maybe(self, value: object, p: float = 0.5) -> object:
        """The value, or the default of the setting."""
        return value if self.chance(p) else OMIT

    def one(self, *choices: Any) -> Any:
        """One of the choices."""
        return self.rng.choice(choices)

    def size(self, low: int = 1, high: int = 5) -> int:
        """A small integer."""
        return self.rng.randint(low, high)

    def number(self, low: float, high: float) -> float:
        """A float of a few digits."""
        return round(self.rng.uniform(low, high), 3)

    def shape(self, least: int = 1, most: int = 3) -> tuple[int, ...]:
        """A shape of a rank between the two, now and then with axes of one element."""
        sizes = [1, 2, 2, 3, 3, 4, 5]
        return tuple(self.rng.choice(sizes) for _ in range(self.size(least, most)))

    def axis(self, rank: int) -> int:
        """An axis beside the batch, from the front or from the end."""
        return self.one(self.size(1, rank), -self.size(1, rank))

    def source(self, shape: Sequence[int]) -> Value:
        """A value of a shape: an input, or what a cheap layer makes of one, so that types differ."""
        x = self.input(shape)
        if self.chance(0.75):
            return x
        return self.one(
            lambda: self.layer("ReLU", x),
            lambda: self.layer("Activation", x, activation="tanh"),
            lambda: self.layer("Rescaling", x, scale=self.number(-2, 2), offset=self.number(-1, 1)),
            lambda: self.layer("Dense", x, units=shape[-1]),
            lambda: self.layer("BatchNormalization", x),
        )()


def called(x: Value | Sequence[Value]) -> str:
    """The argument of a call."""
    return str(x) if isinstance(x, Value) else f"[{', '.join(map(str, x))}]"


def arguments(settings: dict[str, object], *first: str) -> str:
    """The text between parentheses, without settings that are omitted."""
    return ", ".join([*first, *(f"{key}={value!r}" for key, value in settings.items() if value is not OMIT)])


@dataclass(frozen=True)
class Code:
    """An argument that is written as it stands."""

    text: str

    def __repr__(self) -> str:
        return self.text


def _shape(tensor: Any) -> tuple[int, ...]:
    return tuple(tensor.shape)[1:]
