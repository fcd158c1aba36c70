"""Masks that are constants: which inputs of a softmax there are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kbuild.frontend.keras.handler import LayerCall
from kbuild.frontend.keras.operands import constant
from kbuild.ir import Shape, Tensor
from kbuild.ops.softmax import ALLOWED

BoolArray = NDArray[np.bool_]


def constant_mask(call: LayerCall, value: object, shape: Shape) -> BoolArray:
    """A mask as it stands in the file, for values of a shape, before which it may have the batch; without the batch.

    It may lack the first axes of the shape, which are then missing here, too. Raises UnsupportedModel where it is no
    constant, is different for each sample, or neither allows nor forbids.
    """
    numbers = constant(call, value)
    if not np.isin(numbers, (0, 1)).all():
        raise call.error("its mask has numbers that are neither 0 nor 1")
    try:
        np.broadcast_to(numbers, (1, *shape))
    except ValueError as error:
        raise call.error(
            f"its mask of shape {numbers.shape} is not one for all samples of {shape}; give it such a shape, or "
            "a first axis of length 1"
        ) from error
    while numbers.ndim > 2 and len(numbers) == 1:
        numbers = numbers[0]
    return np.broadcast_to(numbers != 0, shape[len(shape) - max(numbers.ndim, min(2, len(shape))) :])


def mask_tensor(call: LayerCall, mask: BoolArray) -> Tensor | None:
    """The mask of a softmax; None where it allows everything. Raises UnsupportedModel where a row has nothing."""
    if not mask.any(axis=-1).all():
        raise call.error("its mask leaves a row without an input, which has no softmax; allow one place in each")
    return None if mask.all() else Tensor(mask.astype(np.int64), ALLOWED)
