"""The report of synthesis under the names that users of hls4ml know: `read_vivado_report` and its parts."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from kbuild.errors import RecipeError

_REPORT = "reports/synthesize.json"


def parse_vivado_report(hls_dir: str | os.PathLike[str]) -> dict[str, Any]:
    """What the synthesis tool said of the design in an output folder, as `{"CSynthesisReport": {...}}`.

    The keys are hls4ml's, for every backend: TargetClockPeriod and EstimatedClockPeriod in ns, BestLatency and
    WorstLatency, IntervalMin and IntervalMax in cycles, BRAM_18K, DSP, FF, LUT and `Available...` of each. What the
    tool does not know is None. Raises RecipeError where nothing was synthesised.
    """
    path = Path(hls_dir) / _REPORT
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecipeError(f"{os.fspath(hls_dir)}: there is no {_REPORT}; call build(synth=True) first") from None
    timing, resources = found["timing"], found["resources"]
    fmax, available = timing["fmax_mhz"], resources["available"] or {}
    report: dict[str, Any] = {
        "TargetClockPeriod": timing["clock_period_ns"],
        "EstimatedClockPeriod": None if fmax is None else round(1000 / fmax, 3),
        "BestLatency": found["latency_cycles"],
        "WorstLatency": found["latency_cycles"],
        "IntervalMin": found["interval_cycles"],
        "IntervalMax": found["interval_cycles"],
    }
    for name, key in (("BRAM_18K", "bram"), ("DSP", "dsp"), ("FF", "ff"), ("LUT", "lut")):
        report[name], report[f"Available{name}"] = resources[key], available.get(key)
    return {"CSynthesisReport": report}


def print_vivado_report(report_dict: dict[str, Any]) -> None:
    """Print what `parse_vivado_report` returns."""
    for title, report in report_dict.items():
        print(f"{title}:")
        for name, value in report.items():
            print(f"  {name}: {'unknown' if value is None else value}")


def read_vivado_report(hls_dir: str | os.PathLike[str], full_report: bool = False) -> None:
    """Print the report of an output folder, always all of it. Raises RecipeError where there is none."""
    print_vivado_report(parse_vivado_report(hls_dir))
