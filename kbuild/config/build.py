"""Validated document → `Recipe`. Nothing is checked here: every value already obeys the schema and the checks."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kbuild.config.places import KeyPath, key_text
from kbuild.config.recipe import (
    Budget,
    Calibration,
    HlsConfig,
    LayerRules,
    Recipe,
    Setting,
    SweepAxis,
    Synthesis,
    Validation,
)
from kbuild.config.schema import canonical_keys, default_of, percent, properties, recipe_schema, resolved
from kbuild.config.sweep import sweep_path
from kbuild.config.yaml_positions import Data, Document

if TYPE_CHECKING:
    from kbuild.fixed import FixedType

# Keys that only some backends know; what is given is kept as typed, and has no default here.
VENDOR_KEYS = (
    "WriterConfig",
    "AcceleratorConfig",
    "Board",
    "FPGAFamily",
    "Technology",
    "ASICLibs",
    "FIFO",
    "HyperoptHandshake",
)


def build_recipe(document: Document, base_dir: Path, name: str, path: Path | None, live_model: object | None) -> Recipe:
    """The recipe of a document that has no problems."""
    data = _Values(document, base_dir)
    backend: str = data.value("Backend")
    return Recipe(
        name=name,
        path=path,
        base_dir=base_dir,
        keras_h5=data.path("KerasH5"),
        keras_json=data.path("KerasJson"),
        keras_model=data.path("KerasModel"),
        live_model=live_model,
        output_dir=output_dir(document.data, base_dir),
        project_name=data.value("ProjectName"),
        backend=backend,
        part=data.value("Part"),
        clock_period=float(data.value("ClockPeriod")),
        clock_uncertainty=percent(data.value("ClockUncertainty")),
        io_type=data.value("IOType"),
        input_data=data.path("InputData"),
        output_predictions=data.path("OutputPredictions"),
        hls=_hls(document),
        validation=_validation(data),
        calibration=_calibration(data),
        synthesis=_synthesis(data),
        budget=_budget(data),
        sweep=tuple(
            SweepAxis(sweep_path(key), tuple(values)) for key, values in (document.data.get("Sweep") or {}).items()
        ),
        imports=tuple(document.data.get("Imports") or ()),
        vendor={key: document.data[key] for key in VENDOR_KEYS if document.data.get(key) is not None},
        settings=_all_settings(document, backend),
    )


def output_dir(data: Data, base_dir: Path) -> Path:
    """Absolute OutputDir, by default `build/<ProjectName>` beside the recipe."""
    return Path(os.path.normpath(base_dir / (data.get("OutputDir") or default_output_dir(data))))


def default_output_dir(data: Data) -> str:
    """`build/<ProjectName>`."""
    return f"build/{data.get('ProjectName') or default_of('ProjectName', '')}"


def recipe_name(path: Path) -> str:
    """File stem, or the folder's name for `recipe.yml`; fit to be part of a task's and a file's name."""
    name = path.parent.name if path.stem == "recipe" and path.parent.name else path.stem
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name).lstrip("-.") or "recipe"


class _Values:
    """Top-level and nested values with their defaults."""

    def __init__(self, document: Document, base_dir: Path) -> None:
        self._data = document.data
        self._base_dir = base_dir
        self._backend = str(document.data.get("Backend") or default_of("Backend", ""))

    def value(self, *path: str) -> Any:
        """The value given at a path, or the default that the schema states."""
        value: Any = self._data
        schema = resolved(recipe_schema())
        for part in path:
            value = value.get(part) if isinstance(value, dict) else None
            schema = resolved(properties(schema)[part])
        if value is not None:
            return value
        return schema.get("x-defaultByBackend", {}).get(self._backend, schema.get("default"))

    def path(self, *path: str) -> Path | None:
        """The absolute path of a file given at a key path."""
        value = self.value(*path)
        return None if value is None else self._base_dir / value


def _validation(data: _Values) -> Validation:
    return Validation(
        data=data.path("Validation", "Data"),
        reference=data.path("Validation", "Reference"),
        labels=data.path("Validation", "Labels"),
        metric=data.value("Validation", "Metric"),
        minimum=data.value("Validation", "Minimum"),
    )


def _calibration(data: _Values) -> Calibration:
    ranges = data.value("Calibration", "Ranges") or {}
    by_input: Mapping[str, Any] = {"": ranges} if isinstance(ranges, list) else ranges
    return Calibration(
        data=data.path("Calibration", "Data"),
        ranges={name: (float(low), float(high)) for name, (low, high) in by_input.items()},
    )


