"""What a simulation has shown, in sentences: how close to floating point, on which inputs, and what overflowed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from kbuild.fixed import FloatArray, from_float, to_float
from kbuild.ir import Graph, Node
from kbuild.report.records import LayerResult, SimulationReport

_REFERENCES = {"keras": "Keras", "file": "the given predictions", "float": "the model in floating point"}
STEPS = 32  # of a feature's type from its smallest to its largest value: fewer say little of it
_SAMPLES = 8  # fewer do not tell what a feature's range is
_LOOKED_AT = 1 << 14  # vectors of features
_SHOWN = 3  # layers: what overflows later follows from them as a rule


def agreement(report: SimulationReport) -> str:
    """How close the outputs are to their reference."""
    found, samples = report.reference, "random inputs" if report.dataset.source == "random" else "inputs"
    text = f"against {_REFERENCES.get(found.source, found.source)}, on {found.samples} {samples}: "
    if report.accuracy is not None:
        accuracy = report.accuracy
        text += f"accuracy {_percent(accuracy.fixed_accuracy)} (there {_percent(accuracy.float_accuracy)}), "
    if found.argmax_agreement is not None:
        text += f"argmax equal for {_percent(found.argmax_agreement)}, "
    errors = f"mean {found.mean_abs_error:.3g}, outputs up to {found.largest_output:.3g}"
    return f"{text}largest error of an output {found.max_abs_error:.3g} ({errors})"


def overflows(layers: Sequence[LayerResult]) -> str | None:
    """Where values overflow, and what would be enough; None where none do."""
    found = [layer for layer in layers if layer.overflows]
    if not found:
        return None
    first, *further = [_overflow(layer) for layer in found[:_SHOWN]]
    then = f", then in {', '.join(further)}" if further else ""
    more = len(found) - _SHOWN
    rest = f" and {more} more layer{'s' if more > 1 else ''} (reports/simulate.json)" if more > 0 else ""
    return f"values overflow in {first}{then}{rest}"


def _overflow(layer: LayerResult) -> str:
    times = "once" if layer.overflows == 1 else f"{layer.overflows} times"
    enough = layer.enough_integer_bits
    advice = "in what it adds up, not in its result" if enough is None else f"{enough} integer bits are enough"
    return f"{layer.name} {times} in {layer.type} ({advice})"


def outside(graph: Graph, inputs: Mapping[str, FloatArray], counts: Mapping[str, int]) -> list[str]:
    """About inputs with values that their types do not hold; `counts` of them by node name."""
    return [_outside(node, inputs[node.name], counts[node.name]) for node in graph.inputs if counts[node.name]]


def _outside(node: Node, values: FloatArray, count: int) -> str:
    low, high = (float(end) for end in node.fixed().range)
    taken = f"{values.min():.4g} to {values.max():.4g}"
    return (
        f"{count} of {values.size} values of the input {node.layer.name} ({taken}) are outside its type {node.fixed()} "
        f"({low:.4g} to {high:.4g}), and their samples may come out wrong: give InputData or Calibration.Ranges that "
        "hold them, or the input a wider type"
    )


def coarse(graph: Graph, inputs: Mapping[str, FloatArray]) -> list[str]:
    """About inputs some of whose features are lost in the type that the largest of them needs."""
    return [text for node in graph.inputs if (text := _coarse(node, inputs[node.name])) is not None]


def _coarse(node: Node, values: FloatArray) -> str | None:
    """Features are along the last axis; one that the type holds exactly, such as a flag, is none of them."""
    of = node.fixed()
    least, most = (float(end) for end in of.range)
    features = values.reshape(-1, values.shape[-1])[:_LOOKED_AT]
    low, high = features.min(axis=0), features.max(axis=0)
    off = np.abs(to_float(from_float(np.clip(features, least, most), of), of) - features).max(axis=0)
    inside = (low >= least) & (high <= most)  # what is beyond has a sentence of its own
    (lost,) = np.nonzero(inside & (2 * STEPS * off > high - low))
    if node.declared or len(values) < _SAMPLES or not len(lost):
        return None
    worst = lost[np.argmin((high - low)[lost])]
    return (
        f"{len(lost)} of {len(low)} features of the input {node.layer.name} have fewer than {STEPS} steps in its type "
        f"{of}, as number {worst} (from 0), {low[worst]:.3g} to {high[worst]:.3g}: bring the features to like ranges "
        "before the model, or give this input a wider type"
    )


def random_inputs(inputs: Mapping[str, FloatArray], overflow: bool) -> str:
    """About inputs that nobody has given: what they are, and what to do."""
    low = min(float(np.min(x, initial=0.0)) for x in inputs.values())
    high = max(float(np.max(x, initial=0.0)) for x in inputs.values())
    text = f"the inputs are random, from {low:.3g} to {high:.3g}: give InputData for figures that mean something"
    return f"{text}, as your data may overflow less; Precision: auto gives types that fit them" if overflow else text


def _percent(share: float) -> str:
    """Never rounded up to all."""
    return f"{min(share * 100, 100.0 if share == 1 else 99.99):.4g} %"
