"""The reference runner: predictions of a model by Keras itself, in a process of its own.

    python -m kbuild.reference inputs.npz outputs.npz (--json model.json) (--h5 model.h5) (--keras model.keras)

`inputs.npz` holds the arrays of the model's inputs under `0`, `1`, ... in the model's order; `outputs.npz` is written
the same way, as float64. Nothing else of kbuild is imported, so that Keras is free to do what it likes here.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

_BATCH = 256
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0", "CUDA_VISIBLE_DEVICES": "-1"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Predict and write. A failure ends the process with Keras' own message on standard error."""
    parser = argparse.ArgumentParser(prog="python -m kbuild.reference")
    parser.add_argument("inputs")
    parser.add_argument("outputs")
    for option in ("--json", "--h5", "--keras"):
        parser.add_argument(option)
    given = parser.parse_args(arguments)
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    with np.load(given.inputs, allow_pickle=False) as arrays:
        inputs = [arrays[str(index)] for index in range(len(arrays.files))]
    outputs = predict(load(given.json, given.h5, given.keras), inputs)
    with open(given.outputs, "wb") as file:
        np.savez(file, **{str(index): output for index, output in enumerate(outputs)})  # type: ignore[arg-type]
    return 0


def load(json: str | None, h5: str | None, archive: str | None) -> Any:
    """The model, not compiled: an archive, an HDF5 file, or architecture JSON with HDF5 weights."""
    import keras

    if archive is not None:
        return keras.models.load_model(archive, compile=False)
    if json is None:
        return keras.models.load_model(h5, compile=False)
    with open(json, encoding="utf-8") as file:
        model = keras.models.model_from_json(file.read())
    model.load_weights(h5)
    return model


def predict(model: Any, inputs: Sequence[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
    """Outputs in the model's order, float64; inputs are shaped as the model wants them (a batch axis of None)."""
    shaped = [
        np.asarray(array, dtype=np.float32).reshape(len(array), *tensor.shape[1:])
        for array, tensor in zip(inputs, model.inputs, strict=True)
    ]
    found = model.predict(shaped if len(shaped) > 1 else shaped[0], batch_size=_BATCH, verbose=0)
    if isinstance(found, dict):
        found = list(found.values())
    outputs = found if isinstance(found, (list, tuple)) else [found]
    return [np.asarray(output, dtype=np.float64) for output in outputs]


if __name__ == "__main__":
    sys.exit(main())
