"""Pooling over windows and over all of the spatial axes."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from kbuild.frontend.keras.handler import Handler, LayerCall
from kbuild.frontend.keras.layers.convolution import padding_of, spatial_shape
from kbuild.frontend.keras.layout import Build, channels_last
from kbuild.ir import Node
from kbuild.ops.pool import Pool
from kbuild.ops.reduce import Reduce


def _pool(operation: str, rank: int) -> Build:
    def build(call: LayerCall) -> Node:
        lengths = spatial_shape(call, rank)
        size = call.config.sizes("pool_size", rank, 2)
        strides = call.config.sizes("strides", rank) if call.config.has("strides") else size
        padding = padding_of(call, lengths, size, strides)
        return call.add(Pool(operation, size, strides, padding))

    return build


def _global_pool(operation: str, rank: int) -> Build:
    def build(call: LayerCall) -> Node:
        lengths = spatial_shape(call, rank)
        keepdims = call.config.flag("keepdims", False)
        return call.add(Reduce(operation, tuple(range(rank)), math.prod(lengths), keepdims))

    return build


# What makes a layer of a kind over so many spatial axes of a channels-last value
KINDS: dict[str, Callable[[int], Build]] = {
    "MaxPooling": partial(_pool, "max"),
    "AveragePooling": partial(_pool, "average"),
}

_NOTE = "pool_size, strides, padding valid or same, either data_format"
_GLOBAL_NOTE = "keepdims, either data_format"

# On channels-last values.
PLAIN: dict[str, Build] = {
    f"{word}Pooling{rank}D": _pool(operation, rank)
    for word, operation in (("Max", "max"), ("Average", "average"))
    for rank in (1, 2, 3)
} | {
    f"Global{word}Pooling{rank}D": _global_pool(operation, rank)
    for word, operation in (("Max", "max"), ("Average", "mean"))
    for rank in (1, 2, 3)
}

HANDLERS = {
    name: Handler(channels_last(build), _GLOBAL_NOTE if name.startswith("Global") else _NOTE)
    for name, build in PLAIN.items()
}
# Keras' other names of the same classes
HANDLERS |= {
    name.replace("Pooling", "Pool").replace("Average", "Avg"): handler
    for name, handler in HANDLERS.items()
    if name.endswith("D")
}
