"""Functions of `keras.ops` that move elements: slices, shapes, orders, and joining and splitting along axes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from kbuild.frontend.keras.handler import Handler, LayerCall
from kbuild.frontend.keras.layers.core import filled
from kbuild.frontend.keras.operands import axes_of, constant, function, integer_or_list, raw, tensor, tensors
from kbuild.frontend.keras.safety import MAX_NODES
from kbuild.ir import Node
from kbuild.ops.concatenate import Concatenate
from kbuild.ops.identity import Identity
from kbuild.ops.pad import Pad
from kbuild.ops.pool import Pool
from kbuild.ops.repeat import Repeat
from kbuild.ops.reshape import Reshape
from kbuild.ops.transpose import Transpose

MAX_PIECES = 64  # of a value that is cut up and put together in another order


# ---- choosing elements along an axis -----------------------------------------------------------------------------


def cropped(call: LayerCall, x: Node, axis: int, low: int, high: int) -> Node:
    """The elements low .. high - 1 along an axis."""
    if (low, high) == (0, x.shape[axis]):
        return x
    pairs = [(0, 0)] * len(x.shape)
    pairs[axis] = -low, high - x.shape[axis]
    return call.add(Pad(tuple(pairs)), x)


def _strided(call: LayerCall, x: Node, axis: int, step: int) -> Node:
    """Every `step`-th element along an axis: pooling over windows of one."""
    if step == 1:
        return x
    rows, columns = math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
    flat = call.add(Reshape((rows, x.shape[axis], columns)), x)
    chosen = call.add(Pool("max", (1, 1), (1, step), ((0, 0), (0, 0))), flat)
    return call.add(Reshape((*x.shape[:axis], chosen.shape[1], *x.shape[axis + 1 :])), chosen)


def _chosen(call: LayerCall, x: Node, axis: int, indices: Sequence[int]) -> Node:
    """The elements with these indices along an axis, in their order: runs with one step each, one after the other."""
    if isinstance(indices, range) and indices and indices.step > 0:
        return _strided(call, cropped(call, x, axis, indices[0], indices[-1] + 1), axis, indices.step)
    runs: list[list[int]] = []
    for index in indices:
        if len(runs) > MAX_PIECES:
            break
        run = runs[-1] if runs else []
        if (len(run) == 1 and index > run[0]) or (len(run) > 1 and index - run[-1] == run[1] - run[0]):
            run.append(index)
        else:
            runs.append([index])
    if not runs or len(runs) > MAX_PIECES:
        many = f"more than {MAX_PIECES}" if runs else "no"
        raise call.error(f"takes {many} pieces of an axis; 1 to {MAX_PIECES} can be put in another order")
    pieces = [
        _strided(call, cropped(call, x, axis, run[0], run[-1] + 1), axis, run[1] - run[0] if len(run) > 1 else 1)
        for run in runs
    ]
    return pieces[0] if len(pieces) == 1 else call.add(Concatenate(axis), *pieces)


def _slice_of(call: LayerCall, item: object) -> slice:
    settings = item.get("config", item) if isinstance(item, Mapping) else None
    ends = [settings.get(key) for key in ("start", "stop", "step")] if isinstance(settings, Mapping) else []
    if not ends or not all(end is None or (isinstance(end, int) and not isinstance(end, bool)) for end in ends):
        raise call.error("takes something else of an axis than a number or a slice of numbers; write those")
    if ends[2] == 0:
        raise call.error("takes a slice with a step of 0")
    return slice(*ends)


def _is_ellipsis(item: object) -> bool:
    return isinstance(item, Mapping) and item.get("class_name") == "__ellipsis__"


def _get_item(call: LayerCall) -> Node:
    """x[...]: of the batch everything, of the other axes a slice or one element; None is a new axis."""
    x, key = tensor(call), raw(call, 2)
    items = list(key) if isinstance(key, list) else [key]
    named = sum(item is not None and not _is_ellipsis(item) for item in items)
    missing: list[object] = [{"start": None, "stop": None, "step": None}] * (len(x.shape) + 1 - named)
    if not any(map(_is_ellipsis, items)):
        items.append({"class_name": "__ellipsis__"})
    at = next(number for number, item in enumerate(items) if _is_ellipsis(item))
    items[at : at + 1] = missing
    if named > len(x.shape) + 1 or any(map(_is_ellipsis, items)):
        raise call.error(f"takes elements of {named} axes of a value of shape {x.shape}")
    if items[0] is None or isinstance(items[0], int) or _slice_of(call, items[0]) not in (slice(None), slice(0, None)):
        raise call.error("takes some of the samples of a batch; begin the index with a colon, as in x[:, 1:]")
    shape: list[int] = []
    axis = 0
    for item in items[1:]:
        if item is None:
            shape.append(1)
            continue
        n = x.shape[axis]
        if isinstance(item, int) and not isinstance(item, bool):
            if not -n <= item < n:
                raise call.error(f"takes element {item} of an axis of {n}")
            x = _chosen(call, x, axis, [item % n])
        else:
            x = _chosen(call, x, axis, range(n)[_slice_of(call, item)])
            shape.append(x.shape[axis])
        axis += 1
    return call.add(Reshape(tuple(shape)), x)


def _take(call: LayerCall) -> Node:
    x, indices = tensor(call), constant(call, raw(call, 2))
    (axis,) = axes_of(call, "axis", len(x.shape)) or (-1,)
    n = x.shape[axis]
    if axis < 0 or indices.ndim > 1 or not all(float(i).is_integer() and -n <= i < n for i in indices.reshape(-1)):
        raise call.error("takes elements by something else than a list of indices along an axis beside the batch")
    chosen = _chosen(call, x, axis, [int(i) % n for i in indices.reshape(-1)])
    return chosen if indices.ndim else call.add(Reshape((*x.shape[:axis], *x.shape[axis + 1 :])), chosen)


def _flip(call: LayerCall) -> Node:
    x = tensor(call)
    axes = axes_of(call, "axis", len(x.shape))
    if axes is None:
        raise call.error("reverses the samples of a batch; name the axes, such as axis=1")
    for axis in axes:
        x = _chosen(call, x, axis, range(x.shape[axis])[::-1])
    return x


def _roll(call: LayerCall) -> Node:
    x, shift = tensor(call), call.config.integer("shift")
    axes = axes_of(call, "axis", len(x.shape))
    if axes is None or len(axes) != 1:
        raise call.error("rolls over something else than one axis beside the batch")
    (axis,), n = axes, x.shape[axes[0]]
    if shift % n == 0:
        return call.add(Identity(), x)
    last = n - shift % n
    return call.add(Concatenate(axis), cropped(call, x, axis, last, n), cropped(call, x, axis, 0, last))


# ---- joining and splitting ---------------------------------------------------------------------------------------


def _concatenate(call: LayerCall) -> Node:
    found = tensors(call)
    return call.add(Concatenate(call.axis(call.config.integer("axis", 0), len(found[0].shape))), *found)


def _stack(call: LayerCall) -> Node:
    found = tensors(call)
    shape = found[0].shape
    axis = call.axis(call.config.integer("axis", 0), len(shape) + 1)
    rows = [call.add(Reshape((*shape[:axis], 1, *shape[axis:])), x) for x in found if x.shape == shape]
    if len(rows) < len(found):
        raise call.error("stacks values of different shapes")
    return call.add(Concatenate(axis), *rows)


def _split(call: LayerCall) -> tuple[Node, ...]:
    """Equal parts, or the parts between indices; `sizes` are TensorFlow's."""
    x = tensor(call)
    axis = call.axis(call.config.integer("axis", 0), len(x.shape))
    n = x.shape[axis]
    if call.config.has("sizes") and isinstance(call.config.raw("sizes"), list):
        sizes = [0 if size is None else size for size in call.config.integers("sizes")]
        if sizes.count(-1) == 1:
            sizes[sizes.index(-1)] = n - sum(sizes) - 1
        bounds = [sum(sizes[:count]) for count in range(len(sizes) + 1)]
    else:
        given = integer_or_list(call, "sizes" if call.config.has("sizes") else "indices_or_sections")
        parts = given if isinstance(given, int) else 1
        if not 1 <= parts <= MAX_NODES or n % parts:
            raise call.error(f"splits {n} elements into {parts} parts, which would not be equal")
        bounds = [k * n // parts for k in range(parts + 1)] if isinstance(given, int) else [0, *given, n]
    if bounds[-1] != n or any(low >= high for low, high in pairwise(bounds)):
        raise call.error(f"splits {n} elements at {bounds[1:-1]}; each part must have elements, and all of them a part")
    return tuple(cropped(call, x, axis, low, high) for low, high in pairwise(bounds))


def _unstack(call: LayerCall) -> tuple[Node, ...]:
    x = tensor(call)
    axis = call.axis(call.config.integer("axis", 0), len(x.shape))
    shape = (*x.shape[:axis], *x.shape[axis + 1 :])
    return tuple(call.add(Reshape(shape), cropped(call, x, axis, k, k + 1)) for k in range(x.shape[axis]))


def _tile(call: LayerCall) -> Node:
    """Whole copies side by side; a list that is too short is for the last axes."""
    x, given = tensor(call), integer_or_list(call, "repeats")
    counts = [given] if isinstance(given, int) else given
    counts = [1] * (len(x.shape) + 1 - len(counts)) + counts
    if len(counts) != len(x.shape) + 1 or counts[0] != 1 or min(counts) < 1:
        raise call.error(f"repeats {counts} is not 1 for the batch and a positive number for each other axis")
    if max(counts) > MAX_NODES:
        raise call.error(f"makes {max(counts)} copies; kbuild makes up to {MAX_NODES}")
    for axis, count in enumerate(counts[1:]):
        x = call.add(Concatenate(axis), *[x] * count) if count > 1 else x
    return x


def _repeat(call: LayerCall) -> Node:
    x, axes = tensor(call), axes_of(call, "axis", len(tensor(call).shape))
    count = integer_or_list(call, "repeats")
    if axes is None or len(axes) != 1 or not isinstance(count, int):
        raise call.error("repeats elements along something else than one axis, or not all of them equally")
    return call.add(Repeat(tuple(count if axis == axes[0] else 1 for axis in range(len(x.shape)))), x)


# ---- shapes and orders -------------------------------------------------------------------------------------------


def _reshape(call: LayerCall) -> Node:
    x, target = tensor(call), call.config.integers("newshape")
    if not target or target[0] not in (None, -1):
        raise call.error(f"its shape {target} does not begin with -1 for the batch; use the Reshape layer")
    return call.add(Reshape(filled(call, x.shape, target[1:], "the shape")), x)


def _expand_dims(call: LayerCall) -> Node:
    x, given = tensor(call), integer_or_list(call, "axis")
    axes = [given] if isinstance(given, int) else given
    rank = len(x.shape) + len(axes)
    places = {call.axis(axis, rank) for axis in axes}
    old = iter(x.shape)
    if len(places) < len(axes):
        raise call.error("names an axis twice")
    return call.add(Reshape(tuple(1 if place in places else next(old) for place in range(rank))), x)


def _squeeze(call: LayerCall) -> Node:
    x = tensor(call)
    axes = axes_of(call, "axis", len(x.shape))
    axes = tuple(axis for axis, n in enumerate(x.shape) if n == 1) if axes is None else axes
    if any(x.shape[axis] != 1 for axis in axes):
        raise call.error(f"drops axes of a value of shape {x.shape} that have more than one element")
    return call.add(Reshape(tuple(n for axis, n in enumerate(x.shape) if axis not in axes)), x)


def _transpose(call: LayerCall) -> Node:
    x = tensor(call)
    axes = call.config.integers("axes") if call.config.has("axes") else (None,)
    order = tuple(axis - 1 for axis in axes if axis is not None)
    if axes[0] != 0 or len(order) != len(axes):
        raise call.error("does not keep the batch as the first axis; write the order of axes, such as (0, 2, 1)")
    return call.add(Transpose(order[1:]), x)


def _swap_axes(call: LayerCall) -> Node:
    x = tensor(call)
    one, two = (call.axis(call.config.integer(key), len(x.shape)) for key in ("axis1", "axis2"))
    order = list(range(len(x.shape)))
    order[one], order[two] = two, one
    return call.add(Transpose(tuple(order)), x)


def _move_axis(call: LayerCall) -> Node:
    x = tensor(call)
    sources, targets = (axes_of(call, key, len(x.shape)) or () for key in ("source", "destination"))
    if len(sources) != len(targets) or not sources:
        raise call.error("source and destination are not as many axes beside the batch")
    order = [axis for axis in range(len(x.shape)) if axis not in sources]
    for target, source in sorted(zip(targets, sources, strict=True)):
        order.insert(target, source)
    return call.add(Transpose(tuple(order)), x)


def _pad(call: LayerCall) -> Node:
    x = tensor(call)
    fill = call.config.raw("constant_values")
    if call.config.text("mode", "constant").lower() != "constant" or fill not in (None, 0):
        raise call.error("pads with something else than zeros; use ZeroPadding, or Concatenate")
    pairs = call.config.pairs("pad_width", len(x.shape) + 1)
    if any(pairs[0]):
        raise call.error("pads the batch; give zeros for its axis, as in [[0, 0], [1, 1]]")
    return call.add(Pad(pairs[1:]), x)


_NOTE = "of keras.ops"
_SPLIT = ("indices_or_sections", "sizes", "axis")

HANDLERS: dict[str, Handler] = {
    "ops.GetItem": function(_get_item, "x[:, 1:], x[..., ::2, None]: numbers, slices, None and ...", 2),
    "ops.Take": function(_take, "of keras.ops, constant indices along an axis", 2, ("axis",)),
    "ops.Flip": function(_flip, _NOTE, 1, ("axis",)),
    "ops.Roll": function(_roll, "of keras.ops, over one axis", 1, ("shift", "axis")),
    "ops.Concatenate": function(_concatenate, "of keras.ops, any axis", 1, ("axis",)),
    "ops.Stack": function(_stack, _NOTE, 1, ("axis",)),
    "ops.Split": function(_split, "of keras.ops, equal parts or by indices", 1, _SPLIT),
    "ops.Unstack": function(_unstack, _NOTE, 1, ("axis", "num")),
    "ops.Tile": function(_tile, _NOTE, 1, ("repeats",)),
    "ops.Repeat": function(_repeat, "of keras.ops, along one axis", 1, ("repeats", "axis")),
    "ops.Reshape": function(_reshape, "of keras.ops, one size may be -1", 1, ("newshape",)),
    "ops.ExpandDims": function(_expand_dims, _NOTE, 1, ("axis",)),
    "ops.Squeeze": function(_squeeze, _NOTE, 1, ("axis",)),
    "ops.Transpose": function(_transpose, "of keras.ops, any order that keeps the batch", 1, ("axes",)),
    "ops.Swapaxes": function(_swap_axes, _NOTE, 1, ("axis1", "axis2")),
    "ops.Moveaxis": function(_move_axis, _NOTE, 1, ("source", "destination")),
    "ops.Pad": function(_pad, "of keras.ops, with zeros", 1, ("pad_width", "mode", "constant_values")),
}
