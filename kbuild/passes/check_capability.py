"""Refuse a design that the backend cannot print, before anything is written, and name what works."""

from __future__ import annotations

from kbuild.config.backends import Backend, all_backends, load_backend
from kbuild.config.places import NOWHERE, Problem, raise_problems
from kbuild.config.recipe import Setting
from kbuild.config.settings import LayerSettings
from kbuild.ir import Graph, Node, Op
from kbuild.ops.conv import Conv
from kbuild.ops.multipliers import Multiplying
from kbuild.passes.context import Context

MOST_ENCODED = 31  # its instruction is a word of 64 bits: backends/hls/stream/encoded.h


def run(graph: Graph, context: Context) -> Graph:
    """The graph itself. Raises RecipeError with a line for each layer that cannot be printed as asked."""
    backend = load_backend(context.backend)
    raise_problems(problem for node in graph for problem in _problems(node, backend, context))
    return graph


def _problems(node: Node, backend: Backend, context: Context) -> list[Problem]:
    name = f"layer {node.layer.name} ({node.layer.class_name})"
    if not _prints(backend, node.op, context.io_type):
        able = [b.name for b in all_backends().values() if _prints(b, node.op, context.io_type)]
        remedy = f"{' or '.join(able)} can" if able else "no backend can yet"
        message = f"{name}: {backend.name} cannot print the operation {node.op.kind} with {context.io_type}; {remedy}"
        return [Problem(NOWHERE, "", message)]
    settings = context.settings_of(node)
    if settings is None or not isinstance(node.op, Multiplying):
        return []
    if not settings.static.value:
        from kbuild.ops.loop import Loop

        if isinstance(node.op, Loop):
            message = f"{name}: one cell computes all steps in turn; write true"
            return [Problem(settings.static.place, settings.static.key, message)]
    if node.op.inside() is not None:  # whose nodes are checked
        return []
    return _kernel_problems(node.op, name, backend, settings)


def _prints(backend: Backend, op: Op, io_type: str) -> bool:
    """Whether the backend prints the op: one of its own list, or one that is not kbuild's own and prints itself.

    The C simulation is HLS C++ with any backend.
    """
    if op.own:
        return backend.supports(op.kind, io_type)
    from kbuild.ops.custom import EmitsHls, EmitsVerilog

    prints = isinstance(op, EmitsHls) and (backend.language == "hls" or isinstance(op, EmitsVerilog))
    return prints and io_type in backend.io_types


def _kernel_problems(op: Multiplying, name: str, backend: Backend, settings: LayerSettings) -> list[Problem]:
    problems = []
    strategies = backend.strategies.get(op.kind, ())
    if op.strategy not in strategies:
        message = f"{name}: {backend.name} has no strategy {op.strategy} yet; write one of {', '.join(strategies)}"
        problems.append(Problem(settings.strategy.place, settings.strategy.key, message))
    if op.reuse_factor > 1 and backend.reuse_factor == "1":
        able = [b.name for b in all_backends().values() if b.reuse_factor != "1"]
        message = (
            f"{name}: {backend.name} prints fully pipelined designs, in which nothing is reused; "
            f"write a reuse factor of 1, or use {' or '.join(able)}"
        )
        problems.append(Problem(settings.reuse_factor.place, settings.reuse_factor.key, message))
    if isinstance(op, Conv):
        problems += _convolution_problems(op, settings, name)
    return problems


def _convolution_problems(op: Conv, settings: LayerSettings, name: str) -> list[Problem]:
    """Settings of convolutions that no kernel honours."""
    reuse = settings.reuse_factor.value
    wanted: list[tuple[Setting[int] | Setting[str] | Setting[str | None], bool, str]] = [
        (settings.conv_implementation, op.encoded and max(op.kernel) > MOST_ENCODED,
         f"encoded windows are of at most {MOST_ENCODED} places along an axis; write LineBuffer"),
        (settings.implementation, settings.implementation.value not in (None, "im2col"),
         "convolutions are matrix products of their windows; write im2col"),
        (settings.depthwise_reuse_factor, settings.depthwise_reuse_factor.value != reuse,
         f"both halves have the layer's reuse factor, {reuse}; write that"),
        (settings.pointwise_reuse_factor, settings.pointwise_reuse_factor.value != reuse,
         f"both halves have the layer's reuse factor, {reuse}; write that"),
    ]  # fmt: skip
    return [Problem(s.place, s.key, f"{name}: {message}") for s, found, message in wanted if found]
