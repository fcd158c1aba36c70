"""Convolutions and pooling over one, two and three axes."""

from __future__ import annotations

from collections.abc import Callable

from conformance.layers.activation import fused
from conformance.script import OMIT, Script, Value


def sizes(s: Script, rank: int, most: int, p: float = 0.5) -> object:
    """One number for all axes, or one for each."""
    return s.size(1, most) if s.chance(p) else tuple(s.size(1, most) for _ in range(rank))


def image(s: Script, rank: int, channels: int, data_format: object, least: int = 1) -> Value:
    """An input with `rank` spatial axes."""
    lengths = tuple(s.size(least, 7 if rank < 3 else 4) for _ in range(rank))
    return s.source((channels, *lengths) if data_format == "channels_first" else (*lengths, channels))


def reach(rank: int) -> int:
    """The largest window along an axis."""
    return 4 if rank < 3 else 3


def layout(s: Script, p: float = 0.25) -> object:
    return "channels_first" if s.chance(p) else s.maybe("channels_last", 0.2)


def stepping(s: Script, rank: int) -> dict[str, object]:
    """Strides or dilation: Keras has not both at once."""
    if s.chance(0.5):
        return {"strides": sizes(s, rank, 3)}
    return {"dilation_rate": s.maybe(sizes(s, rank, 3), 0.6)}


def convolution(kind: str, rank: int) -> Callable[[Script], Value]:
    """`kind` is empty, Depthwise or Separable."""

    def build(s: Script) -> Value:
        data_format = layout(s)
        groups = s.one(1, 1, 2, 3) if not kind else 1
        channels = groups * s.size(1, 3)
        x = image(s, rank, channels, data_format)
        paddings = ["valid", "same"] + (["causal"] if rank == 1 and kind != "Depthwise" else [])
        settings: dict[str, object] = {"kernel_size": sizes(s, rank, reach(rank))}
        settings["padding"] = s.maybe(s.one(*paddings), 0.7)
        if data_format != "channels_first" or s.chance(0.7):
            settings["use_bias"] = s.maybe(False, 0.3)
        settings |= stepping(s, rank)
        if kind:
            settings["depth_multiplier"] = s.maybe(s.size(1, 3))
        if kind != "Depthwise":
            settings["filters"] = groups * s.size(1, 3)
        if kind and rank == 2 and isinstance(settings.get("strides"), tuple):
            settings["strides"] = settings["strides"][0]  # TensorFlow has equal strides only
        if groups > 1:
            settings["groups"] = groups
        return s.layer(f"{kind}Conv{rank}D", x, data_format=data_format, **settings, **fused(s, 0.4))

    return build


def transposed(rank: int) -> Callable[[Script], Value]:
    def build(s: Script) -> Value:
        data_format = layout(s)
        x = image(s, rank, s.size(1, 3), data_format)
        strides = sizes(s, rank, 3)
        each = strides if isinstance(strides, tuple) else (strides,) * rank
        extra: object = OMIT
        if s.chance(0.25) and min(each) > 1:
            extra = tuple(s.size(0, n - 1) for n in each)
            extra = extra[0] if rank == 1 else extra
        settings = {"strides": strides} if s.chance(0.7) else {"dilation_rate": sizes(s, rank, 2)}
        if "strides" not in settings:
            extra = OMIT
        return s.layer(
            f"Conv{rank}DTranspose",
            x,
            filters=s.size(1, 3),
            kernel_size=sizes(s, rank, reach(rank)),
            padding=s.maybe(s.one("valid", "same"), 0.7),
            output_padding=extra,
            data_format=data_format,
            use_bias=s.maybe(False, 0.3),
            **settings,
            **fused(s, 0.4),
        )

    return build


def pooling(kind: str, rank: int) -> Callable[[Script], Value]:
    def build(s: Script) -> Value:
        data_format = layout(s)
        return s.layer(
            f"{kind}Pooling{rank}D",
            image(s, rank, s.size(1, 3), data_format, least=2),
            pool_size=sizes(s, rank, reach(rank)),
            strides=s.maybe(sizes(s, rank, 3)),
            padding=s.maybe(s.one("valid", "same"), 0.7),
            data_format=data_format,
        )

    return build


def global_pooling(kind: str, rank: int) -> Callable[[Script], Value]:
    def build(s: Script) -> Value:
        data_format = layout(s)
        x = image(s, rank, s.size(1, 4), data_format)
        return s.layer(f"Global{kind}Pooling{rank}D", x, keepdims=s.maybe(True), data_format=data_format)

    return build


AXES = (1, 2, 3)
CASES = {
    **{f"Conv{n}D": convolution("", n) for n in AXES},
    **{f"{kind}Conv{n}D": convolution(kind, n) for kind in ("Depthwise", "Separable") for n in (1, 2)},
    **{f"Conv{n}DTranspose": transposed(n) for n in AXES},
    **{f"{kind}Pooling{n}D": pooling(kind, n) for kind in ("Max", "Average") for n in AXES},
    **{f"Global{kind}Pooling{n}D": global_pooling(kind, n) for kind in ("Max", "Average") for n in AXES},
}
