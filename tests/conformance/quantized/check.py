"""The checks of a quantized case: the integers of the library's own answers, by equality, and what engines repeat."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from conformance.check import IO_TYPES, Outcome, Trial, Wrong, capability, fixed
from conformance.reference import Reference
from conformance.settings import context_of
from kbuild import emulate
from kbuild.fixed import FixedType, IntArray
from kbuild.frontend.keras import read_model
from kbuild.ir import Graph
from kbuild.passes import drop_identity, repeat_steps
from kbuild.passes.context import Context

SHARE = 8  # one case of so many goes through the C simulation
SMALL = 100  # seeds below it are those of goldens and of single cases, which all do


def trials(outcome: Outcome, case: Reference) -> Iterator[Trial]:
    """Every comparison of one case; a trial for each io type that a backend prints. Raises Wrong."""
    graph = read_model(**case.files, name="case")
    inputs = {node.name: x for node, x in zip(graph.inputs, case.inputs, strict=True)}
    floats = emulate.run_float(graph, inputs)
    for name, wanted in zip(graph.outputs, case.outputs, strict=True):
        _equal(f"in floats, the output {name}", floats[name], wanted)
    known: tuple[Graph, Mapping[str, IntArray], Mapping[str, IntArray]] | None = None
    settings = context_of("auto", graph, inputs, random.Random(str(outcome.case)))
    for io_type in IO_TYPES:
        context = replace(settings, io_type=io_type)
        _, typed, final = fixed(graph, context)
        if known is None or known[0] != final:
            integers, _ = emulate.quantize_inputs(typed, inputs)
            values = emulate.run(final, integers, [node.name for node in final]).values
            known = final, integers, values
            for name, wanted in zip(final.outputs, case.outputs, strict=True):
                _equal_integers(f"the output {name} ({final[name].op.kind})", values[name], final[name].fixed(), wanted)
            outcome.kinds = tuple(sorted(set(outcome.kinds) | _kinds(final, context, case.subject)))
        accepted = capability(outcome, "auto", final, context)
        if accepted and (outcome.case.seed % SHARE == 0 or outcome.case.seed < SMALL):
            yield Trial(outcome, "auto", io_type, final, dict(known[1]), dict(known[2]))


def _kinds(graph: Graph, context: Context, subject: tuple[str, ...]) -> set[str]:
    """The operations of the layers that the case is about, also of a loop's steps when they are spelled out."""
    steps = drop_identity.run(repeat_steps.spelled_out(graph), context)
    return {node.op.kind for node in (*graph.everywhere(), *steps)
            if any(node.layer.name == name or node.layer.name.startswith(f"{name}_") for name in subject)}  # fmt: skip


def _equal(what: str, found: np.ndarray, wanted: np.ndarray) -> None:
    if found.size != wanted.size:
        raise Wrong(f"{what} has the shape {found.shape}, in the library {wanted.shape}")
    different = found.reshape(wanted.shape) != wanted
    if different.any():
        at = np.unravel_index(int(np.argmax(different)), wanted.shape)
        raise Wrong(f"{what} differs in {different.sum()} of {different.size} values: at {tuple(map(int, at))} it is "
                    f"{found.reshape(wanted.shape)[at]!r}, in the library {wanted[at]!r}")  # fmt: skip


def _equal_integers(what: str, found: IntArray, of: FixedType, wanted: np.ndarray) -> None:
    """The answers in LSBs of the type: they are integers where nothing is lost."""
    if found.size != wanted.size:
        raise Wrong(f"{what} has the shape {found.shape}, in the library {wanted.shape}")
    scaled = np.ldexp(wanted, of.fraction)
    different = found.reshape(wanted.shape) != scaled
    if different.any():
        at = np.unravel_index(int(np.argmax(different)), wanted.shape)
        raise Wrong(f"{what}, {of}: {different.sum()} of {different.size} integers differ: at {tuple(map(int, at))} "
                    f"it is {int(found.reshape(wanted.shape)[at])}, in the library {scaled[at]}")  # fmt: skip
