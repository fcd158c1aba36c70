"""Predictions of a build in one of its engines."""

from __future__ import annotations

from pathlib import Path

from kbuild.emulate import quantize_inputs
from kbuild.errors import RecipeError
from kbuild.fixed import FloatArray
from kbuild.flow.build import Build
from kbuild.flow.data import Source, load_values
from kbuild.flow.engines import engine
from kbuild.flow.findings import outside
from kbuild.flow.metrics import floats


def predict(build: Build, data: Path, engine_name: str, layers: bool = False) -> dict[str, FloatArray]:
    """Real values by node name, each an exact multiple of its type's LSB: the outputs, or all `layers`.

    Shapes are (samples, *node.shape). Raises RecipeError for data that do not fit the model.
    """
    if not data.is_file():
        raise RecipeError(f"--input {data}: there is no such file")
    graph = build.graph("optimize")
    inputs = load_values(Source(data, "--input"), graph.inputs, "input")
    integers, counts = quantize_inputs(graph, inputs)
    for text in outside(graph, inputs, counts):
        build.tell("predict", text)
    keep = [node.name for node in graph] if layers else list(dict.fromkeys(graph.outputs))
    return floats(graph, engine(build, engine_name).run(integers, keep))
