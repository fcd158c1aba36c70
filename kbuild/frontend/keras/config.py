"""Typed access to the configuration of a layer. A value of another type is a sentence, not a crash."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from kbuild.errors import UnsupportedModel
from kbuild.frontend.keras.safety import quoted


class Config:
    """The settings of one layer. Every method raises UnsupportedModel that names the layer and the key.

    keras: the major version that saved the model, where the same words mean different things in 2 and 3.
    """

    def __init__(self, layer: str, class_name: str, values: Mapping[str, object], keras: int = 3) -> None:
        self.layer, self.class_name, self.values, self.keras = layer, class_name, values, keras

    def inner(self, key: str) -> Config:
        """The settings of the layer that is serialized under a key of this one."""
        value = self.values.get(key)
        settings = value.get("config") if isinstance(value, Mapping) else None
        if not isinstance(value, Mapping) or not isinstance(settings, Mapping):
            raise self._wrong(key, "a serialized layer")
        return Config(self.layer, str(value.get("class_name")), settings, self.keras)

    def error(self, sentence: str) -> UnsupportedModel:
        """An error about this layer."""
        return UnsupportedModel(f"the layer {quoted(self.layer)} ({quoted(self.class_name)[1:-1]}): {sentence}")

    def _wrong(self, key: str, expected: str) -> UnsupportedModel:
        value = self.values.get(key)
        shown = quoted(value) if isinstance(value, str) else quoted(value)[1:-1]
        return self.error(f"{key} is {shown}, not {expected}")

    def has(self, key: str) -> bool:
        """Whether the key is there and not null."""
        return self.values.get(key) is not None

    def raw(self, key: str) -> object:
        """The value as it stands in the file; None where there is none."""
        return self.values.get(key)

    def flag(self, key: str, default: bool) -> bool:
        """A boolean; 1 and 0 count as true and false, as they do for Keras."""
        value = self.values.get(key, default)
        if value is True or value is False:
            return value
        if isinstance(value, int | float) and value in (0, 1):
            return value == 1
        raise self._wrong(key, "true or false")

    def integer(self, key: str, default: int | None = None) -> int:
        """An integer; 3.0 counts as one."""
        value = self.values.get(key, default)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._wrong(key, "an integer")
        return value

    def number(self, key: str, default: float) -> float:
        """A finite number. Keras writes numbers that were NumPy's as `{"type": "...", "value": 0.3}` or as [0.3]."""
        value = self.values.get(key, default)
        if isinstance(value, Mapping) and "value" in value:
            value = value["value"]
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self._wrong(key, "a finite number")
        return float(value)

    def optional_number(self, key: str) -> float | None:
        """A finite number, or None where it is null or missing."""
        return self.number(key, 0.0) if self.has(key) else None

    def text(self, key: str, default: str) -> str:
        """A string."""
        value = self.values.get(key, default)
        if not isinstance(value, str):
            raise self._wrong(key, "a string")
        return value

    def sizes(self, key: str, rank: int, default: int | None = None) -> tuple[int, ...]:
        """A positive integer for each of `rank` axes; one that stands alone is for all of them."""
        value = _items(self.values.get(key, default))
        values = value if isinstance(value, list) else [value] * rank
        if len(values) != rank or not all(_is_integer(v) and v >= 1 for v in values):
            raise self._wrong(key, "a positive integer" + (f", or {rank} of them" if rank > 1 else ""))
        return tuple(values)

    def pairs(self, key: str, rank: int) -> tuple[tuple[int, int], ...]:
        """Counts (before, after) for each of `rank` axes; one count for both, or for all axes, is repeated."""
        value = _items(self.values.get(key))
        each = value if isinstance(value, list) and rank > 1 else [value] * rank
        found = [_items(v) if isinstance(_items(v), list) else [v, v] for v in each]
        if len(found) != rank or not all(
            len(pair) == 2 and all(_is_integer(v) and v >= 0 for v in pair) for pair in found
        ):
            raise self._wrong(key, f"counts before and after, for {rank} axes" if rank > 1 else "two counts")
        return tuple((before, after) for before, after in found)

    def integers(self, key: str) -> tuple[int | None, ...]:
        """A list of integers or nulls, as shapes are."""
        value = self.values.get(key)
        if isinstance(value, Mapping) and value.get("class_name") == "__tuple__":
            value = value.get("items")
        if not isinstance(value, list) or not all(
            v is None or (isinstance(v, int) and not isinstance(v, bool)) for v in value
        ):
            raise self._wrong(key, "a list of integers")
        return tuple(value)


def _items(value: Any) -> Any:
    """A list also where Keras writes a tuple."""
    return value.get("items") if isinstance(value, Mapping) and value.get("class_name") == "__tuple__" else value


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
