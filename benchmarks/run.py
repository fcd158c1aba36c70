"""kbuild beside hls4ml, Keras and da4ml, each in turn on this machine: prints a table and writes JSON.

    make benchmarks        or        python benchmarks/run.py --models FOLDER --peer PEER/bin/python

Every figure is the best of ROUNDS runs in which the two sides take turns; what counts is their ratio.
"""

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import projects
from processes import Run, run, worker

KBUILD = Path(sys.executable).parent / "kbuild"
SAMPLES_OURS, SAMPLES_HLS4ML, SAMPLES_KERAS = 400_000, 10_000, 400_000


@dataclass(frozen=True)
class Row:
    """One measure. `ratio` sets the two sides against each other as the goal words it."""

    measure: str
    ours: str
    peer: str
    ratio: float
    goal: str
    reached: bool


class Bench:
    """Where things are, and the cache folder that each measurement starts with."""

    def __init__(self, models: Path, peer: Path, scratch: Path, rounds: int) -> None:
        self.mlp = projects.published_mlp(models)
        self.peer, self.scratch, self.rounds = peer, scratch, rounds
        self.keras = {"architecture": self.mlp.architecture, "weights": self.mlp.weights}

    def recipe(self, name: str, weights: Path | None = None, default_types: bool = False) -> Path:
        keys = {"HLSConfig": {"Model": {"ReuseFactor": 1}}} if default_types else {}
        return projects.write_recipe(
            self.scratch / name, KerasJson=self.mlp.architecture, KerasH5=weights or self.mlp.weights, **keys
        )

    def cache(self, name: str, *, empty: bool) -> dict[str, str]:
        folder = self.scratch / "cache" / name
        if empty:
            shutil.rmtree(folder, ignore_errors=True)
        return {"KBUILD_CACHE": str(folder)}

    def turns(self, *sides: Callable[[], Run]) -> list[list[Run]]:
        """Each side's runs, the sides taking turns."""
        rounds = [[side() for side in sides] for _ in range(self.rounds)]
        return [list(runs) for runs in zip(*rounds, strict=True)]


def fastest(runs: list[Run]) -> float:
    return min(run.seconds for run in runs)


def least(runs: list[Run], key: str) -> float:
    return min(run.result[key] for run in runs)


def most(runs: list[Run], key: str) -> float:
    return max(run.result[key] for run in runs)


def at_least(measure: str, ours: str, peer: str, ratio: float, bound: float) -> Row:
    return Row(measure, ours, peer, ratio, f"≥ {bound:g} \u00d7", ratio >= bound)


def at_most(measure: str, ours: str, peer: str, ratio: float, bound: float) -> Row:
    return Row(measure, ours, peer, ratio, f"≤ {bound:g} \u00d7", ratio <= bound)


def emit(bench: Bench) -> list[Row]:
    """Whole processes, from nothing to written HLS sources; then again with nothing changed."""
    recipe = bench.recipe("emit")
    command = [KBUILD, "build", recipe, "--to", "emit"]

    def cold() -> Run:
        shutil.rmtree(recipe.parent / "out", ignore_errors=True)
        return run(command, bench.cache("emit", empty=True))

    def peer() -> Run:
        return worker(bench.peer, "peer_worker.py", "emit", **bench.keras, output=bench.scratch / "hls4ml")

    def again() -> Run:
        return run(command, bench.cache("emit", empty=False))

    ours, theirs, unchanged = map(fastest, bench.turns(cold, peer, again))
    return [
        at_least("emit, whole process, cold cache", f"{ours:.2f} s", f"hls4ml {theirs:.2f} s", theirs / ours, 10),
        at_most("the same, nothing changed", f"{unchanged:.2f} s", "limit 0.3 s", unchanged / 0.3, 1),
    ]


