"""The quantizers of QKeras, each over its arguments: of values, of kernels, of biases."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from conformance.quantized.script import QuantizedScript
from conformance.script import OMIT, arguments

Settings = dict[str, object]
Text = Callable[[QuantizedScript], str]


def spelled(name: str, settings: Settings) -> str:
    """A quantizer as the text that QKeras reads."""
    return f"{name}({arguments(settings)})".replace(" ", "")


# ---- quantizers of values, by name: the text of one with random settings


def _factor(s: QuantizedScript) -> object:
    return s.one(1.0, 1.0, 2.0, 0.5, 0.75, 1.25)


def _grid(name: str) -> Text:
    def text(s: QuantizedScript) -> str:
        keep = s.maybe(False, 0.2)
        bits = s.size(1, 8)
        return spelled(name, {
            "bits": bits, "integer": s.size(0, 3), "symmetric": s.maybe(s.size(0, 1)), "keep_negative": keep,
            "alpha": s.maybe(_factor(s)), "use_stochastic_rounding": s.maybe(s.size(0, 1), 0.2),
            "qnoise_factor": s.maybe(s.one(0.0, 0.25, 0.5, 1.0), 0.1),
        })  # fmt: skip

    return text


def _relu(s: QuantizedScript) -> str:
    slope = s.one(0.0, 0.0, 0.5, 0.25, 0.125, 0.0625)
    settings: Settings = {"bits": s.size(2, 8), "integer": s.size(0, 3)}
    if slope:
        settings["negative_slope"] = slope
    elif s.chance(0.2):
        settings["use_sigmoid"] = 1
    elif s.chance(0.3):
        settings |= {"relu_upper_bound": s.one(0.75, 1.5, 3), "is_quantized_clip": s.size(0, 1)}
    settings["use_stochastic_rounding"] = s.maybe(s.size(0, 1), 0.2)
    if not settings.get("relu_upper_bound"):
        settings["qnoise_factor"] = s.maybe(s.one(0.0, 0.5, 1.0), 0.1)
    return spelled("quantized_relu", settings)


def _tanh(s: QuantizedScript) -> str:
    return spelled("quantized_tanh", {
        "bits": s.size(2, 8), "symmetric": s.maybe(s.size(0, 1)), "use_real_tanh": s.maybe(1),
        "use_stochastic_rounding": s.maybe(s.size(0, 1), 0.2),
    })  # fmt: skip


def _sigmoid(s: QuantizedScript) -> str:
    return spelled("quantized_sigmoid", {
        "bits": s.size(2, 8), "symmetric": s.maybe(s.size(0, 1)), "use_real_sigmoid": s.maybe(1),
        "use_stochastic_rounding": s.maybe(s.size(0, 1), 0.2),
    })  # fmt: skip


def _ulaw(s: QuantizedScript) -> str:
    return spelled("quantized_ulaw", {"bits": s.size(2, 6), "integer": s.size(0, 2), "symmetric": s.size(0, 1),
                                      "u": s.maybe(s.one(15.0, 100.0))})  # fmt: skip


def _po2(name: str) -> Text:
    def text(s: QuantizedScript) -> str:
        limit = s.one(OMIT, OMIT, 0.5, 1, 2, 4)
        settings: Settings = {"bits": s.size(3, 5), "max_value": limit}
        if name == "quantized_relu_po2":
            settings |= {"bits": s.size(2, 4), "negative_slope": s.one(OMIT, OMIT, 0.5, 0.25)}
        settings["use_stochastic_rounding"] = s.maybe(s.size(0, 1), 0.2)
        if s.chance(0.25):
            settings |= s.one({"log2_rounding": "floor"}, {"quadratic_approximation": 1})
            settings["max_value"] = s.maybe(3, 0.3)  # no power of two: see `power_decides`
        return spelled(name, settings)

    return text


def _sign(name: str) -> Text:
    def text(s: QuantizedScript) -> str:
        settings: Settings = {"alpha": _factor(s)}
        if name == "binary":
            settings["use_01"] = s.maybe(s.size(0, 1))
        if name.endswith("ternary"):
            settings["threshold"] = s.maybe(s.one(0.33, 0.5, 1.0))
        if name.startswith("stochastic"):
            settings["temperature"] = s.maybe(s.one(2.0, 8.0))
        return spelled(name, settings)

    return text


def _named(name: str) -> Text:
    return lambda s: name


GRIDS: dict[str, Text] = {
    "quantized_bits": _grid("quantized_bits"),
    "quantized_relu": _relu,
    "quantized_tanh": _tanh,
    "quantized_sigmoid": _sigmoid,
    "quantized_ulaw": _ulaw,
    "quantized_po2": _po2("quantized_po2"),
    "quantized_relu_po2": _po2("quantized_relu_po2"),
    **{name: _named(name) for name in ("hard_sigmoid", "smooth_sigmoid", "hard_tanh", "smooth_tanh")},
}
SIGNS: dict[str, Text] = {
    **{name: _sign(name) for name in ("binary", "ternary", "stochastic_binary", "stochastic_ternary")},
    "binary_sigmoid": _named("binary_sigmoid"),
    "binary_tanh": _named("binary_tanh"),
}
VALUES = {**GRIDS, **SIGNS}


def common(s: QuantizedScript) -> str:
    """A quantizer of values; mostly those that models have."""
    name = s.one("quantized_bits", "quantized_relu", "quantized_bits", "quantized_relu", *VALUES)
    return VALUES[name](s)


def power_decides(text: str) -> bool:
    """Whether powers of two are where the result changes: there the rounding of float32's logarithm decides."""
    return "floor" in text or "quadratic" in text


