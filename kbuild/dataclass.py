"""Dataclasses that take microseconds to define: `dataclass`, `field` and `replace` as in the standard library.

The standard decorator compiles up to seven functions for each class, which takes a third of a millisecond. A short
build defines a hundred such classes: that was a fifth of its time. Here all classes share their methods, which look up
the fields when they are called; calls, comparisons and hashes take up to twice as long.

Nothing else differs. Type checkers see the standard decorator; the functions of its module (`fields`, `replace`,
`asdict`, `is_dataclass`) work on these classes, and standard dataclasses may inherit from them: what they look for is
made when they do. Left out is what kbuild does not use: `order`, `slots`, `init=False`, `InitVar`.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeVar

T = TypeVar("T")

__all__ = ["dataclass", "field", "field_names", "is_dataclass", "replace"]

_LAYOUT = "__kbuild_layout__"
_MISSING = object()


class _Field:
    """What stands behind a field's name: its default, and whether it counts in comparisons and is shown."""

    __slots__ = ("annotation", "compare", "default", "factory", "kw_only", "repr")

    def __init__(self, default: object, factory: Callable[[], object] | None, compare: bool, repr: bool) -> None:
        self.default, self.factory, self.compare, self.repr = default, factory, compare, repr
        self.annotation, self.kw_only = "", False


class _Layout:
    """The fields of a class, base classes' first, and what its methods need of them."""

    def __init__(self, cls: type, fields: dict[str, _Field], frozen: bool) -> None:
        self.fields, self.frozen = fields, frozen
        self.positional = tuple(name for name, field in fields.items() if not field.kw_only)
        self.defaults = {name: field.default for name, field in fields.items()}
        self.factories = [(name, field.factory) for name, field in fields.items() if field.factory is not None]
        required = [name for name, field in fields.items() if field.default is _MISSING and field.factory is None]
        self.required = sorted(required, key=lambda name: fields[name].kw_only)
        self.values = _getter([name for name, field in fields.items() if field.compare])
        self.continued = hasattr(cls, "__post_init__")
        self.standard: Any = None  # the standard dataclass of these fields, once it is asked for


class _OfClass:
    """An attribute of dataclasses that is made when it is looked up."""

    def __init__(self, make: Callable[[type], object]) -> None:
        self._make = make

    def __get__(self, instance: object, owner: type) -> object:
        return self._make(owner)


def _dataclass(
    cls: type[T] | None = None, /, *, frozen: bool = False, eq: bool = True, kw_only: bool = False
) -> type[T] | Callable[[type[T]], type[T]]:
    """As the standard decorator. Methods that a class has itself are left alone."""

    def define(cls: type[T]) -> type[T]:
        layout = _Layout(cls, _fields_of(cls, kw_only), frozen)
        attributes = {**_SHARED, "__match_args__": layout.positional, _LAYOUT: layout}
        if eq:
            attributes |= {"__eq__": _equal, "__hash__": _hash if frozen else None}
        if frozen:
            attributes |= {"__setattr__": _set, "__delattr__": _delete}
        for name, value in attributes.items():
            if name not in vars(cls):
                setattr(cls, name, value)
        return cls

    return define if cls is None else define(cls)


def _field(
    *,
    default: object = _MISSING,
    default_factory: Callable[[], object] | None = None,
    compare: bool = True,
    repr: bool = True,
) -> Any:
    """As the standard function."""
    return _Field(default, default_factory, compare, repr)


def _replace(record: Any, /, **changes: Any) -> Any:
    """As the standard function."""
    layout = vars(type(record)).get(_LAYOUT)
    if layout is None:
        import dataclasses

        return dataclasses.replace(record, **changes)
    state = vars(record)
    return type(record)(**{**{name: state[name] for name in layout.fields}, **changes})


def field_names(record: object) -> tuple[str, ...]:
    """The names of the fields of a dataclass or of one's instance, in order."""
    cls: Any = record if isinstance(record, type) else type(record)
    layout = vars(cls).get(_LAYOUT)
    if layout is None:
        import dataclasses

        return tuple(field.name for field in dataclasses.fields(cls))
    return tuple(layout.fields)


def is_dataclass(record: object) -> bool:
    """Whether this is a dataclass or an instance of one."""
    cls = record if isinstance(record, type) else type(record)
    return any("__dataclass_fields__" in vars(base) for base in cls.__mro__)


