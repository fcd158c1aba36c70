"""`optimize`: float graph → fixed-point graph, with everything decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kbuild.config import lock_text
from kbuild.flow.data_check import check_data, files_checked
from kbuild.flow.estimate import executed, multiplications
from kbuild.flow.inputs import calibration_inputs, calibration_ranges
from kbuild.flow.output import LOCK_FILE, Content
from kbuild.flow.stage import Stage
from kbuild.report.documents import from_text, to_text
from kbuild.report.graphs import OptimizedLayer, OptimizeReport, PassRun, Port

if TYPE_CHECKING:
    from kbuild.flow.build import Build
    from kbuild.flow.cache import Artifact
    from kbuild.ir import Graph, Node
    from kbuild.passes.context import Context
    from kbuild.passes.error_bounds import Inexact

REPORT = "reports/optimize.json"
_FILE = "optimize.json"
_UNTYPED = "dead_code"  # the pass whose graph the types are given to


class Optimize(Stage):
    """The graph with fixed-point types, tables and strategies."""

    name = "optimize"
    rooms = (
        "fixed", "parallel", "dataclass", "config", "schemas", "ir", "ops", "passes", "emulate", "emit", "backends",
        "report", "flow/data", "flow/inputs", "flow/stages/optimize",
    )  # fmt: skip

    def reads(self, build: Build) -> Mapping[str, object]:
        recipe = build.recipe
        return {
            "graph": build.artifact("parse").digest,
            "settings": build.settings(),
            "chosen": build.chosen_settings(),  # depends on which settings are defaults, what values do not tell
            "backend": recipe.backend,
            "part": recipe.part,
            "io_type": recipe.io_type,
            "calibration": build.file(recipe.calibration.data or recipe.input_data),
            "ranges": recipe.calibration.ranges,
            "design": _design(build),
        }

    def make(self, build: Build, folder: Path) -> Mapping[str, str]:
        from kbuild.emit import check
        from kbuild.ir.files import save
        from kbuild.passes.pipeline import optimize

        made: dict[str, Graph] = {}
        context = context_of(build)
        graph = optimize(build.graph("parse"), context, lambda name, found: made.update({name: found}))
        check(graph, build.recipe.backend)
        digests = save(graph, folder)
        passes = [PassRun(name, len(found.nodes)) for name, found in made.items()]
        report = report_of(graph, build, context, passes, _inexact(made[_UNTYPED], graph, context))
        (folder / _FILE).write_text(to_text(report), encoding="utf-8")
        build.remember(self.name, graph)
        return digests

    def judged_by(self, build: Build) -> Mapping[str, object]:
        validation = build.recipe.validation
        return {
            "lock": lock_text(build.recipe, build.chosen_settings()),
            "data": files_checked(build),
            "metric": [validation.metric, validation.minimum],
        }

    def outputs(self, build: Build, artifact: Artifact) -> Mapping[str, Content]:
        check_data(build)
        lock = lock_text(build.recipe, build.chosen_settings())
        return {LOCK_FILE: lock.encode(), REPORT: artifact.path(_FILE)}


    def remarks(self, artifact: Artifact) -> Sequence[str]:
        return from_text(OptimizeReport, artifact.text(_FILE), _FILE).notes


STAGE = Optimize()


def _design(build: Build) -> list[object]:
    hls = build.recipe.hls
    return [hls.bit_exact, hls.pipeline_style, hls.pipeline_interval, hls.bram_factor]


def context_of(build: Build) -> Context:
    """What the passes know beside the graph."""
    from kbuild.passes.context import Context

    recipe = build.recipe
    graph = build.graph("parse")
    return Context(
        settings=build.settings(),
        backend=recipe.backend,
        io_type=recipe.io_type,
        calibration=calibration_inputs(build),
        ranges=calibration_ranges(recipe, graph),
        bit_exact=recipe.hls.bit_exact,
    )


def _unused(build: Build, context: Context) -> tuple[str, ...]:
    """About settings without effect. Many recipes say nothing of layers, and name neither strategy nor types."""
    hls = build.recipe.hls
    if not (hls.layer_name or hls.layer_type or hls.model.strategy or hls.model.precision):
        return ()
    from kbuild.passes.unused_settings import about_types, remarks

    graph = build.graph("parse")
    return *about_types(graph, hls), *remarks(graph, context)


def _inexact(before: Graph, after: Graph, context: Context) -> Sequence[Inexact]:
    """What is not exact in a model that is kept exact; in others hardly anything is."""
    from kbuild.passes.exactness import is_exact

    if not is_exact(before, context):
        return ()
    from kbuild.passes.error_bounds import inexact

    return tuple(inexact(before, after))


def report_of(
    graph: Graph, build: Build, context: Context, passes: Sequence[PassRun], found: Sequence[Inexact]
) -> OptimizeReport:
    """The graph as it will be built."""
    from kbuild.passes import wide_packets

    known = {one.node.name: one for one in found}
    notes = _unused(build, context) + wide_packets.remarks(graph, context.backend, context.io_type)
    if found:
        from kbuild.passes.error_bounds import sentences

        notes += sentences(found)
    return OptimizeReport(
        backend=build.recipe.backend,
        io_type=build.recipe.io_type,
        inputs=tuple(_port(node) for node in graph.inputs),
        outputs=tuple(_port(graph[name]) for name in graph.outputs),
        layers=tuple(_layer(node, times, known.get(node.name)) for node, times in executed(graph)),
        passes=tuple(passes),
        notes=notes,
    )


def _port(node: Node) -> Port:
    return Port(node.layer.name, node.shape, str(node.fixed()))


def _layer(node: Node, times: int, inexact: Inexact | None) -> OptimizedLayer:
    from kbuild.ops.multipliers import Multiplying

    products = node.op if isinstance(node.op, Multiplying) else None
    return OptimizedLayer(
        name=node.layer.name,
        class_name=node.layer.class_name,
        shape=node.shape,
        types=types_of(node),
        strategy=products.strategy if products else None,
        reuse_factor=products.reuse_factor if products else None,
        multiplications=times * multiplications(node),
        inexact=inexact.reason if inexact else None,
        error_bound=inexact.bound if inexact else None,
    )


def types_of(node: Node) -> dict[str, str]:
    """The type of every variable of a node: its constants, its accumulator, its result."""
    from kbuild.fixed import FixedType
    from kbuild.ir import Tensor

    found = {}
    for name, value in vars(node.op).items():
        if isinstance(value, FixedType):
            found[name] = str(value)
        elif isinstance(value, Tensor) and value.type is not None:
            found[name] = str(value.type)
    if node.op.kind == "scan":
        from kbuild.ops.scan import Scan

        assert isinstance(node.op, Scan)
        found |= {f"state{number}": str(of) for number, of in enumerate(node.op.state_types())}
    return {**found, "result": str(node.type) if node.type else "float"}
