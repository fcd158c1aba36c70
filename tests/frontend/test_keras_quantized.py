"""Quantized models against what their libraries predict (`make_quantized_models.py`, `make_hgq_models.py`,
`make_hgq2_models.py`): equality.

Where float32 itself rounds, the file says so (`exact`), and the result is within what float32 can do.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbuild import emulate
from kbuild.errors import UnsupportedModel
from kbuild.fixed import FixedType, Overflow, Quantization, to_float
from kbuild.frontend.keras import read_model
from kbuild.frontend.keras.config import Config
from kbuild.frontend.keras.handler import LayerCall
from kbuild.frontend.keras.hdf5 import opened
from kbuild.frontend.keras.layers.qkeras import _outputs_scale
from kbuild.frontend.keras.part_names import by_number
from kbuild.frontend.keras.quantizers.exact import exact_tensor
from kbuild.frontend.keras.quantizers.hgq2 import read as read_hgq2
from kbuild.frontend.keras.quantizers.qkeras import QUANTIZERS, read_activation, read_quantizer
from kbuild.ir import Graph, Layer, verify
from kbuild.ops.quantize import Quantize
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
    integers, _ = emulate.quantize_inputs(fixed, inputs)  # an input saturates as the quantizer that reads it
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


@pytest.mark.parametrize("factor", [0.0, 0.5])
def test_a_share_of_a_quantizer(factor: float) -> None:
    """`qnoise_factor` is applied in inference, too, by QKeras' definition."""
    found = read_quantizer(config(q=f"quantized_relu(4,1,qnoise_factor={factor})"), "q")
    assert found is not None
    x = np.array([-1.0, 0.2, 0.7, 1.3, 5.0])
    top = 2 - 1 / 8
    clipped, quantized = np.minimum(np.maximum(x, 0), top), np.minimum(np.round(np.maximum(x, 0) * 8) / 8, top)
    wanted = (1 - factor) * clipped + factor * quantized
    assert np.allclose(found.function().of(x), wanted, rtol=0, atol=1e-15)
    values, scale = found.scaled(x)
    assert np.array_equal(values * scale, wanted.astype(np.float32) if factor == 0 else values * scale)
    assert np.abs(values * scale - wanted).max() < 1e-6


def test_the_scale_of_a_transposed_convolution_is_of_its_inputs() -> None:
    """Its kernel has the outputs before the inputs, and QKeras' alpha is along the last axis."""
    kernel = np.zeros((2, 2, 3, 2))
    assert _outputs_scale(np.array([0.3, 0.6]), kernel, "QConv2DTranspose") is None
    assert _outputs_scale(np.array([0.3, 0.6]), kernel, "QConv2D") is not None
    one = _outputs_scale(np.array(0.3), kernel, "QConv2DTranspose")
    assert one is not None and one.shape == (3,)


def test_a_weight_at_half_of_the_scale_of_ternary_is_none() -> None:
    """QKeras rounds it to even before it compares."""
    found = read_quantizer(config(q="ternary(alpha='auto_po2')"), "q")
    assert found is not None
    values, scale = found.scaled(np.array([[0.53125], [0.25], [0.0], [-0.5]]))
    assert (values * scale).ravel().tolist() == [0.5, 0.0, 0.0, -0.5]


# HGQ2's


def hgq2(k: int, i: int, f: int, **settings: object) -> Quantize:
    """A kif quantizer of one element."""
    values = {"q_type": "kif", "round_mode": "RND", "overflow_mode": "SAT", **settings}
    order = [f, k, i] if values["overflow_mode"] == "WRAP" else [i, f, k]
    weights = {f"q/{place}": np.array([float(value)]) for place, value in enumerate(order)}
    layer = Layer("l", "QDense")
    call = LayerCall(config(), weights, (), layer, lambda *_: None, lambda *_: layer, lambda *_: None)  # type: ignore[arg-type, return-value]
    found = read_hgq2(call, config(**values), "q", 1)
    assert found is not None
    return found.op


def test_fewer_bits_than_none_are_none_with_a_sign_too() -> None:
    x = np.array([[-3.0], [3.0]])
    assert not hgq2(1, -1, 0).eval_float([x]).any()
    assert hgq2(1, 0, 0).eval_float([x]).tolist() == [[-1.0], [0.0]]


