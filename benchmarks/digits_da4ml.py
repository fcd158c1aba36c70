"""The dense network of `recipes/digits` in da4ml's own tracer and Verilog, with the types of its recipe.

Run by `run.py` with kbuild's Python: `digits_da4ml.py verilog JSON`. The softmax is left out on both sides: da4ml
has none of this form.
"""

import contextlib
import io
import json
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
from da4ml.codegen import VerilogModel
from da4ml.trace import FixedVariableArrayInput, HWConfig, comb_trace

RECIPE = Path(__file__).resolve().parent.parent / "recipes" / "digits"
DELAY_PER_STAGE = 5  # adders between two registers, in da4ml's unit


def weights() -> list[tuple[np.ndarray, np.ndarray]]:
    with zipfile.ZipFile(RECIPE / "model.keras") as archive:
        file = h5py.File(io.BytesIO(archive.read("model.weights.h5")))
    names = ("dense", "dense_1", "dense_2")
    return [(file[f"layers/{n}/vars/0"][()].astype(float), file[f"layers/{n}/vars/1"][()]) for n in names]


def verilog(output: str, labels_agree: float) -> dict[str, float]:
    """Writes the design; `labels_agree` is the accuracy that it must have, so that both sides are the same network."""
    pixels = FixedVariableArrayInput(64, hwconf=HWConfig(1, -1, DELAY_PER_STAGE))
    values = pixels.quantize(np.zeros(64, int), np.ones(64, int), np.full(64, 4))  # ufixed<5,1>
    first, second, last = weights()
    for kernel, bias in (first, second):
        values = (values @ kernel + bias).relu().quantize(0, 2, 3, overflow_mode="SAT", round_mode="RND")  # ufixed<5,2>
    values = (values @ last[0] + last[1]).quantize(1, 4, 4, overflow_mode="SAT", round_mode="RND")  # fixed<9,5>
    design = comb_trace(pixels, values)
    images, labels = np.load(RECIPE / "x_test.npy"), np.load(RECIPE / "y_test.npy")
    accuracy = float((design.predict(images.astype(float)).argmax(axis=1) == labels).mean())
    if abs(accuracy - labels_agree) > 1e-9:
        raise SystemExit(f"da4ml's design has accuracy {accuracy}, kbuild's {labels_agree}: not the same network")
    VerilogModel(design, "digits", output, latency_cutoff=DELAY_PER_STAGE).write()
    return {"accuracy": accuracy}


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        result = verilog(**json.loads(sys.argv[2]))
    print(json.dumps(result))
