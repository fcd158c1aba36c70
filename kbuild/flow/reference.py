"""What the design's outputs are compared with: predictions from a file, from Keras, or the graph in float64."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kbuild.dataclass import dataclass
from kbuild.errors import KbuildError, RecipeError
from kbuild.fixed import FloatArray
from kbuild.flow.data import load_values
from kbuild.flow.digests import value_digest
from kbuild.flow.inputs import reference_source
from kbuild.flow.stages.parse import live_model, model_files
from kbuild.ir import Graph

if TYPE_CHECKING:
    from kbuild.flow.build import Build
    from kbuild.frontend.keras.live import LiveModel

FILE, KERAS, FLOAT = "file", "keras", "float"
_TIMEOUT = 600.0
_LONGEST_NOTE = 160
_FRAMEWORKS = ("tensorflow", "torch", "jax")


@dataclass(frozen=True)
class Predictions:
    """Outputs by node name of the fixed graph; None for `float`, whose values the comparison computes anyway."""

    source: str
    outputs: Mapping[str, FloatArray] | None
    note: str | None = None


def predictions(build: Build, inputs: Mapping[str, FloatArray]) -> Predictions:
    """The best reference there is: a file of the recipe, else Keras where it is installed, else the float graph.

    Raises RecipeError for a file with another number of samples than the inputs have.
    """
    graph = build.graph("optimize")
    source = reference_source(build.recipe)
    samples = len(next(iter(inputs.values())))
    if source is not None:
        outputs = load_values(source, [graph[name] for name in dict.fromkeys(graph.outputs)], "output")
        count = len(next(iter(outputs.values())))
        if count != samples:
            raise source.wrong(f"has {count} samples, the inputs have {samples}")
        return Predictions(FILE, outputs)
    live = live_model(build.recipe)
    if live is not None:
        return _by_live_model(build, live, graph, inputs)
    if keras_version() is None or not model_files(build.recipe):
        return Predictions(FLOAT, None)
    try:
        return Predictions(KERAS, _by_keras(build, graph, inputs))
    except RecipeError:
        raise
    except KbuildError as error:
        why = (str(error).splitlines()[1:2] or [str(error)])[0].strip()[:_LONGEST_NOTE]  # Keras' own first error
        return Predictions(FLOAT, None, f"Keras could not predict, so the reference is the graph in float64 ({why})")


def _by_live_model(build: Build, live: LiveModel, graph: Graph, inputs: Mapping[str, FloatArray]) -> Predictions:
    """What the model itself says, as long as it is the one that was converted."""
    from kbuild.frontend.keras.live import predict_live, read_live

    if read_live(live.model).digest != live.digest:
        return Predictions(FLOAT, None, "the model was changed after its conversion; the reference is the float graph")
    build.tell("simulate", "asking the model for its predictions")
    outputs = predict_live(live.model, [inputs[node.name] for node in graph.inputs])
    return Predictions(KERAS, _by_name(graph, outputs))


def keras_version() -> str | None:
    """Keras with the framework under it, as installed; None where either is missing. Neither is imported."""
    from importlib.metadata import PackageNotFoundError, version

    under = _framework()
    if find_spec("keras") is None or under is None:
        return None
    try:
        return " ".join(f"{name} {version(name)}" for name in ("keras", under))
    except PackageNotFoundError:
        return None


def _framework() -> str | None:
    """What Keras computes with: the user's choice, else the first that is installed."""
    installed = [name for name in _FRAMEWORKS if find_spec(name) is not None]
    chosen = os.environ.get("KERAS_BACKEND")
    return chosen if chosen in installed else next(iter(installed), None)


def identity(build: Build) -> str:
    """What decides the predictions where the recipe gives none, for a key."""
    live = live_model(build.recipe)
    if live is not None:
        return f"{live.keras} {live.digest}"
    version = keras_version()
    if version is None:
        return FLOAT
    return f"{version} {value_digest({kind: build.file(path) for kind, path in model_files(build.recipe).items()})}"


def _by_keras(build: Build, graph: Graph, inputs: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Predictions in the order of the model's outputs, remembered by model and data."""
    arrays = [inputs[node.name] for node in graph.inputs]
    key = value_digest([identity(build), [_array_digest(array) for array in arrays]])

    def make(folder: Path) -> None:
        build.tell("simulate", "asking Keras for its predictions")
        _ask_keras(build, arrays, folder / "outputs.npz")

    artifact = build.cache.get("reference", key, make)
    with np.load(artifact.path("outputs.npz"), allow_pickle=False) as found:
        outputs = [found[str(index)] for index in range(len(found.files))]
    return _by_name(graph, outputs)


def _by_name(graph: Graph, outputs: list[FloatArray]) -> dict[str, FloatArray]:
    return {
        name: output.reshape(len(output), *graph[name].shape)
        for name, output in zip(graph.outputs, outputs, strict=True)
    }


def _ask_keras(build: Build, inputs: list[FloatArray], target: Path) -> None:
    from kbuild.tools.process import Program, ToolSpec, run

    spec = ToolSpec("Keras", (), "reference predictions", "pip install 'kbuild[keras]'", error_pattern=r"^\w*Error\b")
    files = [word for kind, path in model_files(build.recipe).items() for word in (f"--{kind}", str(path))]
    with tempfile.TemporaryDirectory(prefix="kbuild-") as scratch:
        given = Path(scratch, "inputs.npz")
        with given.open("wb") as file:
            np.savez(file, **{str(i): array for i, array in enumerate(inputs)})  # type: ignore[arg-type]
        run(
            Program(spec, (sys.executable, "-m", "kbuild.reference"), "pip"),
            [str(given), str(target), *files],
            cwd=Path(scratch),
            log=Path(scratch, "keras.log"),
            timeout=_TIMEOUT,
            env={"KERAS_BACKEND": _framework() or "", "MPLBACKEND": "agg"},  # a notebook's is one of its kernel
        )


def _array_digest(array: FloatArray) -> str:
    import hashlib

    return hashlib.sha256(str(array.shape).encode() + np.ascontiguousarray(array).tobytes()).hexdigest()
