"""One measurement of kbuild inside a process, run by `run.py`: `kbuild_worker.py ACTION JSON`, as `peer_worker.py`."""

import contextlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

COMPARED = 64  # samples of which both sides' outputs are compared

def best(run: Callable[[], object], repeats: int) -> float:
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


class Model:
    """A recipe's network in one engine: floats in, floats out, as a peer's `predict`."""

    def __init__(self, recipe: str) -> None:
        from kbuild.config import load_recipe
        from kbuild.flow.build import Build

        self.build = Build(load_recipe(Path(recipe))[0])
        self.graph = self.build.graph("optimize")

    def start(self, name: str) -> None:
        """Build the engine, if it is not built, and load it."""
        from kbuild.flow.engines import engine

        self.engine = engine(self.build, name)

    def predict(self, x: np.ndarray) -> np.ndarray:
        from kbuild.emulate import quantize_inputs
        from kbuild.flow.metrics import floats

        integers, _ = quantize_inputs(self.graph, {self.graph.inputs[0].name: x})
        (output,) = self.graph.outputs
        return floats(self.graph, self.engine.run(integers, [output]))[output]


def csim(
    recipe: str, data: str, samples: int, other_weights: str | None = None, outputs: str | None = None
) -> dict[str, float]:
    """Seconds to compile with an empty cache, and samples a second of the C simulation.

    `other_weights` is a recipe with other weights, which is compiled, too. The values of the first samples go to the
    file `outputs`.
    """
    model = Model(recipe)
    result = {"compile": best(lambda: model.start("csim"), 1)}
    if other_weights:
        other = Model(other_weights)
        result["recompile"] = best(lambda: other.start("csim"), 1)
    x = inputs(data, samples)
    if outputs:
        np.save(outputs, model.predict(x[:COMPARED]).reshape(min(samples, COMPARED), -1))
    return result | {"samples_per_second": samples / best(lambda: model.predict(x), 3)}


def emulate(recipe: str, data: str, samples: int) -> dict[str, float]:
    """Samples a second of the emulator."""
    model = Model(recipe)
    model.start("emulate")
    x = inputs(data, samples)
    return {"samples_per_second": samples / best(lambda: model.predict(x), 3)}


def read(model: str) -> dict[str, float]:
    """Every weight of an HDF5 file, with h5py alone."""
    import h5py

    arrays: list[np.ndarray] = []
    with h5py.File(model) as file:
        file.visititems(lambda _, item: arrays.append(item[()]) if isinstance(item, h5py.Dataset) else None)
    return {"bytes": sum(array.nbytes for array in arrays)}


def inputs(data: str, samples: int) -> np.ndarray:
    x = np.load(data)["x0"]
    return np.ascontiguousarray(np.resize(x, (samples, *x.shape[1:])), dtype=np.float32)


if __name__ == "__main__":
    action = {"csim": csim, "emulate": emulate, "read": read}[sys.argv[1]]
    with contextlib.redirect_stdout(sys.stderr):
        result = action(**json.loads(sys.argv[2]))
    print(json.dumps(result))