def test_a_weight_that_wraps_is_only_rounded_in_training() -> None:
    x = np.array([[-3.3], [3.3]])
    weight = {"overflow_mode": "WRAP", "is_weight": True}
    assert hgq2(0, -2, 1, **weight).eval_float([x]).tolist() == [[-3.5], [3.5]]
    assert not hgq2(0, -2, 1, **weight, trainable=False).eval_float([x]).any()


def test_the_parts_of_a_layer_in_files_by_name() -> None:
    stored = ["l/kernel", "l/l_iq/fixed_point_quantizer_kif_4/f", "l/l_iq/fixed_point_quantizer_kif_4/k", "l/beta"]
    assert by_number("l", stored) == {
        "0": stored[0], "iq/quantizer/0": stored[1], "iq/quantizer/1": stored[2], "1": stored[3],
    }  # fmt: skip
    several = [f"l/multiple_quantizers_1/quantizer{n}/fixed_point_quantizer_kbi/b" for n in ("_3", "_4")]
    wanted = [f"iq/quantizers/quantizer{n}/quantizer/0" for n in ("", "_1")]
    assert by_number("l", several) == dict(zip(wanted, several, strict=True))
    table = "l/l_exp_table/l_exp_table_oq/fixed_point_quantizer_kbi_3/b"
    assert by_number("l", [table]) == {"exp_table/oq/quantizer/0": table}
    assert by_number("l", ["l/mine/b"]) is None


def test_the_cell_and_the_parts_of_attention_in_files_by_name() -> None:
    """They are not called by the layer's name; one whose name is like a part is no other."""
    quantizer = "fixed_point_quantizer_kif_3/f"
    cells = {
        "cell/0": "l/qgru_cell_1/kernel",
        "cell/rhq/quantizer/0": f"l/qgru_cell_1/qgru_cell_1_rhq/{quantizer}",
        "0": "l/beta",
    }
    assert by_number("l", list(cells.values())) == cells
    simple = {"cell/iq/quantizer/0": f"l/simple_rnn_cell/simple_rnn_cell_iq/{quantizer}",
              "cell/rkq/quantizer/0": f"l/simple_rnn_cell/rkq/{quantizer}"}  # fmt: skip
    assert by_number("l", list(simple.values())) == simple
    attention = {
        "lin_k_proj/0": "attention/q_einsum_dense_4/kernel",
        "lin_v_proj/kq/quantizer/0": f"attention/q_einsum_dense_5/q_einsum_dense_5_kq/{quantizer}",
        "lin_k_proj/1": "attention/q_einsum_dense_4/beta",
        "query_dense/bq/quantizer/0": f"attention/query/query_bq/{quantizer}",
        "softmax/exp_table/0": "attention/q_softmax_2/q_softmax_2_exp_table/beta",
        "output_dense/0": "attention/attention_output/kernel",
    }
    assert by_number("attention", list(attention.values())) == attention
    assert by_number("l", [f"l/rkq/{quantizer}"]) is None


def test_a_single_number_may_be_infinite(tmp_path: Path) -> None:
    """HGQ2 keeps the speed of a training beside the widths, HGQ a count of operations."""
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["speed"], file["count"], file["widths"] = np.float32(np.inf), np.float32(np.nan), np.array([1.0, np.inf])
    with opened(tmp_path / "x.h5") as folder:
        assert folder.array("speed") == np.inf and np.isnan(folder.array("count"))
        with pytest.raises(UnsupportedModel, match="NaN or infinity"):
            folder.array("widths")


# Exact constants


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False, min_value=-1e9, max_value=1e9), min_size=1))
def test_exact_tensor_holds_every_float(values: list[float]) -> None:
    array = np.array(values)
    tensor = exact_tensor(array)
    assert np.array_equal(tensor.floats(), array)
    low, high = tensor.bounds()
    of = tensor.fixed()
    assert of.signed == (low < 0) and ((high == 0 and low == 0) or of.width <= max(-low, high).bit_length() + of.signed)
