"""Functions in graphs, attention layers, wrappers and masks: what they become, and refusals.

That they are right in float is tested with the other models of Keras in `test_keras_golden.py`, in fixed point in
`test_keras_sequences.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kbuild.emulate import run_float
from kbuild.errors import UnsupportedModel
from kbuild.frontend.keras.build import build_graph
from kbuild.frontend.keras.graph_config import read_config
from kbuild.frontend.keras.problems import check_supported
from kbuild.frontend.keras.spec import Call, LayerSpec, ModelSpec, TensorRef
from kbuild.ir import Graph
from kbuild.ops.conv import Conv
from kbuild.ops.dense import Dense
from kbuild.ops.einsum import Einsum
from kbuild.ops.softmax import Softmax

Config = dict[str, Any]


# ---- functions of keras.ops --------------------------------------------------------------------------------------


def tensor(layer: str) -> Config:
    return {"class_name": "__keras_tensor__", "config": {"keras_history": [layer, 0, 0]}}


def piece(start: int | None = None, stop: int | None = None, step: int | None = None) -> Config:
    return {"class_name": "__slice__", "config": {"start": start, "stop": stop, "step": step}}


def function(class_name: str, name: str, *args: object, kwargs: Config | None = None, **config: Any) -> Config:
    """An entry of a Functional configuration of Keras 3."""
    call = {"args": list(args), "kwargs": kwargs or {}}
    module = "keras.src.ops.numpy"
    return {"class_name": class_name, "name": name, "module": module, "config": config, "inbound_nodes": [call]}


def read(*layers: Config, shape: tuple[int, ...] = (4, 3), output: str = "f") -> Graph:
    """The graph of a model without weights."""
    inputs = [
        {"class_name": "InputLayer", "name": name, "config": {"batch_shape": [None, *shape]}, "inbound_nodes": []}
        for name in ("x", "z")
    ]
    config = {
        "name": "m",
        "layers": [*inputs, *layers],
        "input_layers": [["x", 0, 0], ["z", 0, 0]],
        "output_layers": [[output, 0, 0]],
    }
    model = read_config({"class_name": "Functional", "keras_version": "3.0.0", "config": config})
    check_supported(model)
    return build_graph(model, "m")


X, Z = tensor("x"), tensor("z")
ALL, ELLIPSIS = piece(), {"class_name": "__ellipsis__", "config": {}}


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (function("TrueDivide", "f", 2.0, X), "operand 1 is a constant; it must be a tensor of the model"),
        (function("TrueDivide", "f", X, Z), "divides by a tensor, for which there is no operation; multiply by"),
        (function("Divide", "f", X, 0), "divides by zero"),
        (function("Add", "f", X, [[1.0], [2.0]]), r"the constant of shape \(2, 1\) does not broadcast to \(4, 3\)"),
        (function("Add", "f", X, [[[1.0]], [[2.0]]]), "has an axis for the batch; give it one value for all"),
        (function("Add", "f", X, "one"), 'the operand one is neither a tensor nor finite numbers'),
        (function("Add", "f", X), "is called without its operand 2"),
        (function("Power", "f", X, 0.5), "its power is not one of the numbers 1 to 4"),
        (function("Clip", "f", X, x_min=2, x_max=1), "its limits are not two numbers in order"),
        (function("Cast", "f", X, dtype="int32"), 'casts to "int32"; kbuild computes in fixed point throughout'),
        (function("GetItem", "f", X, [1]), r"takes some of the samples of a batch; begin the index with a colon"),
        (function("GetItem", "f", X, [piece(1)]), "takes some of the samples of a batch"),
        (function("GetItem", "f", X, [ALL, 4]), "takes element 4 of an axis of 4"),
        (function("GetItem", "f", X, [ALL, piece(4)]), "takes no pieces of an axis; 1 to 64 can be put"),
        (function("GetItem", "f", X, [ALL, 0, 0, 0]), r"takes elements of 4 axes of a value of shape \(4, 3\)"),
        (function("GetItem", "f", X, [ALL, Z]), "takes something else of an axis than a number or a slice"),
        (function("GetItem", "f", X, [ALL, 0, 0]), "leaves no axis beside the batch; keep one"),
        (function("Sum", "f", X, axis=None, keepdims=False), "combines the samples of a batch; name the axes"),
        (function("Max", "f", X, axis=[1, 2], keepdims=False), "leaves no axis beside the batch; keep one"),
        (function("Max", "f", X, axis=1, initial=0.5), "is called with initial = 0.5, which is not supported"),
        (function("Mean", "f", X, axis=[1, 1]), "names an axis twice"),
        (function("Mean", "f", X, axis=3), "axis is 3, which is not an axis beside the batch"),
        (function("Reshape", "f", X, newshape=[4, 3]), "does not begin with -1 for the batch; use the Reshape layer"),
        (function("Reshape", "f", X, newshape=[-1, 5]), "does not hold the elements of an input of shape"),
        (function("Transpose", "f", X, axes=[1, 0, 2]), "does not keep the batch as the first axis"),
        (function("Transpose", "f", X, axes=None), "does not keep the batch as the first axis"),
        (function("Pad", "f", X, pad_width=[[1, 0], [0, 0], [0, 0]]), "pads the batch"),
        (function("Pad", "f", X, pad_width=1, mode="reflect"), "pads with something else than zeros"),
        (function("Pad", "f", X, pad_width=1, kwargs={"constant_values": 1.0}), "pads with something else than zeros"),
        (function("Split", "f", X, indices_or_sections=3, axis=1), "splits 4 elements into 3 parts"),
        (function("Split", "f", X, indices_or_sections=[3, 2], axis=1), r"splits 4 elements at \[3, 2\]"),
        (function("Take", "f", X, [0.5], axis=1), "takes elements by something else than a list of indices"),
        (function("Take", "f", X, [0, 2, 1, 3] * 40, axis=1), "takes more than 64 pieces of an axis"),
        (function("Tile", "f", X, repeats=[1, 10**12, 1]), "makes 1000000000000 copies; kbuild makes up to 10000"),
        (function("Add", "f", X, 10**400), "is neither a tensor nor finite numbers"),
        (function("Flip", "f", X, axis=None), "reverses the samples of a batch; name the axes"),
        (function("Tile", "f", X, repeats=[2, 1, 1]), r"repeats \[2, 1, 1\] is not 1 for the batch"),
        (function("Concatenate", "f", [X, 1.0], axis=1), "operand 1 is not a list of tensors of the model"),
        (function("Matmul", "f", X, np.ones((2, 3, 5)).tolist()), "must be one matrix"),
        (function("Dot", "f", X, Z), "is a product with something else than one constant matrix"),
        (function("Einsum", "f", X, Z, subscripts="ij,ij->i"), "an operand of shape"),
        (function("Einsum", "f", X, Z, subscripts="bij,kij->bk"), "does not keep the batch as the first axis"),
        (function("Einsum", "f", X, subscripts="bii->bi"), "does more than to sum over axes and to change their order"),
        (function("Einsum", "f", X, Z, subscripts="bij,bij"), "is not of one or two operands with letters"),
        (function("Where", "f", X, X, Z), "chooses by a value that the model computes; only a constant may choose"),
        (function("Where", "f", True, 1.0, 2.0), "has no tensor to choose from"),
        (function("Where", "f", [[True], [False]], X, 2.0), r"chooses at \(2, 1\) places of a tensor of shape"),
        (function("Where", "f", [[[True]], [[False]]], X, 2.0), "has an axis for the batch"),
        (function("Softplus2", "f", X), "this function of keras.ops in the graph is not supported"),
        (function("Relu", "f", X, Z), "is called with more than 1 operands"),
    ],
)  # fmt: skip
def test_refused_functions(entry: Config, sentence: str) -> None:
    with pytest.raises(UnsupportedModel, match=sentence):
        read(entry)


def test_functions_refuse_values_of_different_rank() -> None:
    mean = function("Mean", "m", X, axis=1, keepdims=False)
    with pytest.raises(UnsupportedModel, match="whose batches would not meet; use the Keras layer of this name"):
        read(mean, function("Add", "f", X, tensor("m")))


def test_functions_that_only_compute_masks_are_left_out() -> None:
    """As Keras 3 saves a mask that a layer takes and does not read."""
    norm = {
        "class_name": "BatchNormalization", "name": "f", "config": {"axis": -1, "dtype": "float32"},
        "inbound_nodes": [{"args": [X], "kwargs": {"mask": tensor("any")}}],
    }  # fmt: skip
    config = function("NotEqual", "ne", X, 0), function("Any", "any", tensor("ne"), axis=-1), norm
    with pytest.raises(UnsupportedModel, match=r"\(BatchNormalization\): the weight moving_variance is missing"):
        read(*config)
    norm["class_name"] = "Softmax"
    with pytest.raises(UnsupportedModel, match="is called with mask; a mask that the model computes is not supported"):
        read(*config)


def test_letters_of_one_operand_are_summed_over_before_the_product() -> None:
    for equation, kinds in {
        "bij,bkj->bk": ["reduce", "einsum"],
        "bij,bkj->bi": ["reduce", "einsum"],
        "bij,bkj->bik": ["einsum"],
        "bij,bkl->bil": ["reduce", "reduce", "einsum"],
    }.items():
        graph = read(function("Einsum", "f", X, Z, subscripts=equation))
        assert [node.op.kind for node in graph if node.op.kind != "input"] == kinds
        rng = np.random.default_rng(0)
        values = {name: rng.normal(size=(2, 4, 3)) for name in ("x", "z")}
        assert np.allclose(run_float(graph, values)[graph.outputs[0]], np.einsum(equation, values["x"], values["z"]))
    graph = read(function("Einsum", "f", X, subscripts="bij->bj"))
    assert np.allclose(run_float(graph, values)[graph.outputs[0]], values["x"].sum(axis=1))


# ---- masks -------------------------------------------------------------------------------------------------------


def chain(*layers: tuple[str, Config]) -> ModelSpec:
    """A model of layers one after the other."""
    specs = [LayerSpec("x", "InputLayer", {"batch_shape": [None, 4, 3]})]
    for number, (class_name, config) in enumerate(layers):
        specs.append(LayerSpec(f"l{number}", class_name, config, (Call((TensorRef(specs[-1].name),)),)))
    return ModelSpec("m", tuple(specs), ("x",), (TensorRef(specs[-1].name),))


MASKING: tuple[str, Config] = ("Masking", {"mask_value": 0.0})
ACTIVATION: tuple[str, Config] = ("Activation", {"activation": "relu"})
POOL: tuple[str, Config] = ("GlobalAveragePooling1D", {})


@pytest.mark.parametrize(
    ("layers", "reader"),
    [
        ((MASKING, ACTIVATION, POOL), "l2"),
        ((MASKING, ("LSTM", {"units": 2})), "l1"),
        ((("Embedding", {"mask_zero": True}), ("TimeDistributed", {"layer": {"class_name": "GRU"}})), "l1"),
        ((MASKING, ("Conv1D", {}), POOL), None),
        ((MASKING, ("Flatten", {}), ("Reshape", {"target_shape": [4, 3]}), POOL), None),
        ((POOL, MASKING), None),
        ((MASKING, ("TimeDistributed", {"layer": {"class_name": "Dense", "config": {"units": 2}}})), None),
        ((("Embedding", {"mask_zero": False}), POOL), None),
    ],
)
def test_masks_are_refused_where_a_layer_reads_them(layers: tuple[tuple[str, Config], ...], reader: str | None) -> None:
    if reader is None:
        check_supported(chain(*layers))
        return
    with pytest.raises(UnsupportedModel, match=f'"{reader}" .*: would skip the steps that Masking or mask_zero marks'):
        check_supported(chain(*layers))


def test_masks_go_through_nested_models() -> None:
    inner = chain(ACTIVATION)
    nested = LayerSpec("inner", "Functional", {}, (Call((TensorRef("l0"),)),), model=inner)
    outer = chain(MASKING)
    pool = LayerSpec("pool", POOL[0], {}, (Call((TensorRef("inner"),)),))
    with pytest.raises(UnsupportedModel, match='"pool" '):
        check_supported(ModelSpec("m", (*outer.layers, nested, pool), ("x",), (TensorRef("pool"),)))
    reader = LayerSpec("inner", "Functional", {}, (Call((TensorRef("l0"),)),), model=chain(POOL))
    with pytest.raises(UnsupportedModel, match='"inner/l0" '):
        check_supported(ModelSpec("m", (*outer.layers, reader), ("x",), (TensorRef("inner"),)))


def test_masks_do_not_change_values() -> None:
    graph = build_graph(chain(MASKING, ACTIVATION), "m")
    assert [node.op.kind for node in graph] == ["input", "identity", "relu"]


# ---- attention and wrappers --------------------------------------------------------------------------------------


def attention(class_name: str, config: Config, arguments: Config | None = None, query: int = 3) -> Graph:
    weights = {
        f"{part}_dense/{name}": np.ones(shape)
        for part in ("query", "key", "value", "output")
        for name, shape in (("kernel", (query, 2, 4)), ("bias", (2, 4)))
    } | {"output_dense/kernel": np.ones((2, 4, 3)), "output_dense/bias": np.ones(3)}
    source = LayerSpec("x", "InputLayer", {"batch_shape": [None, 5, 3]})
    call = Call((TensorRef("x"),) * 2, arguments or {})
    layer = LayerSpec("l", class_name, config, (call,), weights)
    model = ModelSpec("m", (source, layer), ("x",), (TensorRef("l"),))
    check_supported(model)
    return build_graph(model, "m")


HEADS: Config = {"num_heads": 2, "key_dim": 4}


@pytest.mark.parametrize(
    ("class_name", "config", "arguments", "sentence"),
    [
        ("MultiHeadAttention", HEADS, {"attention_mask": tensor("x")}, "a mask that the model computes is not"),
        ("MultiHeadAttention", HEADS, {"attention_mask": [[1] * 4] * 5}, r"its mask of shape \(5, 4\) is not one for"),
        ("MultiHeadAttention", HEADS, {"attention_mask": [[[1]], [[0]]]}, r"its mask of shape \(2, 1, 1\)"),
        ("MultiHeadAttention", HEADS, {"attention_mask": [[0.5]]}, "its mask has numbers that are neither 0 nor 1"),
        ("MultiHeadAttention", HEADS, {"attention_mask": [[0]]}, "its mask leaves a row without an input"),
        ("MultiHeadAttention", HEADS, {"value_mask": tensor("x")}, "is called with value_mask; masking is not"),
        ("Attention", {}, {"mask": [None, tensor("x")]}, "is called with mask; masking is not supported"),
        ("hgq>QMultiHeadAttention", HEADS, {"use_causal_mask": True}, "is called with use_causal_mask, which is not"),
        ("MultiHeadAttention", {**HEADS, "use_gate": True}, {}, "use_gate is True, which is not supported; leave it"),
        ("MultiHeadAttention", {**HEADS, "sliding_window": 3}, {}, "sliding_window is 3, which is not supported"),
        ("MultiHeadAttention", {**HEADS, "attention_axes": [2]}, {}, r"attention_axes are \[2\]; they are axes"),
        ("MultiHeadAttention", {**HEADS, "num_heads": 0}, {}, "has 0 heads in 0 groups"),
        ("MultiHeadAttention", {**HEADS, "key_dim": 3}, {}, r"the weight query_dense/kernel has shape \(3, 2, 4\)"),
        ("GroupQueryAttention", {"num_query_heads": 3, "num_key_value_heads": 2, "head_dim": 4}, {}, "has 3 heads"),
        ("Attention", {"score_mode": "sum"}, {}, 'score_mode is "sum"; there are dot and concat'),
        ("AdditiveAttention", {"use_scale": True}, {}, "the weight scale is missing"),
    ],
)  # fmt: skip
def test_refused_attention(class_name: str, config: Config, arguments: Config, sentence: str) -> None:
    with pytest.raises(UnsupportedModel, match=sentence):
        attention(class_name, config, arguments)


def test_masks_of_attention() -> None:
    """What is masked out has no weight; the mask is one for all heads, or for each."""
    lower = np.tri(5, dtype=int)
    for class_name, config, arguments in (
        ("MultiHeadAttention", HEADS, {"use_causal_mask": True}),
        ("MultiHeadAttention", HEADS, {"attention_mask": lower[None].tolist()}),
        ("MultiHeadAttention", HEADS, {"attention_mask": np.tri(5, k=2).tolist(), "use_causal_mask": True}),
        ("Attention", {}, {"use_causal_mask": True}),
        ("Attention", {"causal": True}, {}),
    ):
        (softmax,) = (node.op for node in attention(class_name, config, arguments) if isinstance(node.op, Softmax))
        assert softmax.mask is not None and np.array_equal(softmax.mask.data, lower)
    each = np.stack([lower, np.ones_like(lower)])
    (softmax,) = (
        node.op for node in attention("MultiHeadAttention", HEADS, {"attention_mask": each[None].tolist()})
        if isinstance(node.op, Softmax)
    )  # fmt: skip
    assert softmax.mask is not None and np.array_equal(softmax.mask.data, each)
    graph = attention("MultiHeadAttention", HEADS, {"attention_mask": [[1]]})
    assert all(node.op.mask is None for node in graph if isinstance(node.op, Softmax))


def test_a_causal_mask_is_over_the_first_axis() -> None:
    source = LayerSpec("x", "InputLayer", {"batch_shape": [None, 2, 5, 3]})
    call = Call((TensorRef("x"),) * 2, {"use_causal_mask": True})
    shapes = {part: (3, 2, 4) for part in ("query", "key", "value")}
    weights = {f"{part}_dense/kernel": np.ones(shape) for part, shape in shapes.items()}
    layer = LayerSpec("l", "MultiHeadAttention", {**HEADS, "use_bias": False}, (call,), weights)
    model = ModelSpec("m", (source, layer), ("x",), (TensorRef("l"),))
    with pytest.raises(UnsupportedModel, match="which is supported over the first axis alone"):
        build_graph(model, "m")


def test_the_scale_of_scores_is_in_the_weights_of_the_query() -> None:
    """So that it costs nothing, and is exact where the size of a head is a power of four."""
    graph = attention("MultiHeadAttention", HEADS)
    assert [node.layer.name for node in graph][1:3] == ["l_query", "l_query"]
    op = graph["l_query"].op
    assert isinstance(op, Dense) and op.bias is not None
    assert set(op.weight.floats().ravel()) == set(op.bias.floats()) == {0.5}
    products = [node.op.equation for node in graph if isinstance(node.op, Einsum)]
    assert products == ["thd,shd->hts", "hts,shd->thd"]
    assert {node.layer.class_name for node in graph if node.op.kind == "softmax"} == {"Softmax"}


def distributed(inner: Config, weights: dict[str, np.ndarray], shape: tuple[int, ...]) -> Graph:
    """TimeDistributed around a layer on an input of this shape."""
    source = LayerSpec("x", "InputLayer", {"batch_shape": [None, *shape]})
    held = {f"layer/{name}": values for name, values in weights.items()}
    layer = LayerSpec("l", "TimeDistributed", {"layer": inner}, (Call((TensorRef("x"),)),), held)
    return build_graph(ModelSpec("m", (source, layer), ("x",), (TensorRef("l"),)), "m")


CONV: Config = {"filters": 2, "kernel_size": [2, 2], "strides": [1, 2], "padding": "same"}


@pytest.mark.parametrize(
    ("class_name", "config"),
    [
        ("Conv2D", {**CONV, "activation": "relu"}),
        ("Conv2DTranspose", {**CONV, "activation": None}),
        ("MaxPooling2D", {"pool_size": [2, 1]}),
        ("AveragePooling2D", {"pool_size": [2, 2], "strides": [1, 1], "padding": "same"}),
        ("GlobalMaxPooling2D", {"keepdims": True}),
        ("GlobalAveragePooling2D", {"keepdims": False}),
        ("UpSampling2D", {"size": [1, 2]}),
        ("ZeroPadding2D", {"padding": [[0, 1], [2, 0]]}),
    ],
)
def test_each_step_in_channels_first(class_name: str, config: Config) -> None:
    """The same as channels_last on values with their channels moved."""
    rng = np.random.default_rng(3)
    last = (2, 3) if class_name == "Conv2DTranspose" else (3, 2)
    weights = {"kernel": rng.normal(0, 1, (2, 2, *last)), "bias": rng.normal(0, 1, 2)}
    x = rng.normal(0, 1, (2, 3, 4, 6, 3))
    found = []
    for data_format, value in (("channels_last", x), ("channels_first", np.moveaxis(x, -1, 2))):
        inner = {"class_name": class_name, "config": {**config, "data_format": data_format}}
        graph = distributed(inner, weights if "Conv" in class_name else {}, value.shape[1:])
        found.append(run_float(graph, {"x": value})[graph.outputs[0]])
    plain, first = found
    assert first.ndim == plain.ndim and np.allclose(np.moveaxis(first, 2, -1) if first.ndim == 5 else first, plain)


def test_a_convolution_of_each_step_is_one_convolution() -> None:
    inner = {"class_name": "Conv1D", "config": {"filters": 2, "kernel_size": [2], "strides": [1], "padding": "same"}}
    weights = {"kernel": np.ones((2, 3, 2)), "bias": np.ones(2)}
    graph = distributed(inner, weights, (7, 5, 3))
    assert [node.op.kind for node in graph] == ["input", "conv"] and graph["l"].shape == (7, 5, 2)
    assert isinstance(graph["l"].op, Conv) and graph["l"].op.kernel == (1, 2)
