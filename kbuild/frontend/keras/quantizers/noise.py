"""A quantizer that QKeras applies in part: `x + qnoise_factor * (q(x) - x)`, in inference, too."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from kbuild.dataclass import dataclass, replace
from kbuild.fixed import FloatArray
from kbuild.frontend.keras.quantizers.auto_scale import Scaled
from kbuild.frontend.keras.quantizers.base import Quantizer
from kbuild.frontend.keras.quantizers.function import Function, line


@dataclass(frozen=True)
class Noisy(Quantizer):
    """A share of a quantizer, and the rest of what it reads (`Quantizer.unquantized`)."""

    inner: Quantizer
    factor: float

    name: ClassVar[str] = "qnoise_factor"

    def function(self) -> Function:
        whole, rest = self.inner.function(), (*self.inner.unquantized(), line(1.0 - self.factor, 0.0))
        if self.factor == 0:
            return Function((rest,))
        return Function((*((*path, line(self.factor * whole.scale, 0.0)) for path in whole.paths), rest))

    def scaled(self, w: FloatArray) -> Scaled:
        values, scale = self.inner.scaled(w)
        quantized = values.astype(np.float32) * scale.astype(np.float32)
        rest = Function((self.inner.unquantized(),)).of(w).astype(np.float32)
        found = rest + np.float32(self.factor) * (quantized - rest)
        return found.astype(np.float64), np.ones(())

    def trained(self) -> Quantizer:
        return replace(self, inner=self.inner.trained())