def _synthesis(data: _Values) -> Synthesis:
    run = data.value("Synthesis", "run")
    return Synthesis(
        run=None if run == "auto" else run,
        place_and_route=data.value("Synthesis", "place_and_route"),
        seed=int(data.value("Synthesis", "seed")),
        effort=data.value("Synthesis", "effort"),
        constraints=data.path("Synthesis", "constraints"),
    )


def _budget(data: _Values) -> Budget:
    fmax = data.value("Budget", "Fmax")
    return Budget(
        lut=data.value("Budget", "LUT"),
        ff=data.value("Budget", "FF"),
        dsp=data.value("Budget", "DSP"),
        bram=data.value("Budget", "BRAM"),
        latency_cycles=data.value("Budget", "LatencyCycles"),
        fmax=None if fmax is None else float(fmax),
    )


def _hls(document: Document) -> HlsConfig:
    config = document.data.get("HLSConfig") or {}
    model = config.get("Model") or {}
    interval, bram, trace = model.get("PipelineInterval"), model.get("BramFactor"), model.get("TraceOutput")
    return HlsConfig(
        model=_rules(document, ("HLSConfig", "Model")),
        layer_type={name: _rules(document, ("HLSConfig", "LayerType", name)) for name in config.get("LayerType") or ()},
        layer_name={name: _rules(document, ("HLSConfig", "LayerName", name)) for name in config.get("LayerName") or ()},
        bram_factor=None if bram is None else int(bram),
        trace_output=None if trace is None else _setting(document, ("HLSConfig", "Model", "TraceOutput"), trace),
        bit_exact=model.get("BitExact"),
        pipeline_style=model.get("PipelineStyle", "auto"),
        pipeline_interval=None if interval is None else int(interval),
    )


def _rules(document: Document, path: KeyPath) -> LayerRules:
    data: Any = document.data
    for part in path:
        data = (data or {}).get(part)
    data = data or {}

    def given(key: str) -> Setting[Any] | None:
        value = data.get(key)
        if isinstance(value, float):
            value = int(value)  # 4.0 is a whole number to the schema
        return None if value is None else _setting(document, (*path, key), value)

    return LayerRules(
        key=document.key(path),
        place=document.key_place(path),
        precision=_precision(document, (*path, "Precision"), data.get("Precision")),
        reuse_factor=given("ReuseFactor"),
        strategy=given("Strategy"),
        table_size=given("TableSize"),
        implementation=given("Implementation"),
        parallelization_factor=given("ParallelizationFactor"),
        conv_implementation=given("ConvImplementation"),
        recurrent_reuse_factor=given("RecurrentReuseFactor"),
        depthwise_reuse_factor=given("DepthwiseReuseFactor"),
        pointwise_reuse_factor=given("PointwiseReuseFactor"),
        target_cycles=given("TargetCycles"),
        compression=given("Compression"),
        trace=given("Trace"),
        skip=given("Skip"),
        static=given("Static"),
    )


def _precision(document: Document, path: KeyPath, data: Any) -> dict[str, Setting[FixedType | None]]:
    if data is None:
        return {}
    if isinstance(data, str):
        return {"default": _setting(document, path, parse_type(data))}
    return {name: _setting(document, (*path, name), parse_type(text)) for name, text in data.items()}


def parse_type(text: str) -> FixedType | None:
    """A type as typed; None for `auto`."""
    if text.strip().casefold() == "auto":
        return None
    from kbuild.fixed import FixedType

    return FixedType.parse(text)


def _setting(document: Document, path: KeyPath, value: Any) -> Setting[Any]:
    place = document.place(path)
    return Setting(value, place.origin(), document.key(path), place)


def _all_settings(document: Document, backend: str) -> dict[str, Setting[Any]]:
    """Every key path that is given or has a default, in the schema's order; values as typed."""
    settings: dict[str, Setting[Any]] = {}

    def walk(schema: Any, data: Any, path: KeyPath) -> None:
        known = canonical_keys(schema)
        for name in [*known, *(key for key in data if key not in known)]:
            sub = resolved(properties(schema).get(name, schema.get("additionalProperties") or {}))
            value, here = data.get(name), (*path, name)
            if isinstance(value, dict) or (value is None and sub.get("type") == "object"):
                walk(sub, value or {}, here)
            elif value is not None:
                settings[key_text(here)] = _setting(document, here, value)
            elif here == ("OutputDir",):
                settings[name] = Setting(default_output_dir(document.data))
            elif here[0] != "HLSConfig" and here[0] not in VENDOR_KEYS:
                default = sub.get("x-defaultByBackend", {}).get(backend, sub.get("default"))
                if default is not None:
                    settings[key_text(here)] = Setting(default)

    walk(resolved(recipe_schema()), document.data, ())
    return settings
