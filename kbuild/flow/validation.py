"""The simulation of a build: data, engines, reference, and the figures of simulate.json."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from kbuild.config import Recipe
from kbuild.dataclass import dataclass
from kbuild.emulate import quantize_inputs, run
from kbuild.fixed import FloatArray
from kbuild.flow import metrics
from kbuild.flow.comparison import Comparison, Engine, Mismatch, compare
from kbuild.flow.data import load_labels
from kbuild.flow.findings import coarse, overflows, random_inputs
from kbuild.flow.inputs import input_source, labels_source, simulation_inputs
from kbuild.flow.reference import Predictions, predictions
from kbuild.ir import Graph
from kbuild.report.records import Accuracy, DataSet, FifoResult, Reference, SimulationReport

if TYPE_CHECKING:
    from kbuild.flow.build import Build


_VECTORS = 100  # samples for the testbench: co-simulation takes its time


@dataclass(frozen=True)
class Simulation:
    """The report without the recipe's demands, the value of every metric that has one, and what disagrees."""

    report: SimulationReport
    scores: Mapping[str, float]
    mismatches: tuple[str, ...]
    vectors: Mapping[str, str]  # of the emitted testbench, by path relative to OutputDir


def simulate(build: Build, engines: Mapping[str, Engine]) -> Simulation:
    """Run the engines on the recipe's data and compare. Raises RecipeError for data that do not fit the model."""
    graph = build.graph("optimize")
    inputs = simulation_inputs(build)
    reference = predictions(build, inputs)
    found = compare(graph, build.graph("parse"), inputs, engines, lambda text: build.tell("simulate", text))
    wanted = found.float_outputs if reference.outputs is None else reference.outputs
    accuracy = _accuracy(build.recipe, graph, found, wanted)
    asked = build.recipe.validation.minimum is not None or labels_source(build.recipe) is not None
    agreement = _agreement(graph, found, wanted, reference, asked)
    scores = {"r2": metrics.r2(*_flat(graph, found.outputs, wanted))}
    if agreement.argmax_agreement is not None:
        scores["argmax_agreement"] = agreement.argmax_agreement
    if accuracy is not None:
        scores["accuracy"] = accuracy.fixed_accuracy
    latency, interval = _cycles(engines)
    fifos, mismatch = _bounded(engines, graph, inputs)
    overflowing = overflows(found.layers)
    dataset = _dataset(build.recipe, inputs, overflowing is not None)
    report = SimulationReport(
        engines=found.engines,
        dataset=dataset,
        reference=agreement,
        layers=found.layers,
        latency_cycles=latency,
        interval_cycles=interval,
        accuracy=accuracy,
        fifos=fifos,
        notes=tuple(note for note in (reference.note, overflowing, *coarse(graph, inputs), dataset.note) if note),
    )
    mismatches = tuple(str(m) for m in [*found.mismatches, mismatch] if m is not None)
    return Simulation(report, scores, mismatches, _vectors(build, graph, inputs))


def _cycles(engines: Mapping[str, Engine]) -> tuple[int | None, int | None]:
    """Latency and interval that the RTL simulation has measured."""
    from kbuild.flow.engines import RTL

    rtl = engines.get(RTL)
    if rtl is None:
        return None, None
    from kbuild.engines.rtl import Rtl

    assert isinstance(rtl, Rtl)
    return rtl.latency, None if rtl.interval is None else math.ceil(rtl.interval)


def _bounded(
    engines: Mapping[str, Engine], graph: Graph, inputs: Mapping[str, FloatArray]
) -> tuple[tuple[FifoResult, ...], Mismatch | None]:
    """The FIFOs of a design with streams, which must not deadlock."""
    from kbuild.flow.engines import CSIM

    engine = engines.get(CSIM)
    if engine is None:
        return (), None
    from kbuild.engines.csim_stream import StreamCSim
    from kbuild.flow.streams import run_bounded

    return run_bounded(engine, graph, inputs) if isinstance(engine, StreamCSim) else ((), None)


def _vectors(build: Build, graph: Graph, inputs: Mapping[str, FloatArray]) -> dict[str, str]:
    """Inputs and the emulator's outputs for the testbench that was emitted, if one was."""
    if not any(name.startswith("tb/") for name in build.artifact("emit").files):
        return {}
    from kbuild.emit.hls import vectors

    integers, _ = quantize_inputs(graph, {name: values[:_VECTORS] for name, values in inputs.items()})
    return vectors(graph, integers, run(graph, integers).values)


def _agreement(
    graph: Graph, found: Comparison, wanted: Mapping[str, FloatArray], reference: Predictions, asked: bool
) -> Reference:
    """asked: whether the recipe speaks of classes, or of a share of them."""
    ours, theirs = _flat(graph, found.outputs, wanted)
    error = np.abs(ours - theirs)
    argmax = None
    classes = metrics.is_classifier([graph[name] for name in graph.outputs])
    if classes and (asked or not metrics.remakes_input(graph)):
        (name,) = graph.outputs
        argmax = metrics.argmax_agreement(found.outputs[name], wanted[name])
    reach = float(np.abs(theirs).max())
    return Reference(reference.source, len(ours), argmax, float(error.max()), float(error.mean()), reach)


def _flat(
    graph: Graph, ours: Mapping[str, FloatArray], theirs: Mapping[str, FloatArray]
) -> tuple[FloatArray, FloatArray]:
    names = list(dict.fromkeys(graph.outputs))
    return metrics.flattened(ours, names), metrics.flattened(theirs, names)


def _accuracy(
    recipe: Recipe, graph: Graph, found: Comparison, wanted: Mapping[str, FloatArray]
) -> Accuracy | None:
    source = labels_source(recipe)
    if source is None:
        return None
    (name,) = graph.outputs
    labels = load_labels(source, len(found.outputs[name]), int(np.prod(graph[name].shape)))
    return Accuracy(
        len(labels), metrics.accuracy(wanted[name], labels), metrics.accuracy(found.outputs[name], labels)
    )


def _dataset(recipe: Recipe, inputs: Mapping[str, FloatArray], overflow: bool) -> DataSet:
    samples = len(next(iter(inputs.values())))
    if input_source(recipe) is not None:
        return DataSet("file", samples)
    return DataSet("random", samples, random_inputs(inputs, overflow))
