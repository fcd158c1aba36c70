"""QKeras' quantizers and functions by name."""

from __future__ import annotations

from kbuild.frontend.keras.config import Config
from kbuild.frontend.keras.quantizers import qkeras_grids as grids
from kbuild.frontend.keras.quantizers import qkeras_levels as levels
from kbuild.frontend.keras.quantizers.base import Quantizer, made, noise_of
from kbuild.frontend.keras.quantizers.function import Function, above, clip_above, line, steps
from kbuild.frontend.keras.quantizers.noise import Noisy
from kbuild.frontend.keras.quantizers.spelling import Spelled, spelled

_KINDS: tuple[type[Quantizer], ...] = (
    grids.QuantizedBits,
    grids.QuantizedLinear,
    grids.QuantizedRelu,
    grids.QuantizedTanh,
    grids.QuantizedSigmoid,
    grids.QuantizedUlaw,
    levels.QuantizedPo2,
    levels.QuantizedReluPo2,
    levels.Binary,
    levels.StochasticBinary,
    levels.Ternary,
    levels.StochasticTernary,
    levels.Bernoulli,
)
QUANTIZERS = {kind.name: kind for kind in _KINDS}

# Its functions, of which hard_sigmoid is another one than Keras'; its sigmoid is the hard one unless code changes that.
FUNCTIONS = {
    "hard_sigmoid": Function(((line(0.5, 0.5), clip_above(1.0)),)),
    "smooth_sigmoid": Function(((line(0.1875, 0.5), clip_above(1.0)),)),
    "hard_tanh": Function(((line(0.5, 0.5), clip_above(1.0), line(2.0, -1.0)),)),
    "smooth_tanh": Function(((line(0.1875, 0.5), clip_above(1.0), line(2.0, -1.0)),)),
    "binary_sigmoid": Function(((steps([above(0.0)], [0.0, 1.0]),),)),  # a half is rounded to even
    "binary_tanh": Function(((steps([above(0.0)], [-1.0, 1.0]),),)),
}


def read_quantizer(config: Config, key: str) -> Quantizer | None:
    """The quantizer under a key of a layer's configuration, None for none. Raises UnsupportedModel."""
    found = spelled(config, key, config.raw(key))
    if found is None:
        return None
    if found.name not in QUANTIZERS:
        raise config.error(f"{key} is {found.name}; there are {', '.join(QUANTIZERS)}")
    return _made(config, key, found)


def _made(config: Config, key: str, found: Spelled) -> Quantizer:
    quantizer = made(config, key, QUANTIZERS[found.name], found)
    factor = noise_of(config, key, found)
    return quantizer if factor == 1 else Noisy(quantizer, factor)


def read_activation(config: Config, key: str = "activation") -> tuple[str, Function] | None:
    """Name and function of an activation that is QKeras' own; None for none and for those of Keras.

    Raises UnsupportedModel for a quantizer without an exact form.
    """
    if not config.has(key):
        return None
    found = spelled(config, key, config.raw(key))
    if found is None or found.name not in {*QUANTIZERS, *FUNCTIONS}:
        return None
    if found.name in FUNCTIONS:
        return found.name, FUNCTIONS[found.name]
    quantizer = _made(config, key, found)
    try:
        return found.name, quantizer.function()
    except ValueError as error:
        raise config.error(f"{key} {found.name}: {error}") from error
