"""A network in da4ml's own tracer and Verilog, with the types of its model or recipe; and what that Verilog computes.

Run by `run.py` with kbuild's Python: `da4ml_worker.py digits JSON` or `hgq JSON`.
"""

import contextlib
import ctypes
import io
import json
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
from da4ml.codegen import VerilogModel
from da4ml.codegen.rtl.rtl_model import get_io_kifs
from da4ml.trace import FixedVariableArrayInput, HWConfig, comb_trace, to_pipeline
from da4ml.trace.fixed_variable_array import FixedVariableArray
from da4ml.types import Pipeline

from kbuild.tools.verilator import verilate

DELAY_PER_STAGE = 5  # adders between two registers, in da4ml's unit
TOP = "network"


def digits(model: str, **paths: str) -> dict[str, int]:
    """The dense network of `recipes/digits` without its softmax: da4ml has none of this form."""
    with zipfile.ZipFile(model) as archive:
        file = h5py.File(io.BytesIO(archive.read("model.weights.h5")))
    layers = [file[f"layers/{name}/vars"] for name in ("dense", "dense_1", "dense_2")]
    pixels = network_inputs(64)
    values = pixels.quantize(np.zeros(64, int), np.ones(64, int), np.full(64, 4))  # ufixed<5,1>
    for layer, (signed, whole, fraction) in zip(layers, ((0, 2, 3), (0, 3, 3), (1, 4, 4)), strict=True):
        values = values @ layer["0"][()].astype(float) + layer["1"][()]
        if not signed:
            values = values.relu()  # to ufixed<5,2>, ufixed<6,3>; the logits to fixed<9,5>
        values = values.quantize(signed, whole, fraction, overflow_mode="SAT", round_mode="RND")
    return design(pixels, values, **paths)


def hgq(model: str, **paths: str) -> dict[str, int]:
    """HGQ's proxy of a jet tagger: each dense layer and each ReLU has a quantizer after it."""
    with h5py.File(model) as file:
        weights = file["model_weights"]
        particles = network_inputs(weights["dense_1/dense_1/kernel:0"].shape[0])
        values = quantized(particles, weights["inp_q_quantizer"])
        for layer in ("dense_1", "dense_2", "dense_3", "dense_4"):
            kernel, bias = (weights[f"{layer}/{layer}/{name}:0"][()].astype(float) for name in ("kernel", "bias"))
            values = quantized(values @ kernel + bias, weights[f"{layer}_quantizer"])
            if f"{layer}_relu_quantizer" in weights:
                values = quantized(values.relu(), weights[f"{layer}_relu_quantizer"])
    return design(particles, values, **paths)


def network_inputs(count: int) -> FixedVariableArrayInput:
    return FixedVariableArrayInput(count, hwconf=HWConfig(1, -1, DELAY_PER_STAGE))


def quantized(values: FixedVariableArray, quantizer: h5py.Group) -> FixedVariableArray:
    """HGQ's FixedPointQuantizer: its integer bits count the sign; it cuts low bits and wraps, as these models say."""
    signed, integers, bits = (
        np.broadcast_to(quantizer[f"{name}:0"][()].astype(int).ravel(), values.shape)
        for name in ("keep_negative", "integers", "bits")
    )
    return values.quantize(np.where(bits > 0, signed, 0), integers - signed, bits - integers)


def design(
    inputs: FixedVariableArrayInput, outputs: FixedVariableArray, output: str, data: str, found: str
) -> dict[str, int]:
    """Writes the Verilog to `output` and what it computes for `data` to `found`; returns its cycles of latency."""
    pipeline = to_pipeline(comb_trace(inputs, outputs), DELAY_PER_STAGE, verbose=False)
    VerilogModel(pipeline, TOP, output).write()
    np.save(found, simulated(pipeline, Path(output), np.load(data)))
    return {"latency": len(pipeline.solutions) + 1}  # there are registers before the first and after the last stage


def simulated(pipeline: Pipeline, folder: Path, x: np.ndarray) -> np.ndarray:
    """Its Verilog in Verilator, by its own harness; floats in, floats out."""
    wrapper = f"{TOP}_wrapper"
    library = verilate(
        sorted((folder / "src").rglob("*.v")), wrapper,
        folder / "sim" / f"{wrapper}_binder.cc", folder / "sim" / "lib.so",
        build_dir=folder / "sim" / "verilated", log_dir=folder / "sim",
    )  # fmt: skip
    taken, given = (tuple(int(column.max()) for column in kifs) for kifs in get_io_kifs(pipeline))
    integers = np.ascontiguousarray(np.floor(x.astype(float) * 2.0 ** taken[2]), np.int32)
    raw = np.zeros((len(x), pipeline.shape[1]), np.int32)
    pointer = ctypes.POINTER(ctypes.c_int32)
    ctypes.CDLL(str(library)).inference(
        integers.ctypes.data_as(pointer), raw.ctypes.data_as(pointer), ctypes.c_size_t(len(x)), ctypes.c_size_t(1)
    )
    unused = 32 - sum(given)
    signed = raw << unused >> unused if given[0] else raw & (2 ** sum(given) - 1)
    return signed * 2.0 ** -given[2]


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        result = {"digits": digits, "hgq": hgq}[sys.argv[1]](**json.loads(sys.argv[2]))
    print(json.dumps(result))
