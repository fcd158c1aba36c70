"""What depends on size: a model of ten million weights, and the area of a network in logic cells."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import projects
import yaml
from measuring import KBUILD, Bench, Row, at_most, fastest, least
from processes import Run, run, worker

from kbuild.config import find_part
from kbuild.tools.yosys import synthesize

ECP5, XILINX = "LFE5U-85F-6BG381C", "xcvu13p-flga2577-2-e"


def wide_model(bench: Bench) -> list[Row]:
    """A model of ten million weights: parse and optimise against reading the file; memory against the weights."""
    model = bench.scratch / "wide.h5"
    made = worker(bench.peer, "peer_worker.py", "wide", output=model, widths=projects.WIDE)
    settings = {"Strategy": "Resource", "ReuseFactor": 1024, "Precision": "auto"}  # as much as Vitis unrolls
    recipe = projects.write_recipe(bench.scratch / "wide", KerasH5=model, HLSConfig={"Model": settings})

    def ours() -> Run:
        shutil.rmtree(recipe.parent / "out", ignore_errors=True)
        return run([KBUILD, "build", recipe, "--to", "optimize"], bench.cache("wide", empty=True))

    mine, theirs = bench.turns(ours, lambda: worker(sys.executable, "kbuild_worker.py", "read", model=model))
    seconds, reading = fastest(mine), fastest(theirs)
    weights_mb = least(theirs, "bytes") / 1e6
    peak, limit = min(run.peak_mb for run in mine), 10 * weights_mb + 150
    size = f"{made.result['weights'] / 1e6:.1f} M weights"
    return [
        at_most(f"parse + optimise, {size}", f"{seconds:.2f} s", f"h5py read {reading:.2f} s", seconds / reading, 3),
        at_most(f"peak memory, {size}", f"{peak:.0f} MB", f"limit {limit:.0f} MB", peak / limit, 1),
    ]


def luts(bench: Bench) -> list[Row]:
    """The digits network without its softmax, and HGQ's jet tagger, beside da4ml's Verilog of the same."""
    digits = projects.digits_without_softmax(bench.scratch / "digits")
    rows = [compared(bench, "digits' dense layers", Design(digits, digits.parent / "x_test.npy", "digits", ECP5))]
    for part in (ECP5, XILINX):
        recipe, data, golden = projects.published_hgq(bench.models, bench.scratch / f"jet-{part.split('-')[0]}", part)
        design = Design(recipe, data, "hgq", part, golden)
        rows.append(compared(bench, "hgq_jet_classifier", design))
    return rows


@dataclass(frozen=True)
class Design:
    """A recipe for Yosys, a file of inputs, what makes the same network in da4ml, and what a library predicts."""

    recipe: Path
    data: Path
    action: str
    part: str
    golden: np.ndarray | None = None


def compared(bench: Bench, name: str, design: Design) -> Row:
    """Both designs through one and the same Yosys script; what both compute, in Verilator, must be equal."""
    folder = design.recipe.parent
    cache = bench.cache(folder.name, empty=False)
    run([KBUILD, "build", design.recipe, "--to", "simulate"], cache)
    ours, theirs = folder / "kbuild.npy", folder / "da4ml.npy"
    run([KBUILD, "predict", design.recipe, "--engine", "rtl", "--input", design.data, "--output", ours], cache)
    config = yaml.safe_load(design.recipe.read_text())
    model = folder / next(config[key] for key in ("KerasModel", "KerasH5") if key in config)
    peer = worker(
        sys.executable, "da4ml_worker.py", design.action,
        model=model, output=folder / "da4ml", data=design.data, found=theirs,
    )  # fmt: skip
    found = np.load(ours)
    if not all(np.array_equal(found, other) for other in (np.load(theirs), design.golden) if other is not None):
        raise SystemExit(f"{name}: the designs do not compute the same")
    simulated = json.loads((folder / "build" / "reports" / "simulate.json").read_text())
    sides = {
        "kbuild": sorted((folder / "build" / "firmware").glob("*.v")),
        # Its wrapper is for simulation; its table module reads a file that only designs with tables have.
        "da4ml": [
            path for path in sorted((folder / "da4ml" / "src").rglob("*.v"))
            if path.stem not in ("network_wrapper", "lookup_table")
        ],
    }  # fmt: skip
    tops = {"kbuild": config["ProjectName"], "da4ml": "network"}
    cells = {
        side: synthesize(
            sources, tops[side], find_part(design.part),
            workdir=folder / f"yosys-{side}", clock_period_ns=config["ClockPeriod"],
        ).resources
        for side, sources in sides.items()
    }  # fmt: skip
    return at_most(
        f"LUTs of {name}, {design.part.split('-')[0]}",
        f"{cells['kbuild'].lut:,} ({cells['kbuild'].ff:,} FF, {simulated['latency_cycles']} cycles)",
        f"da4ml {cells['da4ml'].lut:,} ({cells['da4ml'].ff:,} FF, {peer.result['latency']} cycles)",
        cells["kbuild"].lut / cells["da4ml"].lut,
        1,
    )
