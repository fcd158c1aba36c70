"""`kbuild predict`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kbuild.cli.common import add_allow_code, add_recipe, one_recipe

if TYPE_CHECKING:
    from kbuild.fixed import FloatArray
    from kbuild.flow.build import Build, Event
    from kbuild.ir import Graph

_SHOWN = 10  # samples printed when no output file is named


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    add_recipe(parser)
    add_allow_code(parser)
    parser.add_argument("--input", type=Path, required=True, metavar="X.npy",
                        help="samples along the first axis; .npz for several inputs")  # fmt: skip
    parser.add_argument("--output", type=Path, metavar="Y.npy",
                        help="where the predictions go, as float64; .npz for several outputs")  # fmt: skip
    parser.add_argument("--engine", choices=("emulate", "csim", "rtl"), default="emulate",
                        help="what computes them (default: emulate); all give the same")  # fmt: skip
    parser.add_argument("--layers", type=Path, metavar="L.npz", help="write every layer's output, too, by its name")


def run(given: argparse.Namespace) -> int:
    """Predict; what the engine needs is built."""
    from kbuild.flow.build import Build
    from kbuild.flow.prediction import predict

    recipe = one_recipe(given.recipe, given.overrides)
    build = Build(recipe, listener=_listen, allow_code=given.allow_code)
    with build.cache.in_use():
        _check_names(build, given)
        found = predict(build, given.input, given.engine, layers=given.layers is not None)
        graph = build.graph("optimize")
    outputs = {graph[name].layer.name: found[name] for name in dict.fromkeys(graph.outputs)}
    if given.layers is not None:
        _save(given.layers, _by_layer(graph, found))
    if given.output is not None:
        _save(given.output, outputs)
    elif given.layers is None:
        _print(outputs)
    return 0


def _listen(event: Event) -> None:
    if event.detail is not None:
        print(f"{event.stage}: {event.detail}", file=sys.stderr)


def _check_names(build: Build, given: argparse.Namespace) -> None:
    """Refuse before anything is computed what could not be written afterwards."""
    from kbuild.errors import RecipeError

    graph = build.graph("optimize")
    if given.layers is not None and given.layers.suffix != ".npz":
        raise RecipeError(f"--layers {given.layers}: many arrays need a name that ends in .npz")
    if given.output is not None and given.output.suffix not in (".npy", ".npz"):
        raise RecipeError(f"--output {given.output}: write a name that ends in .npy or .npz")
    if given.output is not None and given.output.suffix == ".npy" and len(set(graph.outputs)) > 1:
        raise RecipeError(f"--output {given.output}: the model has {len(set(graph.outputs))} outputs; use .npz")
    for path in (given.output, given.layers):
        if path is not None and not path.absolute().parent.is_dir():
            raise RecipeError(f"{path}: there is no folder {path.parent}")


def _by_layer(graph: Graph, values: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """A layer's output is the value of its last node."""
    return {node.layer.name: values[node.name] for node in graph}


def _save(path: Path, arrays: Mapping[str, FloatArray]) -> None:
    """One array as .npy, or all by name as .npz; whole or not at all."""
    import numpy as np

    from kbuild.flow.disk import disk_errors

    temporary = path.with_name(f".{path.name}.part")
    try:
        with disk_errors(f"writing {path}"):
            with temporary.open("wb") as file:
                if path.suffix == ".npy":
                    np.save(file, next(iter(arrays.values())), allow_pickle=False)
                else:
                    np.savez(file, **arrays)  # type: ignore[arg-type]  # numpy's stub mistakes **arrays
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _print(outputs: Mapping[str, FloatArray]) -> None:
    for name, values in outputs.items():
        if len(outputs) > 1:
            print(f"{name}:")
        for row in values[:_SHOWN].reshape(min(len(values), _SHOWN), -1).tolist():
            print(" ".join(f"{value:g}" for value in row))
        if len(values) > _SHOWN:
            print(f"... {len(values) - _SHOWN} more samples; write them to a file with --output")
