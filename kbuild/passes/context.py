"""What passes may know beside the graph."""

from __future__ import annotations

import re
from collections.abc import Mapping

from kbuild.config import LayerInfo, LayerSettings
from kbuild.dataclass import dataclass, field
from kbuild.fixed import FixedType, FloatArray
from kbuild.ir import Graph, Layer, Node

_FOLDED = re.compile(r"Batchnorm$|BatchNorm(?!alization)|BatchNorm$")  # a layer with its normalization folded in
_QUANTIZED = re.compile(r"^(Q|H|P(?!ReLU)|Binary|Ternary)(?=[A-Z])")
_SETTLED = re.compile(r"hgq>|(FixedPointQuantizer|HQuantize|Signature)$")  # HGQ's models have one of these
VALUE_WIDTH = 16  # bits of a weight or a value whose precision is automatic


@dataclass(frozen=True)
class Context:
    """Resolved settings by layer name, the target, and what is known of the inputs (by input node name).

    calibration: samples, first axis; ranges: declared (low, high) of an input. A layer without settings is automatic.
    bit_exact: whether automatic types lose nothing; None: where the model is a quantized one.
    """

    settings: Mapping[str, LayerSettings] = field(default_factory=dict)
    backend: str = "Vitis"
    io_type: str = "io_parallel"
    calibration: Mapping[str, FloatArray] = field(default_factory=dict)
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    bit_exact: bool | None = None

    def settings_of(self, node: Node) -> LayerSettings | None:
        """Settings of the layer the node came from."""
        return self.settings.get(node.layer.name)

    def type_of(self, node: Node, variable: str) -> FixedType | None:
        """The type the user gave to a variable of the node's layer; None for `auto`.

        A node that was folded out of two layers has variables that its layer does not know: those are `auto`, or it
        would not have been folded.
        """
        settings = self.settings_of(node)
        return settings.type_of(variable) if settings is not None and variable in settings.precision else None

    def width_of(self, node: Node) -> int:
        """The widest type that `auto` may choose for the node's weights and values."""
        settings = self.settings_of(node)
        if settings is None:
            return VALUE_WIDTH
        if settings.maximum.value is not None:
            return settings.maximum.value.width
        return max(VALUE_WIDTH, 0 if settings.general.value is None else settings.general.value.width)


def general_types(class_name: str) -> tuple[str, ...]:
    """Other names of a class, the most special first: `hgq>QBatchNormDense` is a QBatchNormDense, a QDense and a Dense.

    A quantized layer is of the type of the layer that it quantizes, as in hls4ml.
    """
    name = class_name.rpartition(">")[2]
    plain = _FOLDED.sub("", name) or name
    bare = _QUANTIZED.sub("", plain)
    return tuple(kind for kind in dict.fromkeys((name, plain, bare)) if kind != class_name)


def layer_infos(graph: Graph) -> list[LayerInfo]:
    """The layers of a graph fresh from the front end, with the precision variables of all their nodes."""
    found: dict[str, LayerInfo] = {}
    softmax = _softmax_readers(graph)
    bent = tuple(node.layer.name for node in graph if node.layer.class_name == "Activation")
    settled = chooses_types(graph)
    for node in graph.everywhere():
        known = found.get(node.layer.name)
        variables = [*(known.variables if known else ()), *node.op.variables]
        aliases = [*general_types(node.layer.class_name), *(("Softmax",) if node.op.kind == "softmax" else ())]
        found[node.layer.name] = LayerInfo(
            node.layer.name,
            node.layer.class_name,
            tuple(dict.fromkeys(variables)),
            aliases=_aliases(node.layer, bent),
            type_aliases=tuple(name for name in dict.fromkeys(aliases) if name != node.layer.class_name),
            inner=node.layer.inner,
            softmax=softmax.get(node.layer.name),
            settled=settled,
        )
    return list(found.values())


def chooses_types(graph: Graph) -> bool:
    """Whether a model has chosen the type of every value, as those of HGQ and HGQ2 do."""
    return any(_SETTLED.match(node.layer.class_name) for node in graph)


def _aliases(layer: Layer, activations: tuple[str, ...]) -> tuple[str, ...]:
    """hls4ml's name of the linear activation of a layer without another one."""
    bent = any(name.startswith(f"{layer.name}_") for name in activations)
    return () if layer.inner or layer.class_name == "InputLayer" or bent else (f"{layer.name}_linear",)


def _softmax_readers(graph: Graph) -> dict[str, str]:
    """Layers whose result nothing but a softmax reads, with the name of the softmax."""
    found: dict[str, str] = {}
    for node in graph:
        users = graph.users[node.name]
        if len(users) == 1 and users[0].op.kind == "softmax" and node.name not in graph.outputs:
            found[node.layer.name] = users[0].layer.name
    return found
