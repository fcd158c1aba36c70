"""kbuild's dataclasses do what the standard ones do: every behaviour is compared with the standard library's."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import inspect
import pickle
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import pytest

import kbuild
from kbuild import dataclass as ours
from kbuild.fixed import FixedType

T = TypeVar("T")
PACKAGE = Path(kbuild.__file__).parent


def classes(module: ModuleType) -> dict[str, Any]:
    """Classes of every kind that kbuild has, by name, made with one of the two decorators."""
    dataclass, field = module.dataclass, module.field

    @dataclass(frozen=True)
    class Plain:
        a: int
        b: str = "b"
        c: tuple[int, ...] = ()

    @dataclass(frozen=True)
    class Base(ABC, Generic[T]):
        kind: ClassVar[str] = "base"
        first: T
        second: int = 2

        @abstractmethod
        def value(self) -> int: ...

    @dataclass(frozen=True)
    class Derived(Base[int]):
        third: int = 3
        second: int = 22

        def value(self) -> int:
            return self.second

        @cached_property
        def double(self) -> int:
            return 2 * self.third

    @dataclass(frozen=True, kw_only=True)
    class Keywords(Derived):
        needed: int
        optional: int | None = None

    @dataclass
    class Mutable:
        a: int = 0
        b: list[int] = field(default_factory=list)

    @dataclass(frozen=True)
    class Hidden:
        a: int
        live: object = field(default=None, compare=False, repr=False)
        named: dict[str, int] = field(default_factory=dict, compare=False)

    @dataclass(frozen=True, eq=False)
    class Identity:
        a: int

    @dataclass(frozen=True)
    class Checked:
        a: int

        def __post_init__(self) -> None:
            if self.a < 0:
                raise ValueError(f"{self.a} is negative")
            object.__setattr__(self, "a", float(self.a))

        def __repr__(self) -> str:
            return f"<{self.a}>"

    @dataclass(frozen=True)
    class Empty:
        pass

    class Undecorated(Plain):
        def set(self, name: str, value: object) -> None:
            setattr(self, name, value)

    made = (Plain, Base, Derived, Keywords, Mutable, Hidden, Identity, Checked, Empty, Undecorated)
    return {cls.__name__: cls for cls in made}


BOTH = classes(dataclasses), classes(ours)
CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("Plain", (1,), {}), ("Plain", (1, "x", (1,)), {}), ("Plain", (), {"c": (2,), "a": 1}), ("Plain", (1,), {"b": "y"}),
    ("Plain", (), {}), ("Plain", (), {"b": "x"}), ("Plain", (1, 2, 3, 4), {}), ("Plain", (1,), {"a": 1}),
    ("Plain", (1,), {"d": 1}), ("Plain", (), {"d": 1}), ("Base", (1,), {}),
    ("Derived", (1,), {}), ("Derived", (1, 5, 6), {}), ("Derived", (), {"first": 1, "third": 9}),
    ("Keywords", (1,), {"needed": 4}), ("Keywords", (1, 2, 3), {"needed": 4, "optional": 5}), ("Keywords", (1,), {}),
    ("Keywords", (1, 2, 3, 4), {}), ("Keywords", (), {"needed": 1}),
    ("Mutable", (), {}), ("Mutable", (1, [2]), {}), ("Mutable", (), {"b": [3]}),
    ("Hidden", (1,), {}), ("Hidden", (1, 2), {}), ("Hidden", (1,), {"named": {"a": 1}}),
    ("Identity", (1,), {}), ("Checked", (1,), {}), ("Checked", (-1,), {}), ("Empty", (), {}), ("Empty", (1,), {}),
    ("Undecorated", (1,), {}), ("Undecorated", (), {}),
]  # fmt: skip


def outcome(action: Callable[[], object]) -> object:
    """What an action gives, or its error."""
    try:
        return action()
    except Exception as error:
        return type(error), str(error).replace("classes.<locals>.", "")


@pytest.mark.parametrize(("name", "values", "named"), CALLS)
def test_calls(name: str, values: tuple[Any, ...], named: dict[str, Any]) -> None:
    standard, own = (outcome(lambda cls=cls: cls(*values, **named)) for cls in (found[name] for found in BOTH))
    if isinstance(standard, tuple):
        assert own == standard
        return
    assert type(own) is BOTH[1][name] and list(vars(own).items()) == list(vars(standard).items())
    assert repr(own) == repr(standard)
    assert ours.field_names(own) == ours.field_names(standard) == tuple(f.name for f in dataclasses.fields(standard))
    assert dataclasses.asdict(own) == dataclasses.asdict(standard)
    assert copy.deepcopy(own) == own or name == "Identity"


def test_equality_and_hash() -> None:
    for name, values, named in CALLS:
        if isinstance(outcome(lambda call=(BOTH[0][name], values, named): call[0](*call[1], **call[2])), tuple):
            continue
        pair = [(found[name](*values, **named), found[name](*values, **named)) for found in BOTH]
        for check in (
            lambda one, two: one == two,
            lambda one, two: one != two,
            lambda one, two: hash(one) == hash(two),
            lambda one, two: one.__eq__(3),
            lambda one, two: one == dataclasses.replace(one),
        ):
            standard, own = (outcome(lambda both=both, check=check: check(*both)) for both in pair)
            assert standard == own, name
    plain, derived = BOTH[1]["Plain"], BOTH[1]["Derived"]
    assert plain(1) != plain(2) and plain(1) != BOTH[1]["Undecorated"](1) and derived(1, 2) != derived(1, 3)
    assert BOTH[1]["Hidden"](1, live=2) == BOTH[1]["Hidden"](1, live=3)
    assert len({plain(1), plain(1), plain(2)}) == 2


@pytest.mark.parametrize("change", [{"a": 5}, {"b": "z", "c": (1,)}, {}, {"d": 1}])
def test_replace(change: dict[str, Any]) -> None:
    for replace in (ours.replace, dataclasses.replace):
        standard, own = (outcome(lambda cls=found["Plain"], r=replace: r(cls(1), **change)) for found in BOTH)
        assert str(standard) == str(own)
    (standard, own), post = (found["Derived"](1) for found in BOTH), BOTH[1]["Checked"](2)
    assert own.double == 6 and ours.replace(own, third=4).double == standard.double + 2  # what is cached stays behind
    assert type(ours.replace(BOTH[1]["Undecorated"](1), b="x")) is BOTH[1]["Undecorated"]
    with pytest.raises(ValueError, match="-3 is negative"):
        ours.replace(post, a=-3)


def test_frozen() -> None:
    for action in (
        lambda found: setattr(found["Plain"](1), "a", 2),
        lambda found: setattr(found["Plain"](1), "new", 2),
        lambda found: delattr(found["Plain"](1), "a"),
        lambda found: found["Undecorated"](1).set("a", 2),
        lambda found: found["Undecorated"](1).set("new", 2),
        lambda found: setattr(found["Mutable"](), "a", 2),
        lambda found: setattr(found["Keywords"](1, needed=1), "kind", 2),
        lambda found: hash(found["Mutable"]()),
    ):
        standard, own = (outcome(lambda found=found, action=action: action(found)) for found in BOTH)
        assert standard == own
    assert BOTH[1]["Mutable"]().b is not BOTH[1]["Mutable"]().b


def test_seen_from_outside() -> None:
    for name, cls in BOTH[1].items():
        standard = BOTH[0][name]
        assert dataclasses.is_dataclass(cls) and ours.is_dataclass(cls) and ours.is_dataclass(standard)
        assert str(inspect.signature(cls)) == str(inspect.signature(standard))
        assert cls.__match_args__ == standard.__match_args__
        assert inspect.isabstract(cls) == inspect.isabstract(standard)
        assert [(f.name, f.type, f.kw_only) for f in dataclasses.fields(cls)] == [
            (f.name, f.type, f.kw_only) for f in dataclasses.fields(standard)
        ]
    assert not ours.is_dataclass(int) and not ours.is_dataclass(3)
    match BOTH[1]["Plain"](1, "x"):
        case BOTH.__class__():
            pytest.fail("a dataclass is no tuple")
        case found:
            assert found.b == "x"


def test_standard_dataclasses_may_inherit() -> None:
    base = BOTH[1]["Derived"]

    @dataclasses.dataclass(frozen=True)
    class Standard(base):  # type: ignore[misc,valid-type]
        more: int = 4

    made = Standard(1, more=5)
    assert repr(made).endswith("Standard(first=1, second=22, third=3, more=5)")
    assert ours.replace(made, first=2) == Standard(2, more=5) != made
    assert ours.field_names(made) == ("first", "second", "third", "more")
    assert str(inspect.signature(Standard)).startswith("(first")
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.more = 1
    with pytest.raises(TypeError, match="a standard dataclass"):
        ours.dataclass(type("Back", (Standard,), {}))


def kbuilds_own() -> Iterator[type]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if "_share" in parts or parts[-1] in ("__main__", "live", "reference"):
            continue
        module = importlib.import_module(".".join(("kbuild", *parts)).removesuffix(".__init__"))
        for value in vars(module).values():
            if isinstance(value, type) and value.__module__ == module.__name__ and ours.is_dataclass(value):
                yield value


def test_every_class_of_kbuild_could_be_a_standard_one() -> None:
    """The standard decorator refuses mutable defaults, and fields without a default behind those that have one."""
    found = list(kbuilds_own())
    assert len(found) > 150
    for cls in found:
        assert [field.name for field in dataclasses.fields(cls)] == list(ours.field_names(cls)), cls


def test_pickle() -> None:
    made = FixedType(8, 3)
    assert pickle.loads(pickle.dumps(made)) == made


def test_values_are_compared_as_in_a_tuple() -> None:
    """Two that are the same object are equal, whatever their own comparison says; newer Pythons' decorator differs."""
    array = np.zeros(2)
    own = BOTH[1]
    assert own["Empty"]() == own["Empty"]() and own["Identity"](array) != own["Identity"](array)
    assert own["Hidden"](array) == own["Hidden"](array)
    assert own["Plain"](array) == own["Plain"](array) and own["Plain"](np.nan) == own["Plain"](np.nan)
