"""What in a model can never become hardware, all of it at once and each with what to do instead."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from kbuild.errors import UnsupportedModel
from kbuild.frontend.keras.calls import FUNCTIONS, has_tensor
from kbuild.frontend.keras.config import Config
from kbuild.frontend.keras.functions import function_name
from kbuild.frontend.keras.layers import handler_of
from kbuild.frontend.keras.layers.core import input_shape
from kbuild.frontend.keras.masks import REMEDY, masked_readers, reads_mask
from kbuild.frontend.keras.safety import quoted
from kbuild.frontend.keras.spec import LayerSpec, ModelSpec

_CODE = "its code is not in the file"
_LAYERS = "write it as Keras layers, or with the functions that kbuild layers lists"
_SPIKING = "layers of spikes are not supported; use hgq's QSimpleRNN or QGRU"
_TABLES = "its tables of learned functions are read from live models only; convert the model itself, or use hgq's {}"
_REMEDIES = {
    **{f"hgq>{name}": _SPIKING for name in ("QSimpleSNN", "QSimpleSNNCell", "QLIF", "QLIFCell")},
    **{
        f"hgq>{name}": _TABLES.format(instead)
        for name, instead in {
            "QDenseT": "QDense",
            "QEinsumDenseT": "QEinsumDense",
            "QConvT1D": "QConv1D",
            "QConvT2D": "QConv2D",
            "QMultiHeadAttentionT": "QMultiHeadAttention",
            "QLinformerAttentionT": "QLinformerAttention",
        }.items()
    },
    "hgq>QSALTAttention": "this attention is not supported; use hgq's QMultiHeadAttention or QLinformerAttention",
    "Lambda": f"{_CODE}; write it with Keras layers such as Multiply, Add or Activation",
    "TensorFlowOpLayer": "a TensorFlow function in the graph; write it as a Keras layer such as Add or Activation",
    "TFSMLayer": f"{_CODE}; write it with Keras layers",
    "TorchModuleWrapper": f"{_CODE}; write it with Keras layers",
}
_ATTENTION = ("MultiHeadAttention", "GroupQueryAttention", "GroupedQueryAttention", "Attention", "AdditiveAttention")
_CONSTANT_MASKS = {
    **dict.fromkeys(_ATTENTION[:3], "attention_mask"),
    "Softmax": "mask",
}  # what reads a mask that may be a constant, as which argument
_OF_DATA = "a mask that the model computes is not supported; give it a constant one, or none"
_HARMLESS_ARGUMENTS: Mapping[str, tuple[object, ...]] = {
    "training": (None, False),
    "return_attention_scores": (None, False, True),
}


def check_supported(model: ModelSpec) -> None:
    """Raise UnsupportedModel that lists every layer that is not supported; return when there is none."""
    found = list(_problems(model, "", frozenset(masked_readers(model))))
    if found:
        count = "one layer" if len(found) == 1 else f"{len(found)} layers"
        raise UnsupportedModel(f"{count} cannot become hardware:" + "".join(f"\n  {line}" for line in found))


def _problems(model: ModelSpec, above: str, masked: Collection[str]) -> Iterator[str]:
    for layer in model.layers:
        place = f"{above}{layer.name}"
        if layer.model is not None:
            yield from _problems(layer.model, f"{place}/", masked)
            problem = _argument_problem(layer)
        else:
            problem = _problem(layer, top=not above and layer.name in model.inputs)
        if problem is None and place in masked:
            problem = f"would skip the steps that Masking or mask_zero marks; {REMEDY}"
        if problem is not None:
            yield f"{quoted(place)} ({quoted(layer.class_name)[1:-1]}): {problem}"


def _problem(layer: LayerSpec, top: bool) -> str | None:
    if layer.logic is not None:
        return None
    if layer.class_name in _REMEDIES:
        return _REMEDIES[layer.class_name]
    if layer.config.get("stateful") is True:
        return "keeps its state between calls; set stateful=False"
    if layer.class_name in FUNCTIONS:
        name = quoted(f"tf.{function_name(layer)}")
        return f"the TensorFlow function {name} in the graph is not supported; {_LAYERS}"
    handler = handler_of(layer.class_name, layer.keras)
    if ">" in layer.class_name and handler is None:
        return f"a custom class, {_CODE}; write it with Keras layers, or register a handler for it"
    if layer.class_name.startswith("ops.") and handler is None:
        return f"this function of keras.ops in the graph is not supported; {_LAYERS}"
    if handler is None:
        return "this class is not supported; kbuild layers lists those that are"
    dtype = layer.config.get("dtype")
    if isinstance(dtype, dict) and "Quantized" in str(dtype.get("class_name")):
        return "its weights are quantized by Keras; save the model before model.quantize()"
    if top and layer.class_name == "InputLayer":
        try:
            input_shape(Config(layer.name, layer.class_name, layer.config))
        except UnsupportedModel as error:
            return str(error).partition("): ")[2]
    return _argument_problem(layer)


def _argument_problem(layer: LayerSpec) -> str | None:
    if layer.class_name.startswith("ops."):
        return None  # their handlers know their arguments
    for call in layer.calls:
        for key, value in call.arguments.items():
            if key == "training" and value is True:
                return "is called with training=True; call it without"
            if key == "use_causal_mask":
                if value not in (None, False) and layer.class_name not in _ATTENTION:
                    return "is called with use_causal_mask, which is not supported; call it without"
            elif _CONSTANT_MASKS.get(layer.class_name) == key and not has_tensor(value):
                continue
            elif key == "mask" or key.endswith("_mask"):
                if value not in (None, False) and reads_mask(layer):
                    constant = key in (_CONSTANT_MASKS.get(layer.class_name), "attention_mask")
                    return f"is called with {quoted(key)[1:-1]}; {_OF_DATA if constant else REMEDY}"
            elif value not in _HARMLESS_ARGUMENTS.get(key, (None,)):
                return f"is called with the argument {quoted(key)}, which is not supported; call it on tensors only"
    return None
