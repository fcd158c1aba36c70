"""What `simulate.json`, `synthesize.json` and `build.json` hold, as `graphs.py` says for the other reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from kbuild.dataclass import dataclass

# -- synthesize.json -----------------------------------------------------------------


@dataclass(frozen=True)
class Resources:
    """What a design takes of a device, in the device's own blocks.

    lut: look-up tables (4-input on ECP5, iCE40, Gowin; up to 6-input on Xilinx; ALUTs on Cyclone V).
    ff: flip-flops. dsp: multiplier blocks (MULT18X18D, SB_MAC16, DSP48, variable-precision DSP, ...).
    bram: block memories of the smallest size that can be taken alone (ECP5, Gowin and Xilinx 18 kbit, so a
    RAMB36 counts as 2; iCE40 4 kbit; Cyclone V M10K).
    available: the same keys, as many as the part has, where known.
    """

    lut: int
    ff: int
    dsp: int
    bram: int
    available: Mapping[str, int] | None = None


@dataclass(frozen=True)
class Timing:
    """`fmax_mhz` and `met` are None where nothing was placed and the tool gave no estimate."""

    fmax_mhz: float | None
    clock_period_ns: float
    met: bool | None


@dataclass(frozen=True)
class SynthesisReport:
    """One synthesis of the design. `source` is the step that the figures are from, e.g. nextpnr or vitis_hls."""

    SCHEMA: ClassVar[str] = "kbuild/synthesize/1"

    tool: str
    version: str
    part: str
    source: str
    resources: Resources
    timing: Timing
    latency_cycles: int | None = None
    interval_cycles: int | None = None
    cells: Mapping[str, int] | None = None  # the netlist's primitives, where the tool lists them
    bitstream: str | None = None  # relative to OutputDir
    notes: tuple[str, ...] = ()


# -- simulate.json -------------------------------------------------------------------


@dataclass(frozen=True)
class EngineRun:
    """One engine on the data set; `mismatches` counts samples that differ from the emulator in any output."""

    samples: int
    seconds: float
    mismatches: int


@dataclass(frozen=True)
class Reference:
    """Agreement of the outputs with floating point: `source` is keras, file or float (the graph in float64)."""

    source: str
    samples: int
    argmax_agreement: float | None  # of 1; None for regressions
    max_abs_error: float
    mean_abs_error: float
    largest_output: float  # magnitude, of the reference: what errors are judged by


@dataclass(frozen=True)
class LayerResult:
    """One layer on the data set; the error is against the reference, None where that has no such layer.

    Values that a quantizer of the model cuts off are no overflows.
    """

    name: str
    type: str  # of its result, e.g. fixed<16,6>
    overflows: int
    max_abs_error: float | None
    class_name: str | None = None
    enough_integer_bits: int | None = None  # the integer width that would not have overflowed


@dataclass(frozen=True)
class DataSet:
    """What the engines ran on: `source` is file or random; a note says what that means for the figures."""

    source: str
    samples: int
    note: str | None = None


@dataclass(frozen=True)
class FifoResult:
    """A FIFO between two processes of a design with streams, in packets of `width_bits` bits.

    occupancy: the most packets that were in it at once, in the C simulation with FIFOs of these depths.
    """

    name: str
    producer: str
    consumer: str
    width_bits: int
    depth: int
    occupancy: int


@dataclass(frozen=True)
class Accuracy:
    """Share of samples whose argmax is the true label, in floating point and as built."""

    samples: int
    float_accuracy: float
    fixed_accuracy: float


@dataclass(frozen=True)
class Validation:
    """What the recipe's `Validation` asked for, and whether it holds: None where it asks for no minimum."""

    metric: str
    value: float
    minimum: float | None
    met: bool | None


@dataclass(frozen=True)
class SimulationReport:
    """The engines against one another and against floating point."""

    SCHEMA: ClassVar[str] = "kbuild/simulate/1"

    engines: Mapping[str, EngineRun]
    dataset: DataSet
    reference: Reference
    layers: tuple[LayerResult, ...]
    latency_cycles: int | None = None  # from the RTL simulation
    interval_cycles: int | None = None
    accuracy: Accuracy | None = None
    validation: Validation | None = None
    fifos: tuple[FifoResult, ...] = ()  # with io_stream
    notes: tuple[str, ...] = ()


# -- build.json ----------------------------------------------------------------------


@dataclass(frozen=True)
class StageRun:
    """A stage of a build: done, cached (its result was known), skipped or failed, and why."""

    name: str
    status: str
    seconds: float
    reason: str | None = None


@dataclass(frozen=True)
class BudgetLine:
    """A limit of the recipe's `Budget`; `value` is None where nothing measured it."""

    key: str
    limit: float
    value: float | None
    met: bool | None


@dataclass(frozen=True)
class BuildReport:
    """The whole build on one page."""

    SCHEMA: ClassVar[str] = "kbuild/build/1"

    project: str
    kbuild: str  # version
    backend: str
    part: str
    io_type: str
    clock_period_ns: float
    stages: tuple[StageRun, ...]
    reference: Reference | None = None
    accuracy: Accuracy | None = None
    validation: Validation | None = None
    resources: Resources | None = None
    timing: Timing | None = None
    latency_cycles: int | None = None
    interval_cycles: int | None = None
    budget: tuple[BudgetLine, ...] = ()
    notes: tuple[str, ...] = ()
