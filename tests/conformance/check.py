"""The checks of one case: against Keras, against the derived bounds, and what the engines have to repeat."""

from __future__ import annotations

import random
import tempfile
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from conformance import reference
from conformance.bounds import error_bounds
from conformance.catalog import KERAS, CaseId
from conformance.refusals import reason_of
from conformance.settings import TRIALS, context_of
from kbuild import emulate
from kbuild.errors import RecipeError, UnsupportedModel
from kbuild.fixed import IntArray, to_float
from kbuild.frontend.keras import read_model
from kbuild.ir import Graph, verify
from kbuild.passes import check_capability, resolve_precision
from kbuild.passes.context import Context
from kbuild.passes.pipeline import PIPELINE

Maker = Callable[[CaseId, Path], reference.Reference]  # what Keras makes of a case, or made once
IO_TYPES = ("io_parallel", "io_stream")
AMPLE_SHARE = 4  # one case of so many goes through the C simulation with ample precision too: its types are wide
FLOAT_TOLERANCE = 1e-4  # of the largest magnitude of an output: Keras computes in float32
DOUBLE_TOLERANCE = 1e-6  # the same where Keras computes in float64: some of its constants are still float32
RIGHT, REFUSED, WRONG, CRASHED = "right", "refused", "wrong", "crashed"


class Wrong(Exception):
    """A result that is not what it must be."""


@dataclass
class Outcome:
    """What became of a case.

    status: of the model and the emulator; targets: by `backend io_type` the same of what is printed, where a refusal is
    its reason; simulated: the io types with which a graph of it went through the C simulation; kinds: the operations
    that the layer needs; looseness: the derived bound by the scale of the output; in_double: whether Keras had to
    compute in float64, as its float32 is further off than the tolerance.
    """

    case: CaseId
    status: str = RIGHT
    message: str = ""
    code: str = ""
    targets: dict[str, str] = field(default_factory=dict)
    simulated: set[str] = field(default_factory=set)
    kinds: tuple[str, ...] = ()
    looseness: float = 0.0
    in_double: bool = False

    def fail(self, status: str, message: str) -> None:
        """Remember the first failure."""
        if self.status not in (WRONG, CRASHED):
            self.status, self.message = status, message

    @property
    def failed(self) -> bool:
        """Whether it is wrong or crashed anywhere."""
        return self.status in (WRONG, CRASHED)


@dataclass(frozen=True)
class Trial:
    """A fixed-point graph with integer inputs and the values that the emulator gives all its nodes."""

    outcome: Outcome
    label: str
    io_type: str
    graph: Graph
    inputs: dict[str, IntArray]
    values: dict[str, IntArray]


def comparison_of(library: str) -> Callable[[Outcome, reference.Reference], Iterator[Trial]]:
    """How the answers of a library are compared: with Keras in floats and bounds, with the others as integers."""
    if library in KERAS:
        return _trials
    from conformance.quantized import check

    return check.trials


def examine(case: CaseId, make: Maker = reference.make) -> tuple[Outcome, list[Trial]]:
    """Everything but the other engines. Never raises: whatever happens is the outcome."""
    outcome, trials = Outcome(case), []
    try:
        with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
            keras = make(case, Path(folder))
            outcome.code = keras.code
            trials = list(comparison_of(case.answered_by)(outcome, keras))
    except (UnsupportedModel, RecipeError) as error:
        _refuse(outcome, str(error))
    except Wrong as error:
        outcome.fail(WRONG, str(error))
    except Exception:
        outcome.fail(CRASHED, traceback.format_exc(limit=-6))
    return outcome, [] if outcome.failed else trials


def _refuse(outcome: Outcome, message: str) -> None:
    reason = reason_of(message)
    if reason is None:
        outcome.fail(WRONG, f"refused for no documented reason: {message}")
    else:
        outcome.status, outcome.message = REFUSED, reason


def _trials(outcome: Outcome, keras: reference.Reference) -> Iterator[Trial]:
    graph = read_model(**keras.files, name="case")
    inputs = {node.name: x for node, x in zip(graph.inputs, keras.inputs, strict=True)}
    compare_with_keras(outcome, graph, inputs, keras)
    for label in TRIALS:
        try:
            yield from _typed(outcome, label, graph, inputs)
        except RecipeError as error:
            if label != "explicit":
                raise
            if reason_of(str(error)) is None:
                raise Wrong(f"{label}: refused for no documented reason: {error}") from error


