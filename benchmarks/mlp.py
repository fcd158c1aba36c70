"""The published MLP: writing the project, its C simulation, its emulation."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import projects
from measuring import KBUILD, Bench, Row, at_least, at_most, fastest, least, most
from processes import Run, run, worker

SAMPLES_OURS, SAMPLES_HLS4ML, SAMPLES_KERAS = 400_000, 10_000, 400_000


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
