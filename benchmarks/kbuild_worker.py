"""One measurement of kbuild inside a process, run by `run.py`: `kbuild_worker.py ACTION JSON`, as `peer_worker.py`."""

import contextlib
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np


def best(run: Callable[[], object], repeats: int) -> float:
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def convert(recipe: str) -> Any:
    import kbuild

    return kbuild.converters.convert_from_config(recipe)


def csim(recipe: str, other_weights: str, data: str, samples: int) -> dict[str, float]:
    """Seconds to compile with an empty cache and again for other weights; samples a second of the C simulation."""
    hls_model = convert(recipe)
    compile_seconds = best(hls_model.compile, 1)
    x = inputs(data, samples)
    speed = samples / best(lambda: hls_model.predict(x), 3)
    other = convert(other_weights)
    return {"compile": compile_seconds, "samples_per_second": speed, "recompile": best(other.compile, 1)}


def emulate(recipe: str, data: str, samples: int) -> dict[str, float]:
    """Samples a second before `compile()`: the NumPy emulator."""
    hls_model = convert(recipe)
    x = inputs(data, samples)
    return {"samples_per_second": samples / best(lambda: hls_model.predict(x), 3)}


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
