"""What a design is printed for."""

from __future__ import annotations

from kbuild.dataclass import dataclass


@dataclass(frozen=True)
class Target:
    """A backend with its part and clock. `project_name` is a C identifier and names the top function or module."""

    backend: str  # as in the recipe: "Vivado", "Vitis", "Yosys"
    project_name: str
    part: str
    clock_period: float  # ns
    clock_uncertainty: float  # fraction of the period
    io_type: str  # "io_parallel" or "io_stream"
