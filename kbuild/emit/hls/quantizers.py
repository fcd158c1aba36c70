"""Kernel calls of the quantizers of trained models: element types of their own, steps between thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kbuild.emit.hls.design import (
    Call,
    Config,
    Constant,
    Step,
    broadcast,
    config_name,
    elements,
    numbered,
    spell,
    value_name,
)
from kbuild.fixed import FixedType
from kbuild.ir import Node, Tensor

if TYPE_CHECKING:
    from kbuild.ops.quantize import Quantize
    from kbuild.ops.step import Step as StepOp


def quantize(node: Node, op: Quantize, inputs: Sequence[Node]) -> Step:
    """A call for each type, with the places that have it."""
    count = elements(node.shape)
    bits = max((count - 1).bit_length(), 1)
    calls, constants = [], []
    for number, (of, places) in enumerate(op.places(node.shape)):
        data = np.arange(count)[places]
        constant = Constant(f"places_{number}_{node.name}", Tensor(data, FixedType(bits, bits, False)), integer=True)
        types = {"place_t": constant.spell()} | ({} if of is None else {"element_t": spell(of)})
        config = Config(config_name(node.name), {"elements": count, "count": constant.size}, types)
        kernel = "zero_places" if of is None else "cast_places"
        source = (value_name(inputs[0].name),)
        calls.append(Call(kernel, config, source, value_name(node.name), (constant.name,)))
        constants.append(constant)
    return Step("quantize.h", numbered(calls), tuple(constants))


def step(node: Node, op: StepOp, inputs: Sequence[Node]) -> Step:
    """The thresholds of all elements, or those that they share."""
    typed = op.on(inputs[0].fixed())
    thresholds = Constant(f"thresholds_{node.name}", typed.thresholds)
    values = Constant(f"values_{node.name}", typed.values)
    outer, count = typed.thresholds.shape[:-1], typed.thresholds.shape[-1]
    integers = {"elements": elements(node.shape), "rows": elements(outer), "thresholds": count,
                "value_rows": elements(typed.values.shape[:-1]),
                **broadcast(node.shape, a=outer)}
    config = Config(config_name(node.name), integers,
                    {"threshold_t": thresholds.spell(), "value_t": values.spell()})
    call = Call("step", config, (value_name(inputs[0].name),), value_name(node.name), (thresholds.name, values.name))
    return Step("quantize.h", (call,), (thresholds, values))
