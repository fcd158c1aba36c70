"""Report records as JSON documents: to text and back, exactly."""

from __future__ import annotations

import json
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, TypeVar

from kbuild.dataclass import field_names, is_dataclass
from kbuild.errors import StageError


class Report(Protocol):
    """A dataclass that is a document of its own."""

    SCHEMA: ClassVar[str]  # name and version, e.g. kbuild/parse/1


R = TypeVar("R", bound=Report)


def to_json(report: Report) -> dict[str, object]:
    """The document: `"schema"` first, then the record's fields in their order.

    Raises ValueError for a number that JSON does not have (NaN, infinity).
    """
    encoded = _encode(report)
    assert isinstance(encoded, dict)
    return {"schema": report.SCHEMA, **encoded}


def to_text(report: Report) -> str:
    """The document as the file holds it."""
    return json.dumps(to_json(report), indent=2, ensure_ascii=False) + "\n"


def with_value(text: str, key: str, value: object) -> str:
    """What `to_text` wrote, with another value of one of the record's fields."""
    return json.dumps({**json.loads(text), key: _encode(value)}, indent=2, ensure_ascii=False) + "\n"


def from_text(record: type[R], text: str, name: str = "report") -> R:
    """Read what `to_text` wrote. Raises StageError, naming the file, when it is not such a document."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise StageError(f"{name} is not JSON: {error}; build again to make it anew") from error
    if not isinstance(document, dict) or document.pop("schema", None) != record.SCHEMA:
        raise StageError(f"{name} is not a {record.SCHEMA} document; build again to make it anew")
    try:
        decoded: R = _decode(record, document)
    except (TypeError, KeyError) as error:
        raise StageError(f"{name} does not fit {record.SCHEMA} ({error}); build again to make it anew") from error
    return decoded


def _encode(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _encode(vars(value)[name]) for name in field_names(value)}
    if isinstance(value, Mapping):
        return {str(key): _encode(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_encode(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"a report cannot hold {value}")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"a report cannot hold a {type(value).__name__}")


def _decode(kind: Any, value: Any) -> Any:
    """`value`, as json.loads gives it, as an instance of the annotation `kind`."""
    if is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        _expect(value, dict, kind)
        return typing.cast(type, kind)(**{key: _decode(hints[key], item) for key, item in value.items()})
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        if value is None:
            return None
        return _decode(next(choice for choice in arguments if choice is not types.NoneType), value)
    if origin is tuple:
        _expect(value, list, kind)
        return tuple(_decode(arguments[0], item) for item in value)
    if origin is not None:  # Mapping
        _expect(value, dict, kind)
        return {key: _decode(arguments[1], item) for key, item in value.items()}
    _expect(value, (int, float) if kind is float else kind, kind)
    return value


def _expect(value: object, kind: type | tuple[type, ...], name: object) -> None:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"{value!r:.60} is not {name}")
