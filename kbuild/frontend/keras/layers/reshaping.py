"""Layers that pad, crop, repeat or rearrange along axes."""

from __future__ import annotations

from kbuild.frontend.keras.handler import Handler, LayerCall
from kbuild.frontend.keras.layers.convolution import check_size, spatial_shape
from kbuild.frontend.keras.layout import Build, channels_last
from kbuild.frontend.keras.safety import quoted
from kbuild.ir import Node
from kbuild.ops.interpolate import Interpolate
from kbuild.ops.pad import Pad
from kbuild.ops.repeat import Repeat
from kbuild.ops.reshape import Reshape
from kbuild.ops.transpose import Transpose


def _zero_padding(rank: int) -> Build:
    def build(call: LayerCall) -> Node:
        padding = call.config.pairs("padding", rank)
        check_size(call, spatial_shape(call, rank), padding)
        return call.add(Pad((*padding, (0, 0))))

    return build


def _cropping(rank: int) -> Build:
    def build(call: LayerCall) -> Node:
        lengths = spatial_shape(call, rank)
        cropping = call.config.pairs("cropping", rank)
        if any(sum(pair) >= n for pair, n in zip(cropping, lengths, strict=True)):
            raise call.error(f"cropping is {cropping}, which leaves nothing of an input of shape {call.shape}")
        return call.add(Pad((*((-before, -after) for before, after in cropping), (0, 0))))

    return build


def _up_sampling(rank: int) -> Build:
    def build(call: LayerCall) -> Node:
        spatial_shape(call, rank)
        factors = (*call.config.sizes("size", rank, 2), 1)
        interpolation = call.config.text("interpolation", "nearest").lower()
        if interpolation == "nearest":
            return call.add(Repeat(factors))
        if interpolation == "bilinear" and rank == 2:
            return call.add(Interpolate(factors))
        raise call.error(f"interpolation is {quoted(interpolation)}; nearest and bilinear are supported")

    return build


def _repeat_vector(call: LayerCall) -> Node:
    if len(call.shape) != 1:
        raise call.error(f"has an input of shape {call.shape}; it needs one axis beside the batch")
    (count,) = call.config.sizes("n", 1)
    row = call.add(Reshape((1, *call.shape)))
    return call.add(Repeat((count, 1)), row)


def _permute(call: LayerCall) -> Node:
    """`dims` counts the axes from 1."""
    dims = call.config.integers("dims")
    if sorted(n for n in dims if n is not None) != list(range(1, len(call.shape) + 1)):
        raise call.error(f"dims is {dims}, which is not an order of the axes 1 to {len(call.shape)}")
    return call.add(Transpose(tuple(n - 1 for n in dims if n is not None)))


_ZEROS, _CROPPED = "any number of zeros on each side", "any number of elements on each side"
_EITHER = ", either data_format"

HANDLERS = {
    **{f"ZeroPadding{n}D": Handler(channels_last(_zero_padding(n)), _ZEROS + _EITHER) for n in (1, 2, 3)},
    "Cropping1D": Handler(_cropping(1), _CROPPED),
    **{f"Cropping{n}D": Handler(channels_last(_cropping(n)), _CROPPED + _EITHER) for n in (2, 3)},
    "UpSampling1D": Handler(_up_sampling(1), "any size"),
    "UpSampling2D": Handler(channels_last(_up_sampling(2)), "nearest and bilinear" + _EITHER),
    "UpSampling3D": Handler(channels_last(_up_sampling(3)), "any size" + _EITHER),
    "RepeatVector": Handler(_repeat_vector, "any number"),
    "Permute": Handler(_permute, "any order"),
}
