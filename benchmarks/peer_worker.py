"""One measurement of hls4ml or Keras, run by `run.py` with the peer's own Python: `peer_worker.py ACTION JSON`.

Prints its result as one line of JSON, the last line of its output.
"""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

PRECISION = "fixed<16,6>"
COMPARED = 64  # samples of which both sides' outputs are compared


def load(architecture: str, weights: str) -> Any:
    from tensorflow import keras

    model = keras.models.model_from_json(Path(architecture).read_text())
    model.load_weights(weights)
    return model


def convert(
    architecture: str, weights: str, output: str, io_type: str = "io_parallel", strategy: str = "Latency",
    reuse: dict[str, int] | None = None,
) -> Any:
    """`reuse` has the reuse factors that are not 1, by layer."""
    import hls4ml

    model = load(architecture, weights)
    config = hls4ml.utils.config_from_keras_model(
        model, granularity="name", backend="Vitis", default_precision=PRECISION, default_reuse_factor=1
    )
    config["Model"]["Strategy"] = strategy
    for settings in config["LayerName"].values():
        settings["Strategy"] = strategy
        # The default stands for weights and activations only: accumulators and results would get types of their own.
        # The accumulator of a pooling, which has no weights, may keep the one that holds its whole sum.
        same = {"weight", "bias", "recurrent_weight", "recurrent_bias", "result"}
        same |= {"accum"} if "weight" in settings["Precision"] else set()
        settings["Precision"] |= dict.fromkeys(same & settings["Precision"].keys(), PRECISION)
    for layer, factor in (reuse or {}).items():
        config["LayerName"][layer]["ReuseFactor"] = factor
    return hls4ml.converters.convert_from_keras_model(
        model, hls_config=config, output_dir=output, backend="Vitis", io_type=io_type
    )


def best(run: Callable[[], object], repeats: int) -> float:
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def emit(architecture: str, weights: str, output: str) -> dict[str, float]:
    """Import, convert, write: the parent measures the whole process."""
    convert(architecture, weights, output).write()
    return {}


def csim(output: str, data: str, samples: int, outputs: str | None = None, **model: Any) -> dict[str, float]:
    """Seconds to compile, samples a second; the values of the first samples go to the file `outputs`."""
    hls_model = convert(output=output, **model)
    compile_seconds = best(hls_model.compile, 1)
    x = inputs(data, samples)
    if outputs:
        np.save(outputs, hls_model.predict(x[:COMPARED]).reshape(min(samples, COMPARED), -1))
    return {"compile": compile_seconds, "samples_per_second": samples / best(lambda: hls_model.predict(x), 3)}


def predict(architecture: str, weights: str, data: str, samples: int) -> dict[str, float]:
    """Float predictions of Keras itself on the CPU."""
    model = load(architecture, weights)
    x = inputs(data, samples)
    model.predict(x[:1024], batch_size=1024, verbose=0)  # traces the graph
    return {"samples_per_second": samples / best(lambda: model.predict(x, batch_size=1024, verbose=0), 3)}


def wide(output: str, widths: list[int]) -> dict[str, float]:
    """Saves a random MLP of the given widths; returns its number of weights."""
    from tensorflow import keras

    keras.utils.set_random_seed(1)
    layers = [keras.layers.Dense(units, activation="relu") for units in widths[1:-1]]
    model = keras.Sequential([keras.Input((widths[0],)), *layers, keras.layers.Dense(widths[-1])])
    model.save(output)
    return {"weights": model.count_params()}


def inputs(data: str, samples: int) -> np.ndarray:
    x = np.load(data)["x0"]
    return np.ascontiguousarray(np.resize(x, (samples, *x.shape[1:])), dtype=np.float32)


if __name__ == "__main__":
    action = {"emit": emit, "csim": csim, "predict": predict, "wide": wide}[sys.argv[1]]
    with contextlib.redirect_stdout(sys.stderr):
        result = action(**json.loads(sys.argv[2]))
    print(json.dumps(result))
