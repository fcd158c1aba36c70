"""`parse`: model files → float graph."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kbuild import plugins
from kbuild.flow.output import Content
from kbuild.flow.stage import Stage
from kbuild.report.documents import to_text, with_value
from kbuild.report.graphs import ParsedLayer, ParseReport, Port

if TYPE_CHECKING:
    from kbuild.config import Recipe
    from kbuild.flow.build import Build
    from kbuild.flow.cache import Artifact
    from kbuild.frontend.keras.live import LiveModel
    from kbuild.ir import Graph, Node

REPORT = "reports/parse.json"
_FILE = "parse.json"


class Parse(Stage):
    """The graph in float64, with every layer of the model."""

    name = "parse"
    rooms = ("fixed", "parallel", "dataclass", "ir", "ops", "frontend", "report", "flow/stages/parse")

    def reads(self, build: Build) -> Mapping[str, object]:
        live = live_model(build.recipe)
        model = {key: build.file(path) for key, path in model_files(build.recipe).items()}
        return {**model, "live": None if live is None else live.digest, "handlers": plugins.digest("layer")}

    def make(self, build: Build, folder: Path) -> Mapping[str, str]:
        from kbuild.frontend.keras import read_model
        from kbuild.ir.files import save

        recipe, live = build.recipe, live_model(build.recipe)
        if live is not None:
            graph = live.graph("model")
        else:
            graph = read_model(recipe.keras_json, recipe.keras_h5, recipe.keras_model, "model")
        digests = save(graph, folder)
        (folder / _FILE).write_text(to_text(report_of(graph, recipe)), encoding="utf-8")
        build.remember(self.name, graph)
        return digests

    def outputs(self, build: Build, artifact: Artifact) -> Mapping[str, Content]:
        build.settings()  # a recipe that names layers which the model does not have writes nothing
        # The graph may come from the cache, made for the same model in another folder.
        return {REPORT: with_value(artifact.text(_FILE), "files", _relative(build.recipe)).encode()}

    def judged_by(self, build: Build) -> Mapping[str, object]:
        return {"files": _relative(build.recipe)}


STAGE = Parse()


def model_files(recipe: Recipe) -> dict[str, Path]:
    """The model's files by what they are."""
    files = {"json": recipe.keras_json, "h5": recipe.keras_h5, "keras": recipe.keras_model}
    return {key: path for key, path in files.items() if path is not None}


def live_model(recipe: Recipe) -> LiveModel | None:
    """The model of a recipe that has it in memory, as it was when the recipe was made."""
    if recipe.live_model is None:
        return None
    from kbuild.frontend.keras.live import LiveModel

    if not isinstance(recipe.live_model, LiveModel):
        raise TypeError("a live model is read (read_live) before its recipe is built")
    return recipe.live_model


def _relative(recipe: Recipe) -> tuple[str, ...]:
    paths = model_files(recipe).values()
    return tuple(Path(os.path.relpath(path, recipe.base_dir)).as_posix() for path in paths)


def report_of(graph: Graph, recipe: Recipe) -> ParseReport:
    """The model as it was read."""
    files = model_files(recipe)
    layers = _layers(graph)
    return ParseReport(
        model=graph.name,
        format=next((kind for kind in ("keras", "json", "h5") if kind in files), "live"),
        files=(),
        inputs=tuple(Port(node.layer.name, node.shape) for node in graph.inputs),
        outputs=tuple(Port(graph[name].layer.name, graph[name].shape) for name in graph.outputs),
        layers=layers,
        parameters=sum(layer.parameters for layer in layers),
    )


def _layers(graph: Graph) -> tuple[ParsedLayer, ...]:
    """Layers in order; the inputs are the layers that a layer's nodes read from."""
    nodes: dict[str, list[Node]] = {}
    for node in graph:
        nodes.setdefault(node.layer.name, []).append(node)
    found = []
    for name, own in nodes.items():
        sources = dict.fromkeys(
            source.layer.name for node in own for source in graph.inputs_of(node) if source.layer.name != name
        )
        found.append(ParsedLayer(name, own[0].layer.class_name, tuple(sources), own[-1].shape, _parameters(own)))
    return tuple(found)


def _parameters(nodes: list[Node]) -> int:
    """Values of the distinct constants: a layer that is used twice has its weights once."""
    from kbuild.ir import Tensor

    constants = {value for node in nodes for each in node.everywhere() for value in vars(each.op).values()
                 if isinstance(value, Tensor)}
    return sum(int(tensor.data.size) for tensor in constants)
