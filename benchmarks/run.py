"""kbuild beside hls4ml, Keras and da4ml, each in turn on this machine: prints a table and writes JSON.

    make benchmarks        or        python benchmarks/run.py --models FOLDER --peer PEER/bin/python

Every figure is the best of ROUNDS runs in which the two sides take turns; what counts is their ratio.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import mlp
import networks
import sizes
from measuring import Bench, Row

MEASURES: dict[str, Callable[[Bench], list[Row]]] = {
    "emit": mlp.emit,
    "csim": mlp.csim,
    "emulator": mlp.emulator,
    "cnn": networks.cnn,
    "lstm": networks.lstm,
    "resnet8": networks.resnet8,
    "wide": sizes.wide_model,
    "luts": sizes.luts,
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
