"""Quantizers that are arrays of bit widths: a type for each element."""

from __future__ import annotations

import numpy as np

from kbuild.fixed import FixedType, IntArray, Overflow, Quantization
from kbuild.frontend.keras.handler import LayerCall
from kbuild.frontend.keras.safety import quoted
from kbuild.ir import Tensor
from kbuild.ops.quantize import Quantize


def quantize_by_arrays(
    call: LayerCall, signed: IntArray, bits: IntArray, integers: IntArray, modes: tuple[str, str]
) -> Quantize:
    """The operation of types given by arrays that broadcast to the values; an element of no bits is zero."""
    rounding, overflow = modes
    if rounding not in Quantization.__members__ or overflow not in Overflow.__members__:
        raise call.error(f"rounds by {quoted(rounding)} and overflows by {quoted(overflow)}; there are "
                         f"{', '.join(Quantization.__members__)} and {', '.join(Overflow.__members__)}")  # fmt: skip
    found: dict[FixedType | None, int] = {}
    which = np.zeros(bits.shape, np.int64)
    for place in np.ndindex(bits.shape):
        k, b, i = bool(signed[place]), int(bits[place]), int(integers[place])
        symmetric_bit = overflow == "SAT_SYM" and k and b == 1  # from -0 to 0
        of = None if b < 1 or symmetric_bit else FixedType(b, i, k, Quantization[rounding], Overflow[overflow])
        which[place] = found.setdefault(of, len(found))
    types = tuple(found)
    if len(types) == 1:
        return Quantize(types)
    width = max((len(types) - 1).bit_length(), 1)
    return Quantize(types, Tensor(which, FixedType(width, width, signed=False)))