def is_power(x: np.ndarray) -> np.ndarray:
    """Where a value is a power of two, of any sign."""
    return np.asarray(np.abs(np.frexp(x)[0]) == 0.5)


# ---- quantizers of kernels


def kernel(s: QuantizedScript, name: str | None = None, outputs: int = 0) -> str:
    """A quantizer of a kernel of so many outputs."""
    name = name or s.one("quantized_bits", "quantized_bits", "binary", "ternary", "stochastic_binary",
                         "stochastic_ternary", "quantized_po2", "quantized_relu_po2")  # fmt: skip
    if name in ("quantized_po2", "quantized_relu_po2", "quantized_relu", "quantized_tanh", "quantized_sigmoid"):
        return VALUES[name](s)
    vector = [s.one(0.5, 1.0, 2.0, 0.75) for _ in range(outputs)]
    alpha = s.one(1.0, 1.0, 0.5, 0.3, 1.3, "auto", "auto_po2", OMIT, *([vector] if outputs else []))
    if name != "quantized_bits":
        settings: Settings = {"alpha": alpha if alpha != vector or name == "binary" else 1.0}
        if name.endswith("ternary") and not isinstance(settings["alpha"], str) and alpha is not OMIT:
            settings["threshold"] = s.maybe(s.one(0.33, 0.5))
        elif name == "ternary":
            settings["number_of_unrolls"] = s.maybe(s.size(1, 6))
        return spelled(name, settings)
    auto = isinstance(alpha, str) or alpha is OMIT
    return spelled(name, {
        "bits": s.size(2 if auto else 1, 8), "integer": s.size(0, 2), "symmetric": 1 if auto else s.maybe(s.size(0, 1)),
        "keep_negative": OMIT if auto else s.maybe(False, 0.2), "alpha": alpha,
    })  # fmt: skip


def bias(s: QuantizedScript) -> str:
    """A quantizer of a bias."""
    return s.one("quantized_bits(8,2,0,alpha=1)", "quantized_bits(5,1,1,alpha=1)", "quantized_po2(4)",
                 "binary(alpha=0.5)", "ternary(alpha=1.0)", "quantized_bits(6,0,1)")  # fmt: skip