def compare_with_keras(
    outcome: Outcome, graph: Graph, inputs: dict[str, np.ndarray], keras: reference.Reference
) -> None:
    """Where terms cancel, Keras' own float32 is further off than the tolerance: then its float64 decides."""
    try:
        _compare_floats(graph, inputs, keras.outputs, FLOAT_TOLERANCE)
    except Wrong as wrong:
        if keras.in_double is None:
            raise
        try:
            exact = keras.in_double()
        except Exception:  # not all that Keras computes has a float64
            raise wrong from None
        _compare_floats(graph, inputs, exact, DOUBLE_TOLERANCE)
        outcome.in_double = True


def _compare_floats(
    graph: Graph, inputs: dict[str, np.ndarray], outputs: list[np.ndarray], tolerance: float
) -> None:
    found = emulate.run_float(graph, inputs)
    if len(graph.outputs) != len(outputs):
        raise Wrong(f"the model has {len(outputs)} outputs, the graph {len(graph.outputs)}")
    for name, wanted in zip(graph.outputs, outputs, strict=True):
        if found[name].size != wanted.size:
            raise Wrong(f"the output {name} has shape {found[name].shape}, in Keras {wanted.shape}")
        error = np.abs(found[name].reshape(wanted.shape) - wanted).max(initial=0)
        scale = np.abs(wanted).max(initial=0)
        if not error <= tolerance * (scale + 1e-2):
            raise Wrong(f"float: the output {name} is {error:.3g} off Keras, whose largest value is {scale:.3g}")


def _typed(outcome: Outcome, label: str, graph: Graph, inputs: dict[str, np.ndarray]) -> Iterator[Trial]:
    """The trials of one setting: for both io types, as far as a backend prints them."""
    known: tuple[Graph, Trial] | None = None
    settings = context_of(label, graph, inputs, random.Random(f"{outcome.case} {label}"))
    for io_type in IO_TYPES:
        context = replace(settings, io_type=io_type)
        real, typed, final = fixed(graph, context)
        if known is None or known[0] != final:
            integers, lost = emulate.quantize_inputs(typed, inputs)
            if label != "explicit":
                _check_bounds(outcome, label, real, typed, inputs, integers, lost)
            run = emulate.run(final, integers, [node.name for node in final])
            outcome.kinds = tuple(sorted({node.op.kind for node in final} | set(outcome.kinds)))
            known = final, Trial(outcome, label, io_type, final, dict(integers), run.values)
        accepted = capability(outcome, label, final, context)
        if accepted and (label != "ample" or outcome.case.seed % AMPLE_SHARE == 0):
            yield Trial(outcome, label, io_type, final, known[1].inputs, known[1].values)


def fixed(graph: Graph, context: Context) -> tuple[Graph, Graph, Graph]:
    """The graph before types are resolved, with types, and after all passes but that of the backend's capability."""
    real = typed = graph
    for step in PIPELINE:
        if step is check_capability.run:
            continue
        if step is resolve_precision.run:
            real = graph
        graph = verify(step(graph, context))
        if step is resolve_precision.run:
            typed = graph
    return real, typed, graph


def _check_bounds(
    outcome: Outcome, label: str, real: Graph, typed: Graph, inputs: dict[str, np.ndarray],
    integers: dict[str, IntArray], lost: dict[str, int],
) -> None:  # fmt: skip
    """The emulator against the real graph, within the derived bound."""
    run = emulate.run(typed, integers, typed.outputs)
    overflowed = {name for name, count in {**run.overflows, **lost}.items() if count}
    bounds = error_bounds(real, typed, inputs, integers, overflowed)
    for name in typed.outputs:
        bound, value = bounds[name], to_float(run.values[name], typed[name].fixed())
        error = np.abs(value - bound.value)
        scale = float(np.abs(bound.value).max(initial=1e-3))
        over = error - bound.error * (1 + 1e-9) - 1e-9 * scale
        if not (over <= 0).all():
            worst = np.unravel_index(np.argmax(over), over.shape)
            raise Wrong(
                f"{label}: the output {name} ({typed[name].op.kind}, {typed[name].fixed()}) is {error[worst]:.3g} off, "
                f"the bound is {bound.error[worst]:.3g}; the real value is {bound.value[worst]:.6g}"
            )
        if label == "ample":
            outcome.looseness = max(outcome.looseness, float(bound.error.max(initial=0)) / scale)


def capability(outcome: Outcome, label: str, graph: Graph, context: Context) -> bool:
    """Whether Vitis prints it (and Vivado, which has the same kernels); the answer with default settings is kept."""
    key = f"{context.backend} {context.io_type}"
    try:
        check_capability.run(graph, context)
    except RecipeError as error:
        reason = reason_of(str(error))
        if reason is None:
            raise Wrong(f"{label}: {key}: refused for no documented reason: {error}") from error
        answer = f"{REFUSED}: {reason}"
    else:
        answer = RIGHT
    if label == "auto":
        outcome.targets[key] = answer
    return answer == RIGHT