def _fields_of(cls: type, kw_only: bool) -> dict[str, _Field]:
    found: dict[str, _Field] = {}
    for base in reversed(cls.__mro__[1:]):
        if _LAYOUT in vars(base):
            found.update(vars(base)[_LAYOUT].fields)
        elif "__dataclass_fields__" in vars(base):
            raise TypeError(f"{cls.__qualname__} inherits from {base.__qualname__}, a standard dataclass")
    for name, annotation in cls.__annotations__.items():
        if str(annotation).removeprefix("typing.").startswith("ClassVar"):
            continue
        value = vars(cls).get(name, _MISSING)
        field = value if isinstance(value, _Field) else _Field(value, None, True, True)
        field.annotation, field.kw_only = annotation, kw_only
        found[name] = field
        if field is value:  # the class has the default itself, or nothing
            delattr(cls, name)
            if field.default is not _MISSING:
                setattr(cls, name, field.default)
    return found


def _getter(names: list[str]) -> Callable[[dict[str, Any]], Any]:
    """Takes the values of these names out of a dictionary, as one tuple."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda state: tuple([state[name] for name in names])


# -- what all classes share ----------------------------------------------------------------------


def _init(self: Any, *values: Any, **named: Any) -> None:
    layout: _Layout = self.__kbuild_layout__
    state = self.__dict__
    state.update(layout.defaults)
    state.update(zip(layout.positional, values))  # noqa: B905
    state.update(named)
    given = len(values)
    wrong = given > len(layout.positional) or len(state) > len(layout.fields)
    for name in layout.required[given:]:
        wrong |= state[name] is _MISSING
    if wrong or (named and given and not named.keys().isdisjoint(layout.positional[:given])):
        _standard(type(self))(*values, **named)  # raises the TypeError that says what is wrong
    for name, make in layout.factories:
        if state[name] is _MISSING:
            state[name] = make()
    if layout.continued:
        self.__post_init__()


def _show(self: Any) -> str:
    fields = self.__kbuild_layout__.fields
    shown = (f"{name}={self.__dict__[name]!r}" for name, field in fields.items() if field.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _equal(self: Any, other: Any) -> bool:
    if type(other) is not type(self):
        return NotImplemented
    values = self.__kbuild_layout__.values
    return bool(values(self.__dict__) == values(other.__dict__))


def _hash(self: Any) -> int:
    return hash(self.__kbuild_layout__.values(self.__dict__))


def _set(self: object, name: str, value: object) -> None:
    _refuse(self, name, "assign to")
    object.__setattr__(self, name, value)


def _delete(self: object, name: str) -> None:
    _refuse(self, name, "delete")
    object.__delattr__(self, name)


def _refuse(self: Any, name: str, action: str) -> None:
    if _LAYOUT in vars(type(self)) or name in self.__kbuild_layout__.fields:
        from dataclasses import FrozenInstanceError

        raise FrozenInstanceError(f"cannot {action} field {name!r}")


def _standard(cls: Any) -> Any:
    """The standard dataclass of the same name and fields."""
    layout: _Layout = cls.__kbuild_layout__
    if layout.standard is None:
        import dataclasses

        fields = []
        for name, own in layout.fields.items():
            options: dict[str, Any] = {"compare": own.compare, "repr": own.repr, "kw_only": own.kw_only}
            if own.default is not _MISSING:
                options["default"] = own.default
            if own.factory is not None:
                options["default_factory"] = own.factory
            fields.append((name, own.annotation, dataclasses.field(**options)))
        layout.standard = dataclasses.make_dataclass(cls.__name__, fields, frozen=layout.frozen)
    return layout.standard


def _signature(cls: Any) -> object:
    from inspect import signature

    if cls.__init__ is not _init:
        raise AttributeError("__signature__")  # the class is called with the arguments of its own method
    return signature(_standard(cls))


_SHARED: dict[str, Any] = {
    "__init__": _init,
    "__repr__": _show,
    "__dataclass_fields__": _OfClass(lambda cls: _standard(cls).__dataclass_fields__),
    "__dataclass_params__": _OfClass(lambda cls: _standard(cls).__dataclass_params__),
    "__signature__": _OfClass(_signature),
}

if TYPE_CHECKING:
    from dataclasses import dataclass, field, replace
else:
    dataclass, field, replace = _dataclass, _field, _replace
