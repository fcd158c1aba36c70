"""HGQ2's attention: projections, products and a softmax whose every step is quantized."""

from __future__ import annotations

import math
from collections.abc import Callable

from kbuild.dataclass import dataclass, replace
from kbuild.frontend.keras.handler import ALL, Handler, LayerCall, fitting
from kbuild.frontend.keras.layers.hgq2 import NOTE, softmax
from kbuild.frontend.keras.quantizers.exact import exact_tensor
from kbuild.frontend.keras.quantizers.hgq2 import (
    inner_call,
    quantized_input,
    quantized_output,
    quantized_weight,
    variable,
)
from kbuild.frontend.keras.safety import quoted
from kbuild.ir import Node, Shape
from kbuild.ops.dense import Dense
from kbuild.ops.einsum import Einsum
from kbuild.ops.reshape import Reshape

_QUANTIZERS = ("iq_conf", "kq_conf", "bq_conf", "oq_conf")
_TABLES = ("exp_iq_conf", "exp_oq_conf", "inv_iq_conf", "inv_oq_conf", "oq_conf")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
# With `fuse`, these projections have one input quantizer, whose variables are those of one of them in the file.
_FUSED = {"none": (), "kv": ("key_dense", "value_dense"), "qkv": ("key_dense", "query_dense", "value_dense")}


def _with_fused(call: LayerCall) -> LayerCall:
    """The call with the variables of a shared input quantizer under each of its names."""
    fuse = call.config.text("fuse", "none")
    if fuse not in _FUSED:
        raise call.error(f"fuse is {quoted(fuse)}; there are {', '.join(_FUSED)}")
    shared = {
        name.removeprefix("_").removeprefix(path): values
        for path in _FUSED[fuse]
        for name, values in call.weights.items()
        if name.removeprefix("_").startswith(f"{path}/iq/")
    }
    found = {f"{path}{name}": values for path in _FUSED[fuse] for name, values in shared.items()}
    return replace(call, weights={**call.weights, **found})


def _shaped(call: LayerCall, source: Node, shape: Shape) -> Node:
    return source if source.shape == shape else call.add(Reshape(shape), source)


def _projection(call: LayerCall, path: str, source: Node, summed: int, outputs: Shape, bias: bool) -> Node:
    """source [*places, *inputs], with so many axes of inputs, times a kernel [*inputs, *outputs]: a Dense layer."""
    name = path.removesuffix("_dense")
    own = call if name == "output" else call.part(name, "Dense")
    inner = inner_call(own, path, "QEinsumDense", {key: call.config.raw(f"qkvo_{key}") for key in _QUANTIZERS})
    rank = len(source.shape) - summed
    places, inputs = source.shape[:rank], source.shape[rank:]
    kernel = quantized_weight(inner, variable(inner, 0), "kq_conf", "kq/quantizer")
    if kernel.shape != (*inputs, *outputs):
        raise call.error(f"the kernel of {path} has the shape {kernel.shape}, not {(*inputs, *outputs)}")
    rows = math.prod(inputs)
    shift = quantized_weight(inner, variable(inner, 1), "bq_conf", "bq/quantizer").reshape(-1) if bias else None
    x = quantized_input(inner.on(source))
    op = Dense(exact_tensor(kernel.reshape(rows, -1)), None if shift is None else exact_tensor(shift))
    made = inner.add(op, _shaped(inner, x.input, (*places, rows)))
    return quantized_output(inner, _shaped(inner, made, (*places, *outputs)))


@dataclass(frozen=True)
class _Axes:
    """Letters of queries and of keys and values [*places, heads, size], and of scores."""

    queries: str
    keys: str
    scores: str

    @classmethod
    def of(cls, rank: int, attended: tuple[int, ...]) -> _Axes:
        """For so many axes of places, some of which are attended; the others are those of both."""
        places, more = _LETTERS[:rank], _LETTERS[rank : 2 * rank]
        others = "".join(more[axis] if axis in attended else places[axis] for axis in range(rank))
        free = "".join(places[axis] for axis in range(rank) if axis not in attended)
        targets, sources = ("".join(word[axis] for axis in attended) for word in (places, others))
        return cls(f"{places}HD", f"{others}HD", f"{free}H{targets}{sources}")


def _softmax(call: LayerCall, scores: Node, axes: int) -> Node:
    """Over the last axes, of scores that are scaled within the table of exponentials."""
    values: dict[str, object] = {key: call.config.raw(f"softmax_{key}") for key in _TABLES}
    rank = len(scores.shape)
    values |= {
        "axes": list(range(rank - axes + 1, rank + 1)),
        "stable": call.config.flag("stable_softmax", True),
        "input_scaler": 1 / math.sqrt(call.config.integer("key_dim")),
        "enable_iq": False,
    }
    return softmax(inner_call(call.part("weights", "Softmax"), "softmax", "QSoftmax", values).on(scores))


