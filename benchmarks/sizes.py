"""What depends on size: a model of ten million weights, and the area of a network in logic cells."""

from __future__ import annotations

import json
import shutil
import sys

import projects
from measuring import KBUILD, Bench, Row, at_most, fastest, least
from processes import Run, run, worker


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
    """Both designs of the digits network (without its softmax) through one and the same Yosys script."""
    from kbuild.config import find_part
    from kbuild.tools.yosys import synthesize

    recipe = projects.digits_without_softmax(bench.scratch / "digits")
    run([KBUILD, "build", recipe, "--to", "simulate"], bench.cache("digits", empty=False))
    simulated = json.loads((recipe.parent / "build" / "reports" / "simulate.json").read_text())
    theirs = bench.scratch / "da4ml"
    worker(
        sys.executable, "digits_da4ml.py", "verilog",
        output=theirs, labels_agree=simulated["accuracy"]["fixed_accuracy"],
    )
    sides = {
        "kbuild": sorted((recipe.parent / "build" / "firmware").glob("*.v")),
        # Its wrapper is for simulation; its table module reads a file that only designs with tables have.
        "da4ml": [
            path for path in sorted((theirs / "src").rglob("*.v"))
            if path.stem not in ("digits_wrapper", "lookup_table")
        ],
    }  # fmt: skip
    reports = {
        name: synthesize(
            sources, "digits", find_part("LFE5U-85F-6BG381C"),
            workdir=bench.scratch / f"yosys-{name}", clock_period_ns=10,
        )
        for name, sources in sides.items()
    }  # fmt: skip
    ours, peer = reports["kbuild"].resources.lut, reports["da4ml"].resources.lut
    return [at_most("LUT4 of digits' dense layers, ECP5", f"{ours:,}", f"da4ml {peer:,}", ours / peer, 1)]
