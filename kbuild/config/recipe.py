"""A checked recipe as typed, frozen data, and how it is made from a validated document."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from kbuild.config.parts import Part, find_part
from kbuild.config.places import NOWHERE, Place, key_text
from kbuild.dataclass import dataclass, field

if TYPE_CHECKING:
    from kbuild.fixed import FixedType

T = TypeVar("T")

DEFAULT = "default"


@dataclass(frozen=True)
class Setting(Generic[T]):
    """A value, and where it comes from.

    `origin` is `default`, `<file>:<line>`, `--set` or `argument`; `key` is the key path as it was typed.
    """

    value: T
    origin: str = DEFAULT
    key: str = ""
    place: Place = NOWHERE


@dataclass(frozen=True)
class LayerRules:
    """What the recipe says at one level (the model, a layer type, a layer name); None where it says nothing.

    `precision` maps a variable, or `default` for those not named, to its type; a type of None means `auto`.
    """

    key: str = ""
    place: Place = NOWHERE
    precision: Mapping[str, Setting[FixedType | None]] = field(default_factory=dict)
    reuse_factor: Setting[int] | None = None
    strategy: Setting[str] | None = None
    table_size: Setting[int] | None = None
    implementation: Setting[str] | None = None
    parallelization_factor: Setting[int] | None = None
    conv_implementation: Setting[str] | None = None
    recurrent_reuse_factor: Setting[int] | None = None
    depthwise_reuse_factor: Setting[int] | None = None
    pointwise_reuse_factor: Setting[int] | None = None
    target_cycles: Setting[int] | None = None
    compression: Setting[bool] | None = None
    trace: Setting[bool] | None = None
    skip: Setting[bool] | None = None
    static: Setting[bool] | None = None


@dataclass(frozen=True)
class HlsConfig:
    """`HLSConfig`: rules for the model, by layer type and by layer name, and settings of the whole design."""

    model: LayerRules = LayerRules()
    layer_type: Mapping[str, LayerRules] = field(default_factory=dict)
    layer_name: Mapping[str, LayerRules] = field(default_factory=dict)
    bram_factor: int | None = None
    trace_output: Setting[bool] | None = None
    bit_exact: bool | None = None
    pipeline_style: str = "auto"
    pipeline_interval: int | None = None


@dataclass(frozen=True)
class Validation:
    """How the fixed-point design is compared with the trained model; `metric` is held against `minimum`."""

    data: Path | None
    reference: Path | None
    labels: Path | None
    metric: str
    minimum: float | None


@dataclass(frozen=True)
class Calibration:
    """What is known about the inputs. `ranges` maps an input's name, or `""` for every input, to (low, high)."""

    data: Path | None
    ranges: Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Synthesis:
    """Whether and how the backend's tool runs; `run` None means: if the tool is here.

    cosim, export: what `build` of the Python API asks for: C/RTL co-simulation and an IP of the HLS tool.
    """

    run: bool | None
    place_and_route: bool
    seed: int
    effort: str
    constraints: Path | None
    cosim: bool = False
    export: bool = False


@dataclass(frozen=True)
class Budget:
    """Limits of the design; None is no limit. `fmax` is a lower bound in MHz, the others are upper bounds."""

    lut: int | None
    ff: int | None
    dsp: int | None
    bram: int | None
    latency_cycles: int | None
    fmax: float | None


@dataclass(frozen=True)
class SweepAxis:
    """A key path of the recipe and the values to try there, as they would be typed."""

    key: tuple[str, ...]
    values: tuple[Any, ...]

    def overrides(self) -> list[str]:
        """One `key.path=value` string for each value, as `load_recipe` takes them (JSON is YAML)."""
        return [f"{key_text(self.key)}={json.dumps(value)}" for value in self.values]


@dataclass(frozen=True)
class Recipe:
    """One checked recipe. Paths are absolute; `clock_period` is in ns, `clock_uncertainty` a fraction of it.

    `live_model` is the object given under KerasModel through the Python API. `vendor` holds the keys that only some
    backends know (Board, AcceleratorConfig, WriterConfig …) as typed. `settings` maps every key path to its value as
    typed and where it comes from: what `recipe.lock.yml` records.
    """

    name: str
    path: Path | None
    base_dir: Path
    keras_h5: Path | None
    keras_json: Path | None
    keras_model: Path | None
    live_model: object | None
    output_dir: Path
    project_name: str
    backend: str
    part: str
    clock_period: float
    clock_uncertainty: float
    io_type: str
    input_data: Path | None
    output_predictions: Path | None
    hls: HlsConfig
    validation: Validation
    calibration: Calibration
    synthesis: Synthesis
    budget: Budget
    sweep: tuple[SweepAxis, ...]
    imports: tuple[str, ...]
    vendor: Mapping[str, Any]
    settings: Mapping[str, Setting[Any]]

    @property
    def fpga(self) -> Part:
        """The part with its family and what is on it."""
        return find_part(self.part)

    def at(self, *path: str) -> Place:
        """Where a key stands in the file, for an error about it; a place without a line where it is not given."""
        setting = self.settings.get(key_text(path))
        return setting.place if setting else Place(str(self.path) if self.path else "")