def _attended(call: LayerCall, rank: int) -> tuple[int, ...]:
    if not call.config.has("attention_axes"):
        return tuple(range(rank))
    raw = call.config.raw("attention_axes")
    given = (raw,) if isinstance(raw, int) else call.config.integers("attention_axes")
    found = tuple(call.axis(axis, rank + 1) for axis in given if axis is not None)
    if not found or max(found) >= rank or len(set(found)) < len(found):
        raise call.error(f"attention_axes are {given}; they are axes beside the batch and the features, each once")
    return found


def _output_shape(call: LayerCall, features: int) -> Shape:
    if not call.config.has("output_shape"):
        return (features,)
    raw = call.config.raw("output_shape")
    given = (raw,) if isinstance(raw, int) else call.config.integers("output_shape")
    found = tuple(n for n in given if n is not None and n > 0)
    if len(found) < len(given) or not found:
        raise call.error(f"output_shape is {given}, not sizes")
    return found


def _operands(call: LayerCall) -> tuple[Node, Node, Node]:
    """Query, value and key; those that are not given are what is before them."""
    if not 1 <= len(call.inputs) <= 3:
        raise call.error(f"is called with {len(call.inputs)} tensors, not with a query and perhaps a value and a key")
    for key in ("sliding_window", "use_gate"):
        if call.config.raw(key) not in (None, False):
            raise call.error(f"{key} is {quoted(call.config.raw(key))[1:-1]}, which is not supported; leave it out")
    query = call.inputs[0]
    value = call.inputs[1] if len(call.inputs) > 1 else query
    return query, value, call.inputs[2] if len(call.inputs) > 2 else value


def _attention(call: LayerCall, query: Node, value: Node, key: Node) -> tuple[Node, ...]:
    """The result, and the weights where the call asks for them."""
    call, config, rank = _with_fused(call), call.config, len(query.shape) - 1
    heads, size, bias = config.integer("num_heads"), config.integer("key_dim"), config.flag("use_bias", True)
    value_size = config.integer("value_dim") if config.has("value_dim") else size
    attended = _attended(call, rank)
    axes = _Axes.of(rank, attended)
    q = _projection(call, "query_dense", query, 1, (heads, size), bias)
    k = _projection(call, "key_dense", key, 1, (heads, size), False)
    v = _projection(call, "value_dense", value, 1, (heads, value_size), bias)
    scores = call.part("scores", "Dot").add(Einsum(f"{axes.keys},{axes.queries}->{axes.scores}"), k, q)
    weights = _softmax(call, scores, len(attended))
    joined = call.add(Einsum(f"{axes.scores},{axes.keys}->{axes.queries}"), weights, v)
    made = _projection(call, "output_dense", joined, 2, _output_shape(call, query.shape[-1]), bias)
    result = quantized_output(call, made)
    return (result, weights) if call.arguments.get("return_attention_scores") is True else (result,)


def _multi_head(call: LayerCall) -> tuple[Node, ...]:
    return _attention(call, *_operands(call))


def _linformer(call: LayerCall) -> tuple[Node, ...]:
    """The places of keys and values are first projected to fewer."""
    query, value, key = _operands(call)
    if call.config.text("lin_kv_proj_mode", "dense") != "dense":
        raise call.error("lin_kv_proj_mode is dense_t, whose tables are not supported; use dense")
    rank = len(value.shape) - 1
    attended = _attended(call, rank)
    raw = call.config.raw("lin_kv_proj_dim")
    sizes = (raw,) if isinstance(raw, int) else call.config.integers("lin_kv_proj_dim")
    if len(sizes) != len(attended):
        raise call.error(f"lin_kv_proj_dim is {sizes}, not a size for each of {len(attended)} attended axes")
    shared = call.config.flag("share_kv_proj", False)
    key = _fewer_places(call, "lin_k_proj", key, attended)
    value = _fewer_places(call, "lin_k_proj" if shared else "lin_v_proj", value, attended)
    return _attention(call, query, value, key)


def _fewer_places(call: LayerCall, path: str, source: Node, attended: tuple[int, ...]) -> Node:
    own = call.part(path.removesuffix("_proj"), "EinsumDense")
    inner = inner_call(own, path, "QEinsumDense", {key: call.config.raw(f"qkvo_{key}") for key in _QUANTIZERS})
    x = quantized_input(inner.on(source)).input
    kernel = exact_tensor(quantized_weight(inner, variable(inner, 0), "kq_conf", "kq/quantizer"))
    before = _LETTERS[: len(source.shape)]
    new = _LETTERS[len(before) : len(before) + len(attended)]
    old = "".join(before[axis] for axis in attended)
    after = "".join(new[attended.index(place)] if place in attended else c for place, c in enumerate(before))
    return quantized_output(inner, inner.add(Einsum(f"{before},{old}{new}->{after}", kernel), x))


def _handler(build: Callable[[LayerCall], tuple[Node, ...]]) -> Handler:
    guarded = fitting(build)
    return Handler(lambda call: guarded(call)[0], NOTE, lambda config: ALL, guarded)


HANDLERS = {
    "hgq>QMultiHeadAttention": _handler(_multi_head),
    "hgq>QLinformerAttention": _handler(_linformer),
}
