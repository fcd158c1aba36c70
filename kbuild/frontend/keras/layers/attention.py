"""Attention: every layer is projections, a product of queries and keys, a softmax, and a product with the values."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from kbuild.dataclass import dataclass
from kbuild.frontend.keras.config import Config
from kbuild.frontend.keras.handler import Handler, LayerCall
from kbuild.frontend.keras.masking import BoolArray, constant_mask, mask_tensor
from kbuild.frontend.keras.operands import constant
from kbuild.frontend.keras.safety import quoted
from kbuild.ir import Node, Op, Shape, Tensor
from kbuild.ops.affine import Affine
from kbuild.ops.dense import Dense
from kbuild.ops.einsum import Einsum
from kbuild.ops.lut import Lut
from kbuild.ops.merge import Merge
from kbuild.ops.reduce import Reduce
from kbuild.ops.reshape import Reshape
from kbuild.ops.softmax import Softmax
from kbuild.ops.transpose import Transpose

_PROJECTIONS = ("query", "key", "value", "output")
# Parts of a layer, which have names and types of their own, and the class of layer that they are like
_PARTS = {
    "query": "Dense",
    "key": "Dense",
    "value": "Dense",
    "sums": "Add",
    "scaled": "Rescaling",
    "tanh": "Activation",
    "scores": "Dot",
    "weighted": "Rescaling",
    "weights": "Softmax",
}


def _add(call: LayerCall, part: str, op: Op, *inputs: Node) -> Node:
    """A node of a part of the layer."""
    return call.part(part, _PARTS[part]).add(op, *inputs)


def _shaped(call: LayerCall, part: str, source: Node, shape: Shape) -> Node:
    return source if source.shape == shape else _add(call, part, Reshape(shape), source)


def _check(call: LayerCall) -> None:
    """Refuse settings that would change the result and are not computed."""
    for key in ("sliding_window", "use_gate"):
        if call.config.raw(key) not in (None, False):
            raise call.error(f"{key} is {quoted(call.config.raw(key))[1:-1]}, which is not supported; leave it out")


def _attended(
    call: LayerCall, scores: Node, equation: str, value: Node, last: Callable[[Node], Node], mask: Tensor | None
) -> tuple[Node, ...]:
    """The values weighted by the softmax of the scores, and the weights where the call asks for them."""
    weights = _add(call, "weights", Softmax(mask=mask), scores)
    result = last(call.add(Einsum(equation), weights, value))
    return (result, weights) if call.arguments.get("return_attention_scores") is True else (result,)


def _causal(call: LayerCall, queries: int, values: int) -> BoolArray | None:
    """[queries, values]: a query sees the values up to its own place, where the call asks for that.

    In older versions of Keras 2 the layer does, by its setting `causal`.
    """
    wanted = call.arguments.get("use_causal_mask") is True or call.config.raw("causal") is True
    return np.tri(queries, values, dtype=bool) if wanted else None


# ---- with heads --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Heads:
    """Sizes of a layer with heads: of queries and of keys and values, of a key and of a value of a head."""

    queries: int
    keys: int
    key_size: int
    value_size: int


def _projection(call: LayerCall, part: str, source: Node, heads: int, size: int, scale: float = 1.0) -> Node:
    """source [*rows, features] as [*rows, heads, size]; `scale` goes into the weights."""
    kernel = call.weight(f"{part}_dense/kernel", (source.shape[-1], heads, size)).reshape(-1, heads * size)
    bias = None
    if call.config.flag("use_bias", True):
        bias = Tensor(call.weight(f"{part}_dense/bias", (heads, size)).reshape(-1) * scale)
    rows = _add(call, part, Dense(Tensor(kernel * scale), bias), source)
    return _add(call, part, Reshape((*source.shape[:-1], heads, size)), rows)


def _output(call: LayerCall, joined: Node, shape: Shape) -> Node:
    """joined [*rows, heads, size] projected to [*rows, *shape]."""
    heads, size = joined.shape[-2:]
    rows = call.add(Reshape((*joined.shape[:-2], heads * size)), joined)
    kernel = call.weight("output_dense/kernel", (heads, size, *shape)).reshape(heads * size, -1)
    bias = None
    if call.config.flag("use_bias", True):
        bias = Tensor(call.weight("output_dense/bias", shape).reshape(-1))
    made = call.add(Dense(Tensor(kernel), bias), rows)
    return call.add(Reshape((*joined.shape[:-2], *shape)), made)


def _multi_head(call: LayerCall, heads: _Heads) -> tuple[Node, ...]:
    """Queries, values and perhaps keys [*free, *attended, features], whose free axes are the same."""
    _check(call)
    if len(call.inputs) not in (2, 3):
        raise call.error(f"is called with {len(call.inputs)} tensors, not with a query, a value and perhaps a key")
    query, value, key = (*call.inputs, *call.inputs[1:])[:3]
    rank = len(query.shape) - 1
    attended = _attended_axes(call, rank)
    free = [axis for axis in range(rank) if axis not in attended]
    if any(len(x.shape) != rank + 1 or any(x.shape[a] != query.shape[a] for a in free) for x in (value, key)):
        raise call.error("its query, value and key differ in rank or in the axes that are not attended")
    order = (*free, *attended)
    scale = 1 / math.sqrt(heads.key_size)
    q = _projection(call, "query", _rows(call, "query", query, order, len(free)), heads.queries, heads.key_size, scale)
    k = _projection(call, "key", _rows(call, "key", key, order, len(free)), heads.keys, heads.key_size)
    v = _projection(call, "value", _rows(call, "value", value, order, len(free)), heads.keys, heads.value_size)
    if k.shape[-3] != v.shape[-3]:
        raise call.error(f"its key has {k.shape[-3]} places and its value {v.shape[-3]}; they must be as many")
    f, group = "f" if free else "", heads.queries // heads.keys
    g = "g" if group > 1 else ""
    if g:
        q = _add(call, "query", Reshape((*q.shape[:-2], heads.keys, group, heads.key_size)), q)
    scores = _add(call, "scores", Einsum(f"{f}th{g}d,{f}shd->{f}h{g}ts"), q, k)
    mask = _mask_of_heads(call, scores.shape, heads, attended)
    shape = _output_shape(call, query.shape[-1])

    def last(joined: Node) -> Node:
        if g:
            joined = call.add(Reshape((*joined.shape[:-3], heads.queries, heads.value_size)), joined)
        made = _output(call, joined, shape)
        made = call.add(Reshape((*(query.shape[axis] for axis in order), *shape)), made)
        back = (*(order.index(axis) for axis in range(rank)), *range(rank, rank + len(shape)))
        return call.add(Transpose(back), made)

    result = _attended(call, scores, f"{f}h{g}ts,{f}shd->{f}th{g}d", v, last, mask)
    return (result[0], *(_scores_of(call, w, query, key, order, len(free)) for w in result[1:]))


def _mask_of_heads(call: LayerCall, scores: Shape, heads: _Heads, attended: tuple[int, ...]) -> Tensor | None:
    """The mask of scores [free?, heads, group?, places, places]: causal, or a constant [batch, heads, places, places]
    that may lack its first axes.
    """
    places = scores[-2:]
    mask, given = _causal(call, *places), call.arguments.get("attention_mask")
    if (mask is not None or given is not None) and attended != (0,):
        raise call.error("has a mask, which is supported over the first axis alone; leave attention_axes out")
    if given is not None:
        each_head = constant(call, given).ndim > 3  # [batch, heads, *places], else [batch, *places]
        own = constant_mask(call, given, (heads.queries, *places) if each_head else places)
        mask = own if mask is None else own & mask
    if mask is None:
        return None
    if mask.ndim == 3:  # a mask for each head
        mask = mask.reshape(*scores[len(scores) - (4 if heads.queries > heads.keys else 3) :])
    return mask_tensor(call, mask)


def _attended_axes(call: LayerCall, rank: int) -> tuple[int, ...]:
    if not call.config.has("attention_axes"):
        return tuple(range(rank))
    raw = call.config.raw("attention_axes")
    axes = (
        [raw] if isinstance(raw, int) else [axis for axis in call.config.integers("attention_axes") if axis is not None]
    )
    found = tuple(call.axis(axis, rank + 1) for axis in axes)
    if rank in found or len(set(found)) < len(found) or not found:
        raise call.error(f"attention_axes are {axes}; they are axes beside the batch and the features, each once")
    return found


def _rows(call: LayerCall, part: str, source: Node, order: tuple[int, ...], free: int) -> Node:
    """source as [free, places, features], or [places, features] where no axis is free."""
    rank = len(order)
    moved = source if order == tuple(range(rank)) else _add(call, part, Transpose((*order, rank)), source)
    sizes = [source.shape[axis] for axis in order]
    rows = (math.prod(sizes[:free]), math.prod(sizes[free:])) if free else (math.prod(sizes),)
    return _shaped(call, part, moved, (*rows, source.shape[-1]))


def _scores_of(call: LayerCall, weights: Node, query: Node, key: Node, order: tuple[int, ...], free: int) -> Node:
    """The weights [free, heads, T, S] with the axes that Keras gives them: [*free, heads, *places, *places]."""
    first, targets = [query.shape[axis] for axis in order], [key.shape[axis] for axis in order[free:]]
    places = weights.shape[-2:]
    heads = math.prod(weights.shape) // math.prod(places) // math.prod(first[:free])
    shape = (*first[:free], heads, *first[free:], *targets)
    return _shaped(call, "weights", weights, shape)


def _output_shape(call: LayerCall, features: int) -> Shape:
    if not call.config.has("output_shape"):
        return (features,)
    raw = call.config.raw("output_shape")
    found = (raw,) if isinstance(raw, int) else call.config.integers("output_shape")
    shape = tuple(n for n in found if n is not None and n > 0)
    if len(shape) < len(found) or not shape:
        raise call.error(f"output_shape is {found}, not sizes")
    return shape


def _multi_head_attention(call: LayerCall) -> tuple[Node, ...]:
    config = call.config
    heads, key = config.integer("num_heads"), config.integer("key_dim")
    value = config.integer("value_dim") if config.has("value_dim") else key
    return _multi_head(call, _checked(call, _Heads(heads, heads, key, value)))


def _grouped_query_attention(call: LayerCall) -> tuple[Node, ...]:
    """As multi-head attention, but a group of heads shares its keys and values."""
    config = call.config
    queries, keys = config.integer("num_query_heads"), config.integer("num_key_value_heads")
    size = config.integer("head_dim")
    return _multi_head(call, _checked(call, _Heads(queries, keys, size, size)))


def _checked(call: LayerCall, heads: _Heads) -> _Heads:
    if min(heads.queries, heads.keys, heads.key_size, heads.value_size) < 1 or heads.queries % heads.keys:
        raise call.error(f"has {heads.queries} heads in {heads.keys} groups of {heads.key_size} and {heads.value_size}")
    return heads


def _head_weights(config: Config) -> tuple[str, ...]:
    names = ("kernel", "bias") if config.flag("use_bias", True) else ("kernel",)
    return tuple(f"{part}_dense/{name}" for part in _PROJECTIONS for name in names)


# ---- without heads -----------------------------------------------------------------------------------------------


def _one_head(score: Callable[[LayerCall, Node, Node], Node]) -> Callable[[LayerCall], tuple[Node, ...]]:
    def build(call: LayerCall) -> tuple[Node, ...]:
        _check(call)
        if len(call.inputs) not in (2, 3):
            raise call.error(f"is called with {len(call.inputs)} tensors, not with [query, value] and perhaps a key")
        query, value, key = (*call.inputs, *call.inputs[1:])[:3]
        if any(len(x.shape) != 2 for x in (query, value, key)):
            raise call.error("needs queries, values and keys of shape (places, features)")
        if query.shape[1] != key.shape[1] or key.shape[0] != value.shape[0]:
            raise call.error(f"its query {query.shape}, value {value.shape} and key {key.shape} do not fit")
        causal = _causal(call, query.shape[0], value.shape[0])
        mask = None if causal is None else mask_tensor(call, causal)
        return _attended(call, score(call, query, key), "ts,sd->td", value, lambda node: node, mask)

    return build


def _scaled(call: LayerCall, part: str, source: Node, name: str) -> Node:
    """A value times the weight that is one number."""
    one, none = (1,) * len(source.shape), np.zeros((1,) * len(source.shape))
    return _add(call, part, Affine(Tensor(call.weight(name, ()).reshape(one)), Tensor(none)), source)


def _sums(call: LayerCall, query: Node, key: Node) -> Node:
    """query [T, D] and key [S, D] as sums [T, S, D]."""
    rows = _add(call, "sums", Reshape((query.shape[0], 1, query.shape[1])), query)
    columns = _add(call, "sums", Reshape((1, *key.shape)), key)
    return _add(call, "sums", Merge("add"), rows, columns)


def _scores(call: LayerCall, query: Node, key: Node) -> Node:
    mode, scaled = call.config.text("score_mode", "dot"), call.config.flag("use_scale", False)
    if mode == "dot":
        scores = _add(call, "scores", Einsum("td,sd->ts"), query, key)
        return _scaled(call, "scaled", scores, "scale") if scaled else scores
    if mode != "concat":
        raise call.error(f"score_mode is {quoted(mode)}; there are dot and concat")
    sums = _sums(call, query, key)
    sums = _scaled(call, "scaled", sums, "scale") if scaled else sums
    scores = _add(call, "scores", Reduce("sum", (2,), sums.shape[2]), _add(call, "tanh", Lut("tanh"), sums))
    return _scaled(call, "weighted", scores, "concat_score_weight")


def _additive_scores(call: LayerCall, query: Node, key: Node) -> Node:
    """sum(scale * tanh(query + key)), which is a dense layer of one output."""
    bent = _add(call, "tanh", Lut("tanh"), _sums(call, query, key))
    if not call.config.flag("use_scale", True):
        return _add(call, "scores", Reduce("sum", (2,), bent.shape[2]), bent)
    kernel = Tensor(call.weight("scale", (bent.shape[2],)).reshape(-1, 1))
    return _add(call, "scores", Reshape(bent.shape[:2]), _add(call, "scores", Dense(kernel), bent))


def _attention_weights(config: Config) -> tuple[str, ...]:
    scale = ("scale",) if config.flag("use_scale", False) else ()
    return (*scale, "concat_score_weight") if config.text("score_mode", "dot") == "concat" else scale


def _additive_weights(config: Config) -> tuple[str, ...]:
    return ("scale",) if config.flag("use_scale", True) else ()


def _handler(
    build: Callable[[LayerCall], tuple[Node, ...]], note: str, weights: Callable[[Config], tuple[str, ...]]
) -> Handler:
    return Handler(lambda call: build(call)[0], note, weights, build)


_MASKS = "masks that are causal or constant"
_GROUPED = _handler(_grouped_query_attention, f"self and cross attention; {_MASKS}", _head_weights)

HANDLERS = {
    "MultiHeadAttention": _handler(
        _multi_head_attention,
        f"self and cross attention, key_dim, value_dim, output_shape, attention_axes, scores; {_MASKS}",
        _head_weights,
    ),
    "GroupQueryAttention": _GROUPED,
    "GroupedQueryAttention": _GROUPED,
    "Attention": _handler(_one_head(_scores), "dot and concat, use_scale, scores, causal masks", _attention_weights),
    "AdditiveAttention": _handler(_one_head(_additive_scores), "use_scale, scores, causal masks", _additive_weights),
}
