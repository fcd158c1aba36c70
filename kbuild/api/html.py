"""A converted model in a notebook: a table of its layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbuild.ir.html import table

if TYPE_CHECKING:
    from kbuild.api.model import HlsModel

_HEAD = ("layer", "class", "reads", "shape", "type", "weights")


def model_html(model: HlsModel) -> str:
    """The layers, with a line on the design above them."""
    recipe = model.recipe
    about = f"{recipe.project_name}: {recipe.backend}, {recipe.part}, {recipe.io_type}, {recipe.clock_period:g} ns"
    rows = []
    for layer in model.get_layers():
        output = layer.get_output_variable()
        weights = ", ".join(f"{name} {weight.shape} {weight.type}" for name, weight in layer.get_weights().items())
        reads = ", ".join(layer.attributes["inputs"])
        rows.append((layer.name, layer.class_name, reads, str(output.shape), str(output.type), weights))
    return table(about, _HEAD, rows)
