"""A small CNN, an LSTM and ResNet8: C simulation beside hls4ml's, emulator beside Keras."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import projects
from measuring import Bench, Row, at_least, least, most
from processes import Run, worker

NEAR = 2.0**-6  # 16 LSBs: tables of hls4ml have other entries


@dataclass(frozen=True)
class Network:
    """One of `peer_models.py`, and how many samples each side gets to show its speed.

    hls4ml takes a quarter of a second for each image of ResNet8.
    """

    name: str
    title: str
    io_types: tuple[str, ...]
    strategy: str
    csim: int
    hls4ml: int
    keras: int
    emulator: int


CNN = Network("cnn", "CNN", ("io_parallel", "io_stream"), "Latency", 40_000, 2_000, 40_000, 20_000)
LSTM = Network("lstm", "LSTM", ("io_parallel",), "Latency", 40_000, 2_000, 40_000, 20_000)
RESNET8 = Network("resnet8", "ResNet8", ("io_stream",), "Resource", 1_000, 16, 1_000, 256)


def cnn(bench: Bench) -> list[Row]:
    """Convolutions and poolings."""
    return _rows(bench, CNN)


def lstm(bench: Bench) -> list[Row]:
    """A recurrent layer."""
    return _rows(bench, LSTM)


def resnet8(bench: Bench) -> list[Row]:
    """A residual network of 12.5 million multiplications."""
    return _rows(bench, RESNET8)


def _rows(bench: Bench, network: Network) -> list[Row]:
    rows = [row for io_type in network.io_types for row in _csim(bench, network, io_type)]
    return [*rows, *_emulator(bench, network)]


def _csim(bench: Bench, network: Network, io_type: str) -> list[Row]:
    name = f"{network.name}-{io_type}"
    keras = projects.keras_network(bench.networks, network.name)
    reuse = projects.row_at_a_time(keras) if network.strategy == "Resource" else {}
    model = {"Precision": projects.PRECISION, "ReuseFactor": 1, "Strategy": network.strategy}
    recipe = _recipe(bench, name, keras, io_type, model, reuse)
    outputs = {side: bench.scratch / f"{name}-{side}.npy" for side in ("kbuild", "hls4ml")}

    def ours() -> Run:
        shutil.rmtree(recipe.parent / "out", ignore_errors=True)
        return worker(
            sys.executable, "kbuild_worker.py", "csim", bench.cache(name, empty=True),
            recipe=recipe, data=keras.data, samples=network.csim, outputs=outputs["kbuild"],
        )  # fmt: skip

    def peer() -> Run:
        output = bench.scratch / f"hls4ml-{name}"
        shutil.rmtree(output, ignore_errors=True)
        return worker(
            bench.peer, "peer_worker.py", "csim",
            architecture=keras.architecture, weights=keras.weights, output=output, io_type=io_type,
            strategy=network.strategy, reuse=reuse, data=keras.data, samples=network.hls4ml, outputs=outputs["hls4ml"],
        )  # fmt: skip

    mine, theirs = bench.turns(ours, peer)
    compiles, speeds = [[f(runs, key) for runs in (mine, theirs)]
                        for f, key in ((least, "compile"), (most, "samples_per_second"))]  # fmt: skip
    title = f"{network.title}, {io_type}"
    return [
        at_least(f"{title}: compile", f"{compiles[0]:.2f} s", f"hls4ml {compiles[1]:.1f} s",
                 compiles[1] / compiles[0], 10),
        at_least(f"{title}: throughput", f"{speeds[0]:,.0f} samples/s", f"hls4ml {speeds[1]:,.0f} samples/s",
                 speeds[0] / speeds[1], 50),
        _alike(title, *(np.load(path) for path in outputs.values())),
    ]  # fmt: skip


def _alike(title: str, ours: np.ndarray, theirs: np.ndarray) -> Row:
    """Both must compute the same network for the other rows to mean anything."""
    count = min(len(ours), len(theirs))
    difference = np.abs(ours[:count] - theirs[:count])
    farthest = f"largest difference {difference.max():.2g}"
    share = float(np.mean(difference <= NEAR))
    return at_least(f"{title}: outputs within 2^-6", f"{difference.size} outputs", farthest, share, 1)


def _emulator(bench: Bench, network: Network) -> list[Row]:
    keras = projects.keras_network(bench.networks, network.name)
    reuse = projects.row_at_a_time(keras) if network.strategy == "Resource" else {}
    types: dict[str, dict[str, object]] = {"default types": {}, projects.PRECISION: {"Precision": projects.PRECISION}}

    def ours(label: str) -> Run:
        name = f"{network.name}-{list(types).index(label)}"
        model = {"ReuseFactor": 1, "Strategy": network.strategy, **types[label]}
        return worker(
            sys.executable, "kbuild_worker.py", "emulate", bench.cache(name, empty=True),
            recipe=_recipe(bench, name, keras, network.io_types[-1], model, reuse),
            data=keras.data, samples=network.emulator,
        )  # fmt: skip

    def peer() -> Run:
        return worker(
            bench.peer, "peer_worker.py", "predict",
            architecture=keras.architecture, weights=keras.weights, data=keras.data, samples=network.keras,
        )  # fmt: skip

    sides: list[Callable[[], Run]] = [*(partial(ours, label) for label in types), peer]
    *mine, theirs = bench.turns(*sides)
    speed = most(theirs, "samples_per_second")
    told = f"Keras float {speed:,.0f} samples/s"
    return [
        at_least(f"{network.title}: emulator, {label}", f"{found:,.0f} samples/s", told, found / speed, 0.5)
        for label, found in zip(types, (most(runs, "samples_per_second") for runs in mine), strict=True)
    ]


def _recipe(
    bench: Bench, name: str, keras: projects.Keras, io_type: str, model: dict[str, object], reuse: dict[str, int]
) -> Path:
    layers = {layer: {"ReuseFactor": factor} for layer, factor in reuse.items()}
    return projects.write_recipe(
        bench.scratch / name, KerasJson=keras.architecture, KerasH5=keras.weights, IOType=io_type,
        HLSConfig={"Model": model, **({"LayerName": layers} if layers else {})},
    )  # fmt: skip
