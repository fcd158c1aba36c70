"""Quantized models against what their libraries predict (`make_quantized_models.py`, `make_hgq_models.py`,
`make_hgq2_models.py`): equality.

Where float32 itself rounds, the file says so (`exact`), and the result is within what float32 can do.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbuild import emulate
from kbuild.errors import UnsupportedModel
from kbuild.fixed import FixedType, Overflow, Quantization, to_float
from kbuild.frontend.keras import read_model
from kbuild.frontend.keras.config import Config
from kbuild.frontend.keras.quantizers.exact import exact_tensor
from kbuild.frontend.keras.quantizers.qkeras import QUANTIZERS, read_activation, read_quantizer
from kbuild.ir import Graph, verify
from kbuild.passes import check_capability
from kbuild.passes.context import Context
from kbuild.passes.pipeline import PIPELINE

DATA = Path(__file__).parent / "data"
FILES = sorted(
    path
    for path in DATA.iterdir()
    if path.suffix in (".h5", ".keras") and path.name.startswith(("qkeras_", "hgq_", "hgq2_"))
)
SINGLE = 3e-6  # what float32 may differ by, relative to the largest value


def read(path: Path) -> Graph:
    return read_model(None, path if path.suffix == ".h5" else None, path if path.suffix == ".keras" else None, "m")


def typed(graph: Graph, inputs: Mapping[str, np.ndarray]) -> Graph:
    """With types, whether a backend can print it or not."""
    context = Context(calibration=inputs)
    for step in PIPELINE:
        if step is not check_capability.run:
            graph = verify(step(graph, context))
    return graph


def test_all_files_are_there() -> None:
    assert len(FILES) >= 8


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_equal_to_the_library(path: Path) -> None:
    graph = read(path)
    with np.load(path.with_suffix(".npz")) as arrays:
        golden = dict(arrays)
    inputs = {node.name: golden[f"x{i}"].astype(np.float64) for i, node in enumerate(graph.inputs)}
    fixed = typed(graph, inputs)
    integers, lost = emulate.quantize_inputs(fixed, inputs)
    assert not any(lost.values())
    values = emulate.run(fixed, integers).values
    floats = emulate.run_float(graph, inputs)
    exact = golden.get("exact", np.full(len(graph.outputs), True))
    assert exact.any() and len(exact) == len(graph.outputs)
    for i, (name, float_name) in enumerate(zip(fixed.outputs, graph.outputs, strict=True)):
        wanted, found = golden[f"y{i}"].astype(np.float64), to_float(values[name], fixed[name].fixed())
        margin = 0.0 if exact[i] else SINGLE * np.abs(wanted).max()
        assert found.shape == wanted.shape
        assert np.abs(found - wanted).max() <= margin, f"output {i} ({name})"
        assert np.abs(floats[float_name] - wanted).max() <= margin, f"output {i} ({name}) of the float graph"


# Quantizers by name


def config(**values: object) -> Config:
    return Config("l", "QDense", values)


def test_both_spellings_are_the_same_quantizer() -> None:
    text = config(q="quantized_bits(4, 0,1 , alpha='auto_po2',keep_negative=False)")
    settings = {"bits": 4, "integer": 0, "symmetric": 1, "alpha": "auto_po2", "keep_negative": False,
                "qnoise_factor": 1.0, "var_name": None}  # fmt: skip
    whole = config(q={"class_name": "quantized_bits", "config": settings})
    port = config(q={"class_name": "quantized_bits", "module": "qkeras.quantizers", "config": settings,
                     "registered_name": "qkeras>quantized_bits"})  # fmt: skip
    assert read_quantizer(text, "q") == read_quantizer(whole, "q") == read_quantizer(port, "q")
    assert read_quantizer(config(), "q") is None


@pytest.mark.parametrize("name", sorted(QUANTIZERS))
def test_every_quantizer_has_defaults(name: str) -> None:
    assert read_quantizer(config(q=name), "q") == read_quantizer(config(q=f"{name}()"), "q") == QUANTIZERS[name]()


def test_the_signed_grid_is_a_cast() -> None:
    quantizer = read_quantizer(config(q="quantized_bits(6,0,1,alpha=1)"), "q")
    assert quantizer is not None
    (path,) = quantizer.function().paths
    (op,) = [part(1) for part in path]
    assert op.uniform == FixedType(6, 1, True, Quantization.RND_CONV, Overflow.SAT_SYM)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("bernoulli()", "random values"),
        ("quantized_bits(4,alpha='auto')", "depends on all values at once"),
        ("quantized_linear(4,alpha=0.3)", "power of two"),
        ("quantized_relu(6,0,negative_slope=0.3)", "not a power of two"),
        ("quantized_relu(1,0,negative_slope=0.5)", "leave none"),
        ("quantized_tanh(12,use_real_tanh=1)", "use up to 10"),
        ("quantized_bits(0)", "bits of quantized_bits"),
        ("quantized_bits(4,qnoise_factor=1.5)", "not a number from 0 to 1"),
        ("quantized_bits(4,colour=1)", 'no argument "colour"'),
        ("quantized_bits(4,,)", "cannot be read"),
        ("quantized_bits(1,2,3,4,5,6,7,8,9)", "takes 7 arguments, not 9"),
        ("ternary(threshold='x')", "threshold of ternary"),
    ],
)
def test_refused(text: str, words: str) -> None:
    with pytest.raises(UnsupportedModel) as error:
        read_activation(config(activation=text))
    assert words in str(error.value)


def test_an_unknown_quantizer_of_weights() -> None:
    with pytest.raises(UnsupportedModel, match="there are quantized_bits"):
        read_quantizer(config(kernel_quantizer="mine(3)"), "kernel_quantizer")


# Exact constants


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False, min_value=-1e9, max_value=1e9), min_size=1))
def test_exact_tensor_holds_every_float(values: list[float]) -> None:
    array = np.array(values)
    tensor = exact_tensor(array)
    assert np.array_equal(tensor.floats(), array)
    low, high = tensor.bounds()
    of = tensor.fixed()
    assert of.signed == (low < 0) and ((high == 0 and low == 0) or of.width <= max(-low, high).bit_length() + of.signed)
