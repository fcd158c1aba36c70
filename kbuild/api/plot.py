"""`plot_model`: the graph of a converted model as a picture."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kbuild.api.layers import Layer
from kbuild.dataclass import dataclass
from kbuild.errors import RecipeError

if TYPE_CHECKING:
    from kbuild.api.model import HlsModel

Lines = Mapping[str, list[str]]  # by layer name

_KINDS = ("png", "svg", "pdf", "dot")
_LINE, _CHARACTER, _MARGIN, _GAP = 16, 7.2, 10, 28  # pixels of a picture that is drawn without Graphviz


@dataclass(frozen=True)
class Picture:
    """A picture that a notebook shows."""

    svg: str

    def _repr_svg_(self) -> str:
        return self.svg


def plot_model(
    model: HlsModel,
    to_file: str | os.PathLike[str] | None = "model.png",
    show_shapes: bool = False,
    show_layer_names: bool = True,
    show_precision: bool = False,
    rankdir: str = "TB",
    dpi: int = 96,
) -> Path | Picture:
    """Draw the layers of a converted model and write the picture to a `.png`, `.svg`, `.pdf` or `.dot` file; with
    to_file=None return it, for a notebook to show.

    show_shapes, show_layer_names, show_precision: what stands in the boxes; rankdir: `TB` or `LR`. Graphviz draws it; a
    `.svg` is drawn without where it is missing, from top to bottom. Returns the path. Raises MissingTool where Graphviz
    is needed and missing, RecipeError for another ending or direction.
    """
    path = Path("model.svg" if to_file is None else to_file)
    kind = path.suffix.lower().removeprefix(".")
    if kind not in _KINDS:
        raise RecipeError(f"to_file: {path.name} has no ending of a picture; write one of {', '.join(_KINDS)}")
    if rankdir not in ("TB", "LR"):
        raise RecipeError(f'rankdir: "{rankdir}" is unknown; write TB or LR')
    layers = model.get_layers()
    texts = {layer.name: _text(layer, show_shapes, show_layer_names, show_precision) for layer in layers}
    reads = {layer.name: [name for name in layer.attributes["inputs"] if name != layer.name] for layer in layers}
    picture = _picture(texts, reads, kind, rankdir, dpi)
    if to_file is None:
        return Picture(picture.decode())
    path.write_bytes(picture)
    return path


def _text(layer: Layer, shapes: bool, names: bool, precision: bool) -> list[str]:
    """The lines of a layer's box."""
    lines = [f"{layer.name}: {layer.class_name}" if names else layer.class_name]
    if shapes:
        given = ", ".join(map(str, layer.attributes["input_shape"]))
        made = layer.attributes["output_shape"]
        lines.append(f"{given} → {made}" if given else str(made))
    if precision:
        lines += [f"{name}: {of}" for name, of in layer.attributes["precision"].items()]
    return lines


def _picture(texts: Lines, reads: Lines, kind: str, rankdir: str, dpi: int) -> bytes:
    from kbuild.tools import graphviz
    from kbuild.tools.process import locate

    dot = _dot(texts, reads, rankdir)
    if kind == "dot":
        return dot.encode()
    if kind == "svg" and locate(graphviz.DOT) is None:
        return _svg(texts, reads).encode()
    return graphviz.render(dot, kind, dpi)


def _dot(texts: Lines, reads: Lines, rankdir: str) -> str:
    lines = ["digraph model {", f"  rankdir={rankdir};", '  node [shape=box, fontname="Helvetica"];']
    for name, text in texts.items():
        label = "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in text)
        lines.append(f'  {_quoted(name)} [label="{label}"];')
    lines += [f"  {_quoted(source)} -> {_quoted(name)};" for name, sources in reads.items() for source in sources]
    return "\n".join([*lines, "}", ""])


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _svg(texts: Lines, reads: Lines) -> str:
    """Rows of boxes, each layer below all that it reads."""
    rows: dict[str, int] = {}
    for name in texts:
        rows[name] = 1 + max((rows[source] for source in reads[name] if source in rows), default=-1)
    widths = {name: max(map(len, text)) * _CHARACTER + 2 * _MARGIN for name, text in texts.items()}
    places: dict[str, tuple[float, float, float, float]] = {}  # left, top, width, height
    top = float(_MARGIN)
    for row in range(max(rows.values(), default=-1) + 1):
        here = [name for name in texts if rows[name] == row]
        height = max(len(texts[name]) for name in here) * _LINE + _MARGIN
        left = float(_MARGIN)
        for name in here:
            places[name] = left, top, widths[name], height
            left += widths[name] + _GAP
        top += height + _GAP
    right = max((left + width for left, _, width, _ in places.values()), default=0.0)
    body = [_arrow(places[source], places[name]) for name in texts for source in reads[name]]
    body += [_box(places[name], texts[name]) for name in texts]
    size = f'width="{right + _MARGIN:.0f}" height="{top:.0f}"'
    tip = '<path d="M0,0 L7,3 L0,6 z"/>'
    marker = f'<marker id="end" orient="auto" markerWidth="8" markerHeight="8" refX="7" refY="3">{tip}</marker>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="monospace" font-size="12">'
    return "\n".join([head, f"<defs>{marker}</defs>", *body, "</svg>", ""])


def _arrow(source: tuple[float, float, float, float], target: tuple[float, float, float, float]) -> str:
    x1, y1 = source[0] + source[2] / 2, source[1] + source[3]
    x2, y2 = target[0] + target[2] / 2, target[1]
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="black" marker-end="url(#end)"/>'


def _box(place: tuple[float, float, float, float], lines: list[str]) -> str:
    left, top, width, height = place
    box = f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" fill="white" stroke="black"/>'
    text = [
        f'<text x="{left + _MARGIN:.1f}" y="{top + (number + 1) * _LINE:.1f}">{html.escape(line)}</text>'
        for number, line in enumerate(lines)
    ]
    return "\n".join([box, *text])
