"""Masks of steps, which Keras passes along with a value: where they would change a result.

A mask comes from Masking or from an Embedding with `mask_zero`, goes through layers that keep the steps, and matters
only to layers that read it. Where none does, the model computes the same without it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from kbuild.frontend.keras.spec import LayerSpec, ModelSpec

REMEDY = "masking is not supported; give the model sequences of one length and no mask"
# Patterns, compiled when they are first asked for: few models have masks.
_READERS = (
    r"(hgq>)?Q?(SimpleRNN|LSTM|GRU|RNN|Bidirectional|ConvLSTM[123]D|Softmax|Attention|AdditiveAttention|"
    r"MultiHeadAttention|LinformerAttention|Group(ed)?QueryAttention|GlobalAv(erage|g)Pool(ing)?1D)"
)
# Layers after which there is no mask: in Keras they do not support one.
_ENDS = (
    r"ops\..*|TFOpLambda|SlicingOpLambda|Flatten|Reshape|Permute|RepeatVector|Embedding|(hgq>Q)?EinsumDense|"
    r".*Conv(olution)?[123]D.*|.*Pool(ing)?[123]D|(UpSampling|ZeroPadding|Cropping)[123]D"
)


def reads_mask(layer: LayerSpec) -> bool:
    """Whether the result of the layer depends on the mask of its input."""
    if layer.class_name != "TimeDistributed":
        return re.fullmatch(_READERS, layer.class_name) is not None
    if layer.model is not None:
        return any(map(reads_mask, layer.model.layers))
    inner = layer.config.get("layer")
    return isinstance(inner, Mapping) and re.fullmatch(_READERS, str(inner.get("class_name"))) is not None


def masked_readers(model: ModelSpec) -> Iterator[str]:
    """Paths of the layers that a mask reaches and that read it."""
    yield from _spread(model, frozenset(), "")[0]


def _starts(layer: LayerSpec) -> bool:
    return layer.class_name == "Masking" or (layer.class_name == "Embedding" and layer.config.get("mask_zero") is True)


def _spread(model: ModelSpec, inputs: frozenset[str], above: str) -> tuple[list[str], frozenset[int]]:
    """The readers that masks of these inputs, or of the model's own layers, reach, and the outputs that have a mask."""
    masked = set(inputs)
    readers: dict[str, None] = {}
    known: dict[tuple[str, frozenset[str]], tuple[list[str], frozenset[int]]] = {}
    before = -1
    while len(masked) > before:  # a mask that comes in a circle is already there
        before = len(masked)
        for layer in model.layers:
            reached = [any(ref.layer in masked for ref in call.inputs) for call in layer.calls]
            if layer.model is not None and layer.class_name != "TimeDistributed":
                own = frozenset(
                    name
                    for call in layer.calls
                    for name, ref in zip(layer.model.inputs, call.inputs, strict=False)
                    if ref.layer in masked
                )
                if (layer.name, own) not in known:
                    known[layer.name, own] = _spread(layer.model, own, f"{above}{layer.name}/")
                inside, outputs = known[layer.name, own]
                readers |= dict.fromkeys(inside)
                masked |= {layer.name} if outputs else set()
            elif any(reached) and reads_mask(layer):
                readers[f"{above}{layer.name}"] = None
            elif _starts(layer) or (any(reached) and not re.fullmatch(_ENDS, layer.class_name)):
                masked.add(layer.name)
    return list(readers), frozenset(i for i, ref in enumerate(model.outputs) if ref.layer in masked)
