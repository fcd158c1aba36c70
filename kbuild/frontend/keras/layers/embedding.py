"""Embedding."""

from __future__ import annotations

from kbuild.frontend.keras.handler import Handler, LayerCall
from kbuild.ir import Node, Tensor
from kbuild.ops.gather import Gather


def _embedding(call: LayerCall) -> Node:
    """Row x of `embeddings` [input_dim, output_dim]."""
    if call.config.has("quantization_config"):
        raise call.error("its weights are quantized by Keras; save the model before model.quantize()")
    shape = call.config.integer("input_dim"), call.config.integer("output_dim")
    return call.add(Gather(Tensor(call.weight("embeddings", shape))), call.input)


HANDLERS = {
    "Embedding": Handler(
        _embedding,
        "indices outside saturate; mask_zero where no layer after it reads the mask",
        lambda config: ("embeddings",),
    ),
}
