"""`kbuild init`: a commented recipe for a model file, with `dodo.py` beside it."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from kbuild.errors import RecipeError

if TYPE_CHECKING:
    from kbuild.ir import Graph

_DODO = """\
from kbuild.flow.tasks import DOIT_CONFIG, tasks_for
def task_kbuild():
    yield from tasks_for({name!r})
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    parser.add_argument("model", type=Path, nargs="?", metavar="MODEL",
                        help=".keras, .h5, or .json with its weights in a .h5 beside it")  # fmt: skip
    parser.add_argument("--from-hls4ml", type=Path, metavar="OLD.yml",
                        help="rewrite a configuration of hls4ml, which names its model itself")  # fmt: skip
    parser.add_argument("-o", "--output", type=Path, default=Path("recipe.yml"), metavar="RECIPE",
                        help="the recipe to write (default: recipe.yml)")  # fmt: skip


def run(given: argparse.Namespace) -> int:
    """Read the model, write both files, say what to do next."""
    from kbuild.cli.from_hls4ml import rewritten
    from kbuild.frontend.keras import read_model

    if (given.model is None) == (given.from_hls4ml is None):
        raise RecipeError("give the file of a model, or --from-hls4ml with a configuration")
    files = {} if given.model is None else _model_files(given.model)
    target: Path = given.output
    if target.exists():
        raise RecipeError(f"{target} is there already; remove it, or write another with -o")
    if not target.absolute().parent.is_dir():
        raise RecipeError(f"{target}: there is no folder {target.parent}")
    if given.from_hls4ml is not None:
        text, remarks = rewritten(given.from_hls4ml, target.absolute().parent)
        for remark in remarks:
            print(remark)
    else:
        graph = read_model(files.get("KerasJson"), files.get("KerasH5"), files.get("KerasModel"), "model")
        text = recipe_text(graph, files, target.absolute().parent)
    _write(target, text)
    print(f"{target} is written; look through it, then: kbuild build {target}")
    dodo = target.absolute().parent / "dodo.py"
    tasks = _DODO.format(name=target.name)
    if not dodo.exists():
        _write(dodo, tasks)
        print(f"{os.path.relpath(dodo)} is written: `doit list --all` shows the tasks")
    elif dodo.read_text(encoding="utf-8", errors="replace") != tasks:
        print(f"{os.path.relpath(dodo)} is there already; to have the tasks, add {target.name!r} to its tasks_for(...)")
    return 0


def _model_files(model: Path) -> dict[str, Path]:
    """The model's files by their keys in a recipe. Raises RecipeError."""
    if not model.is_file():
        raise RecipeError(f"{model}: there is no such file")
    suffix = model.suffix.lower()
    if suffix == ".keras":
        return {"KerasModel": model}
    if suffix in (".h5", ".hdf5"):
        return {"KerasH5": model}
    if suffix != ".json":
        raise RecipeError(f"{model}: a model is a .keras, .h5 or .json file")
    weights = sorted(path for path in model.parent.iterdir() if path.suffix.lower() in (".h5", ".hdf5"))
    own = [path for path in weights if path.stem.startswith(model.stem)] or weights
    if len(own) != 1:
        found = ", ".join(path.name for path in own) or "none"
        raise RecipeError(f"{model}: its weights are expected in one .h5 file beside it; found {found}")
    return {"KerasJson": model, "KerasH5": own[0]}


def recipe_text(graph: Graph, files: dict[str, Path], folder: Path) -> str:
    """The recipe; paths are relative to `folder`. It is valid as it stands."""
    name = _project_name(next(iter(files.values())).stem)
    keys = [f"{key}: {_quoted(os.path.relpath(path.absolute(), folder))}" for key, path in files.items()]
    ports = [f"#   {kind} {node.layer.name}: {'x'.join(map(str, node.shape)) or '1'}"
             for kind, nodes in (("input", graph.inputs), ("output", [graph[name] for name in graph.outputs]))
             for node in nodes]  # fmt: skip
    return "\n".join(
        [
            "# A recipe of kbuild. Paths are relative to this file. `kbuild check` says whether it is right.",
            *keys,
            *ports,
            f"ProjectName: {name}",
            f"OutputDir: build/{name}",
            "",
            "Backend: Yosys            # or Vitis, Vivado: `kbuild backends` lists them",
            "# Part: LFE5U-85F-6BG381C # by default one of the backend's",
            "ClockPeriod: 10           # ns",
            "IOType: io_parallel       # or io_stream, where the backend can",
            "",
            "# Representative inputs: types are chosen for their range, and all engines are compared on them.",
            "# .npy, .npz (one array for each input) or text (one sample a line).",
            "# InputData: x_test.npy",
            "",
            "# Validation:",
            "#   Reference: y_test.npy   # predictions of Keras, if it is not installed here",
            "#   Labels: labels.npy      # true classes: the report shows accuracy",
            "#   Minimum: 0.99           # the build fails when the agreement is lower",
            "",
            "HLSConfig:",
            "  Model:",
            "    Precision: auto         # or a type for everything, e.g. fixed<16,6>",
            "    ReuseFactor: 1",
            "    # Strategy: Latency     # or Resource, Unrolled, distributed_arithmetic",
            "  # Any layer may have settings of its own:",
            "  # LayerName:",
            *_layer_lines(graph),
            "",
        ]
    )


def _project_name(stem: str) -> str:
    """The file's name as a C identifier that is no keyword of any language."""
    from kbuild.config.identifiers import check_identifier

    name = re.sub(r"\W+", "_", stem, flags=re.ASCII).strip("_").lower()[:50]
    try:
        check_identifier(name)
    except ValueError:
        return f"model_{name}".rstrip("_")
    return name


def _layer_lines(graph: Graph) -> list[str]:
    from kbuild.passes.context import layer_infos

    shapes = {node.layer.name: node.shape for node in graph}
    lines = []
    for layer in layer_infos(graph):
        shape = "x".join(map(str, shapes[layer.name])) or "1"
        variables = ", ".join(f"{variable}: auto" for variable in layer.variables)
        lines.append(f"  #   {_quoted(layer.name)}:  # {layer.class_name}, {shape}")
        lines.append(f"  #     Precision: {{{variables}}}")
    return lines


def _quoted(text: str) -> str:
    """Plain where YAML reads it as the same text."""
    import json

    plain = re.fullmatch(r"[A-Za-z_./][\w./-]*", text, re.ASCII)
    word = text.lower() in ("true", "false", "yes", "no", "on", "off", "null", "y", "n")
    return text if plain and not word else json.dumps(text, ensure_ascii=False)


def _write(path: Path, text: str) -> None:
    from kbuild.flow.disk import disk_errors

    temporary = path.with_name(f".{path.name}.part")
    with disk_errors(f"writing {path}"):
        try:
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
