"""What `reports/parse.json` and `reports/optimize.json` hold.

Reports are frozen dataclasses, which `documents.py` turns into JSON and back. A field's name is its key in the JSON
document; the published schemas are `schemas/<name>.schema.json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from kbuild.dataclass import dataclass


@dataclass(frozen=True)
class Port:
    """An input or output of the model; the shape is without the samples' axis."""

    name: str
    shape: tuple[int, ...]
    type: str | None = None


@dataclass(frozen=True)
class ParsedLayer:
    """A layer as it was read."""

    name: str
    class_name: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    parameters: int


@dataclass(frozen=True)
class ParseReport:
    """The model as it was read. `format` is h5, json, keras or live; files are relative to the recipe."""

    SCHEMA: ClassVar[str] = "kbuild/parse/1"

    model: str
    format: str
    files: tuple[str, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    layers: tuple[ParsedLayer, ...]
    parameters: int
    keras_version: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class OptimizedLayer:
    """A layer as it will be built: `types` by variable (result, weight, bias, accum, table, ...)."""

    name: str
    class_name: str
    shape: tuple[int, ...]
    types: Mapping[str, str]
    strategy: str | None = None
    reuse_factor: int | None = None
    multiplications: int | None = None
    table_error: float | None = None  # the largest, against the true function
    inexact: str | None = None  # of a model that is kept exact: why this is not
    error_bound: float | None = None  # and by how much it is off at most, on the same inputs, without overflows


@dataclass(frozen=True)
class PassRun:
    """A pass that ran, and the number of nodes after it."""

    name: str
    nodes: int


@dataclass(frozen=True)
class OptimizeReport:
    """The graph as it will be built."""

    SCHEMA: ClassVar[str] = "kbuild/optimize/1"

    backend: str
    io_type: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    layers: tuple[OptimizedLayer, ...]
    passes: tuple[PassRun, ...]
    notes: tuple[str, ...] = ()
