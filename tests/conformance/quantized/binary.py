"""Binary and ternary layers and quantizers: the classic custom layers of Keras, and those of QKeras."""

from __future__ import annotations

from conformance.layers.core import quantized_dense
from conformance.quantized.qkeras import of_kernels, of_values
from conformance.quantized.qkeras_quantizers import SIGNS

CASES = {
    "BinaryDense": quantized_dense("BinaryDense", "2 * step(w) - 1"),
    "TernaryDense": quantized_dense("TernaryDense", "step(w - 0.5) - step(-0.5 - w)"),
}
QKERAS_CASES = {
    **{f"quantizer {name}": of_values(text) for name, text in SIGNS.items()},
    **{f"kernel {name}": of_kernels(name) for name in ("binary", "ternary", "stochastic_binary", "stochastic_ternary")},
}
