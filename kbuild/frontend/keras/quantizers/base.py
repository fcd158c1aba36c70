"""What a quantizer of a quantized model is, and its arguments, each checked."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from kbuild.dataclass import dataclass, field_names
from kbuild.fixed import FloatArray
from kbuild.frontend.keras.config import Config
from kbuild.frontend.keras.quantizers.auto_scale import AUTO, Scaled
from kbuild.frontend.keras.quantizers.function import Function, Part
from kbuild.frontend.keras.quantizers.spelling import Spelled
from kbuild.frontend.keras.safety import quoted

MOST_BITS = 64
_LARGEST = 1e9  # number among the arguments of a quantizer
# Arguments without a meaning in inference, and those that must be as they are by default.
_WITHOUT_MEANING = {"use_stochastic_rounding", "var_name", "use_ste", "use_variables", "temperature",
                    "use_real_sigmoid", "enable_fast_inference", "name", "dtype"}  # fmt: skip
_ONLY: dict[str, tuple[object, ...]] = {
    "elements_per_scale": (None,),
    "min_po2_exponent": (None,),
    "max_po2_exponent": (None,),
    "post_training_scale": (None,),
}

NOISE = "qnoise_factor"
Alpha = Any  # None, a number, a list of numbers, "auto" or "auto_po2"


class Refused(ValueError):
    """A quantizer that has no exact form; the message says why and what to do."""


@dataclass(frozen=True)
class Quantizer(ABC):
    """A quantizer of QKeras."""

    name: ClassVar[str]

    @abstractmethod
    def function(self) -> Function:
        """What it makes of values in inference. Raises Refused."""

    def scaled(self, w: FloatArray) -> Scaled:
        """What it makes of weights: values, and a scale that broadcasts to them. Raises Refused."""
        function = self.function()
        return function.unscaled(w), function.scale

    def trained(self) -> Quantizer:
        """The quantizer that a layer makes of this one for its kernel."""
        return self

    def unquantized(self) -> tuple[Part, ...]:
        """What stands in for the quantized value where the quantizer is applied in part (`noise.Noisy`)."""
        return ()


def scale_of(alpha: Alpha) -> FloatArray:
    """The factor of an alpha that is no text; float32 as in QKeras."""
    if isinstance(alpha, str):
        raise Refused(f"alpha is {alpha!r}, which depends on all values at once; give a number for an activation")
    return np.asarray(np.float32(1.0 if alpha is None else alpha), dtype=np.float64)


def channel_scale(alpha: Alpha) -> FloatArray:
    """As `scale_of`, without the axes of length 1 before the last."""
    scale = scale_of(alpha)
    return scale.reshape(-1) if scale.ndim > 1 and scale.size == scale.shape[-1] else scale


def made(config: Config, key: str, kind: type[Quantizer], given: Spelled) -> Quantizer:
    """A quantizer from its arguments, each checked."""
    order = field_names(kind)
    if len(given.places) > len(order):
        raise config.error(f"{key}: {kind.name} takes {len(order)} arguments, not {len(given.places)}")
    values = {**dict(zip(order, given.places, strict=False)), **given.names}
    known: dict[str, Any] = {}
    for name, value in values.items():
        if name in order:
            known[name] = _checked(config, f"{key}: {name} of {kind.name}", name, value)
        elif name == NOISE:
            pass  # that is the caller's
        elif name in _ONLY:
            if value not in _ONLY[name]:
                raise config.error(f"{key}: {name} of {kind.name} is {quoted(value)}; save the model with "
                                   f"{_ONLY[name][0]}")  # fmt: skip
        elif name not in _WITHOUT_MEANING:
            raise config.error(f"{key}: {kind.name} has no argument {quoted(name)}")
    return kind(**known)


def noise_of(config: Config, key: str, given: Spelled) -> float:
    """The share of a quantizer that is applied, 1 for all of it. Raises UnsupportedModel."""
    value: Any = given.names.get(NOISE, 1.0)
    if not isinstance(value, int | float) or not 0 <= value <= 1:
        raise config.error(f"{key}: {NOISE} of {given.name} is {quoted(value)}, not a number from 0 to 1")
    return float(np.float32(value))


_INTEGERS = ("bits", "integer", "scale_axis", "number_of_unrolls")
_NUMBERS = ("negative_slope", "relu_upper_bound", "threshold", "u", "max_value", "temperature")
_OPTIONAL = ("scale_axis", "relu_upper_bound", "threshold", "max_value")


def _checked(config: Config, what: str, name: str, value: Any) -> Any:
    inner = value.get("config") if isinstance(value, dict) else None
    if isinstance(inner, dict) and "value" in inner:  # an array as Keras 3 writes it
        value = inner["value"]
    number = isinstance(value, int | float) and math.isfinite(value) and abs(value) <= _LARGEST
    if name == "alpha":
        fine = value is None or value in AUTO if not isinstance(value, list) else _is_array(value)
        fine = fine or number
    elif name == "log2_rounding":
        fine = value in ("rnd", "floor")
    elif value is None:
        fine = name in _OPTIONAL
    elif name in _INTEGERS:
        fine = number and float(value).is_integer() and abs(value) <= MOST_BITS and (name != "bits" or value >= 1)
        value = int(value) if fine else value
    elif name in _NUMBERS:
        fine = number and value >= 0
    else:
        fine = value in (0, 1)
    if not fine:
        raise config.error(f"{what} is {quoted(value)}")
    return value


def _is_array(value: list[Any]) -> bool:
    try:
        return bool((np.abs(np.array(value, dtype=np.float64)) <= _LARGEST).all())
    except (TypeError, ValueError):
        return False