def csim(bench: Bench) -> list[Row]:
    """The C simulation: compile it, compile it for other weights, and its throughput."""
    recipe = bench.recipe("csim")
    changed = bench.recipe("csim-changed", projects.other_weights(bench.mlp, bench.scratch))

    def ours() -> Run:
        for path in (recipe, changed):
            shutil.rmtree(path.parent / "out", ignore_errors=True)
        return worker(
            sys.executable, "kbuild_worker.py", "csim", bench.cache("csim", empty=True),
            recipe=recipe, other_weights=changed, data=bench.mlp.data, samples=SAMPLES_OURS,
        )  # fmt: skip

    def peer() -> Run:
        output = bench.scratch / "hls4ml-csim"
        shutil.rmtree(output, ignore_errors=True)
        return worker(
            bench.peer, "peer_worker.py", "csim",
            **bench.keras, output=output, data=bench.mlp.data, samples=SAMPLES_HLS4ML,
        )  # fmt: skip

    mine, theirs = bench.turns(ours, peer)
    compile_ours, compile_peer = least(mine, "compile"), least(theirs, "compile")
    again = least(mine, "recompile")
    speed_ours, speed_peer = most(mine, "samples_per_second"), most(theirs, "samples_per_second")
    return [
        at_least(
            "C simulation: compile", f"{compile_ours:.2f} s", f"hls4ml {compile_peer:.2f} s",
            compile_peer / compile_ours, 10,
        ),
        at_least(
            "C simulation: compile, other weights", f"{again:.3f} s", f"hls4ml {compile_peer:.2f} s",
            compile_peer / again, 10,
        ),
        at_least(
            "C simulation: throughput", f"{speed_ours:,.0f} samples/s", f"hls4ml {speed_peer:,.0f} samples/s",
            speed_ours / speed_peer, 50,
        ),
    ]  # fmt: skip


def emulator(bench: Bench) -> list[Row]:
    """With the default types, and where every product is rounded on its own, which no matrix product can do."""
    default, rounded = bench.recipe("emulate", default_types=True), bench.recipe("emulate-rounded")

    def ours(recipe: Path) -> Run:
        return worker(
            sys.executable, "kbuild_worker.py", "emulate", bench.cache(recipe.parent.name, empty=True),
            recipe=recipe, data=bench.mlp.data, samples=SAMPLES_KERAS,
        )  # fmt: skip

    def peer() -> Run:
        return worker(
            bench.peer, "peer_worker.py", "predict", **bench.keras, data=bench.mlp.data, samples=SAMPLES_KERAS
        )

    *mine, theirs = bench.turns(lambda: ours(default), lambda: ours(rounded), peer)
    keras = most(theirs, "samples_per_second")
    speeds = [most(runs, "samples_per_second") for runs in mine]
    return [
        at_least(f"emulator: throughput, {types}", f"{speed:,.0f} samples/s", f"Keras float {keras:,.0f} samples/s",
                 speed / keras, 0.5)
        for types, speed in zip(("default types", projects.PRECISION), speeds, strict=True)
    ]  # fmt: skip


def wide_model(bench: Bench) -> list[Row]:
    """A model of ten million weights: parse and optimise against reading the file; memory against the weights."""
    model = bench.scratch / "wide.h5"
    made = worker(bench.peer, "peer_worker.py", "wide", output=model, widths=projects.WIDE)
    recipe = projects.write_recipe(
        bench.scratch / "wide", KerasH5=model, HLSConfig={"Model": {"Strategy": "Resource", "Precision": "auto"}}
    )

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


MEASURES: dict[str, Callable[[Bench], list[Row]]] = {
    "emit": emit,
    "csim": csim,
    "emulator": emulator,
    "wide": wide_model,
    "luts": luts,
}


def table(rows: list[Row]) -> str:
    lines = ["| measure | kbuild | beside it | ratio | goal | |", "| --- | --- | --- | --- | --- | --- |"]
    for row in rows:
        mark = "reached" if row.reached else "missed"
        lines.append(f"| {row.measure} | {row.ours} | {row.peer} | {row.ratio:.3g} \u00d7 | {row.goal} | {mark} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, default=os.environ.get("KBUILD_MODELS"), help="the published models")
    parser.add_argument("--peer", type=Path, required=True, help="the Python of hls4ml's environment")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=MEASURES, nargs="+", default=list(MEASURES))
    parser.add_argument("--output", type=Path, default=Path("build/benchmarks.json"))
    options = parser.parse_args()
    if options.models is None:
        parser.error("--models (or KBUILD_MODELS) must name the folder of the published models")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="kbuild-benchmark-") as scratch:
        bench = Bench(Path(options.models).resolve(), options.peer.absolute(), Path(scratch), options.rounds)
        for name in options.only:
            print(f"{name} …", file=sys.stderr, flush=True)
            rows += MEASURES[name](bench)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "schema": "kbuild/benchmarks/1",
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "rounds": options.rounds,
        "rows": [asdict(row) for row in rows],
    }
    options.output.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
