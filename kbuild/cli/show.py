"""`kbuild show`: the graph of a recipe's model, or one of its layers."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from kbuild.cli.common import add_allow_code, add_recipe, one_recipe, print_table, shape_text

if TYPE_CHECKING:
    from kbuild.config import LayerSettings
    from kbuild.ir import Graph, Node, Tensor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    add_recipe(parser)
    add_allow_code(parser)
    parser.add_argument("layer", nargs="?", metavar="LAYER", help="one layer in detail")
    parser.add_argument("--stage", choices=("parse", "optimize"), default="optimize",
                        help="the graph as read, or as it will be built (default)")  # fmt: skip
    parser.add_argument("--text", action="store_true", help="the graph in its text form")


def run(given: argparse.Namespace) -> int:
    """Print."""
    from kbuild.flow.build import Build

    build = Build(one_recipe(given.recipe, given.overrides), allow_code=given.allow_code)
    with build.cache.in_use():
        graph, settings = build.graph(given.stage), build.chosen_settings()
    nodes = [node for node in graph.everywhere() if given.layer in (None, node.layer.name)]
    if not nodes:
        raise _unknown(graph, given.layer)
    if given.text:
        from kbuild.ir.text import to_text

        lines = to_text(graph).splitlines()
        own = [line for node, line in zip(graph, lines[1:], strict=False) if node.layer.name == given.layer]
        print("\n".join(lines if given.layer is None else own))
    elif given.layer is None:
        _print_graph(graph)
    else:
        _print_layer(nodes, settings.get(given.layer))
    return 0


def _unknown(graph: Graph, layer: str) -> Exception:
    from kbuild.config.suggestions import listing, nearest
    from kbuild.errors import RecipeError

    names = list(dict.fromkeys(node.layer.name for node in graph))
    match = nearest(layer, names)
    remedy = f"did you mean {match}?" if match else f"its layers are {listing(names)}"
    return RecipeError(f"the model has no layer {layer}; {remedy}")


def _print_graph(graph: Graph) -> None:
    rows = []
    layers = {node.name: node.layer.name for node in graph.everywhere()}
    for node in graph.everywhere():
        constants = ", ".join(f"{name} {shape_text(tensor.shape)}" for name, tensor in _tensors(node).items())
        reads = ", ".join(layers[name] for name in node.inputs if name in layers)
        of = str(node.type) if node.type else "float"
        layer = node.layer
        rows.append((layer.name, layer.class_name, node.op.kind, reads, shape_text(node.shape), of, constants))
    print_table(("layer", "class", "op", "reads", "shape", "type", "constants"), rows)
    print(f"outputs: {', '.join(graph[name].layer.name for name in graph.outputs)}")


def _print_layer(nodes: list[Node], settings: LayerSettings | None) -> None:
    from kbuild.flow.stages.optimize import types_of

    for node in nodes:
        print(f"{node.layer.name} ({node.layer.class_name}): {node.op.kind}, shape {shape_text(node.shape)}")
        for name, of in types_of(node).items():
            print(f"  {name}: {of}")
        for name, tensor in _tensors(node).items():
            values = tensor.floats()
            zeros = 100 * float((values == 0).mean()) if values.size else 0.0
            print(
                f"  {name}: {shape_text(tensor.shape)}, {values.min():g} to {values.max():g}, "
                f"mean {values.mean():g}, {zeros:.0f} % zeros"
            )
    if settings is not None:
        print("settings")
        rows = [(name, _shown(s.value), s.origin) for name, s in settings.items()]
        print_table(("setting", "value", "from"), rows)


def _shown(value: object) -> str:
    return "auto" if value is None else str(value)


def _tensors(node: Node) -> dict[str, Tensor]:
    from kbuild.ir import Tensor

    return {name: value for name, value in vars(node.op).items() if isinstance(value, Tensor)}
