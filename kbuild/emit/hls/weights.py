"""Constants as C++ initialisers."""

from __future__ import annotations

import math

from kbuild.emit.hls.design import Constant
from kbuild.errors import UnsupportedModel

_LONG = 1 << 63


def header(constant: Constant) -> str:
    """The header that defines a constant array."""
    guard = f"KBUILD_{constant.name}_H"
    shape = constant.tensor.shape
    row = shape[-1] if len(shape) > 1 else 16
    words = literals(constant)
    lines = [", ".join(words[i : i + row]) for i in range(0, len(words), row)]
    body = ",\n    ".join(lines)
    return (
        f"// shape: {' x '.join(map(str, shape)) or 'scalar'}\n#ifndef {guard}\n#define {guard}\n\n"
        f'#include "ap_fixed.h"\n#include "ap_int.h"\n\n'
        f"static const {constant.spell()} {constant.name}[{constant.size}] = {{\n    {body}}};\n\n#endif\n"
    )


def literals(constant: Constant) -> list[str]:
    """Each value as a literal that C++ reads exactly: an integer, or a decimal that is a double.

    Raises UnsupportedModel for a value that no literal holds exactly.
    """
    spell = _integer if constant.integer else _decimal
    values = constant.tensor.data.ravel().tolist()
    known = {value: spell(constant, int(value)) for value in set(values)}
    return [known[value] for value in values]


def _integer(constant: Constant, value: int) -> str:
    if not -_LONG < value < 2 * _LONG:
        raise _too_wide(constant)
    return str(value) if value < _LONG else f"{value}ULL"


def _decimal(constant: Constant, value: int) -> str:
    """C++ reads the shortest decimal that names the double back as the same double."""
    fraction = constant.type.fraction
    try:
        double = float(value)
        scaled = math.ldexp(double, -fraction)
    except OverflowError:
        raise _too_wide(constant) from None
    if int(double) != value or math.ldexp(scaled, fraction) != double:
        raise _too_wide(constant)
    return repr(scaled) if value else "0"


def _too_wide(constant: Constant) -> UnsupportedModel:
    return UnsupportedModel(f"the constant {constant.name} of type {constant.type} has a value of more than 53 "
                            "significant bits, which HLS C++ cannot initialise; give it a narrower precision")
