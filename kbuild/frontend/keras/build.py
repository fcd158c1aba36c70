"""`ModelSpec` → float graph."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping
from functools import partial

from kbuild.errors import UnsupportedModel
from kbuild.frontend.keras.config import Config
from kbuild.frontend.keras.graph_config import MODELS
from kbuild.frontend.keras.handler import LayerCall
from kbuild.frontend.keras.layers import handler_of
from kbuild.frontend.keras.layout import move_transposes
from kbuild.frontend.keras.names import Names, identifier
from kbuild.frontend.keras.safety import MAX_ELEMENTS, MAX_NODES, quoted
from kbuild.frontend.keras.spec import Call, LayerSpec, ModelSpec, TensorRef
from kbuild.ir import Graph, Layer, Node, Op, verify
from kbuild.ops.transpose import Transpose

Path = tuple[str, ...]


def build_graph(model: ModelSpec, name: str) -> Graph:
    """The verified float graph of a model with its weights. Raises UnsupportedModel."""
    builder = _Builder(model)
    inner = {layer.name: layer for layer in model.layers}
    inputs = [builder.call_layer(inner[layer], (layer,), (), {})[0] for layer in model.inputs]
    outputs = builder.run(model, (), inputs)
    graph = Graph(name, tuple(builder.nodes), tuple(node.name for node in outputs))
    return verify(move_transposes(graph, builder.layout))


class _Builder:
    """Nodes so far, and the names given to nodes and layers."""

    def __init__(self, model: ModelSpec) -> None:
        self.nodes: list[Node] = []
        # a node may become a file, and there are file systems that ignore case
        self._node_names, self._layer_names = Names(ignore_case=True), Names(ignore_case=False)
        self._layers: dict[Path, Layer] = {}
        self._parts: dict[tuple[Path, str], Layer] = {}
        self.layout: set[str] = set()  # nodes that only change the layout
        for depth in range(_depth(model)):  # outer layers first: it is the inner ones that are renamed
            for path, layer in _layers_at(model, (), depth):
                self._layers[path] = Layer(self._layer_name(path), layer.class_name)

    def _layer_name(self, path: Path) -> str:
        own, qualified = path[-1], "_".join(path[-2:])
        return self._layer_names.take(qualified if own in self._layer_names else own)

    def run(self, model: ModelSpec, above: Path, inputs: list[Node]) -> list[Node]:
        """Add the nodes of one call of a model; return those of its outputs."""
        layers = {layer.name: layer for layer in model.layers}
        values = {TensorRef(name): node for name, node in zip(model.inputs, inputs, strict=True)}
        for name, number in execution_order(model):
            layer = layers[name]
            made = layer.calls[number]
            inputs_of = tuple(_value(values, ref) for ref in made.inputs)
            for index, node in enumerate(self.call_layer(layer, (*above, name), inputs_of, made.arguments)):
                values[TensorRef(name, number, index)] = node
        return [_value(values, ref) for ref in model.outputs]

    def call_layer(
        self, layer: LayerSpec, path: Path, inputs: tuple[Node, ...], arguments: Mapping[str, object]
    ) -> list[Node]:
        """Add the nodes of one call of a layer, or of a nested model."""
        config = Config(layer.name, layer.class_name, layer.config, layer.keras)
        model = layer.model
        if model is not None and layer.class_name in MODELS:
            if len(inputs) != len(model.inputs):
                raise config.error(f"is called with {len(inputs)} inputs and has {len(model.inputs)}")
            return self.run(model, path, list(inputs))
        if layer.logic is not None:
            return [self._add(layer.name, layer.logic, inputs, self._layers[path])]
        handler = handler_of(layer.class_name, layer.keras)
        if handler is None:
            raise config.error("this class is not supported")
        call = LayerCall(
            config,
            layer.weights,
            inputs,
            self._layers[path],
            self._add,
            partial(self._part_layer, path),
            self._transpose,
            arguments,
            live=layer.live,
        )
        if model is not None:
            if len(model.inputs) != 1 or len(model.outputs) != 1:
                raise config.error("is around a model with several inputs or outputs; it must have one of each")
            from kbuild.frontend.keras.steps import each_step  # few models need it

            return [each_step(call, lambda step: self.run(model, path, [step])[0])]
        return list(handler.results(call))

    def _part_layer(self, path: Path, part: str, class_name: str, inner: bool) -> Layer:
        key = path, part
        if key not in self._parts:
            name = self._layer_names.take(f"{self._layers[path].name}_{part}")
            self._parts[key] = Layer(name, class_name, inner)
        return self._parts[key]

    def _transpose(self, source: Node, axes: tuple[int, ...]) -> Node:
        """A change of layout after the layer of `source`, whose types it has."""
        node = self._add(f"{source.name}_transposed", Transpose(axes), (source,), source.layer)
        self.layout.add(node.name)
        return node

    def _add(self, name: str, op: Op, inputs: tuple[Node, ...], layer: Layer) -> Node:
        if len(self.nodes) >= MAX_NODES:
            raise UnsupportedModel(f"the model has more than {MAX_NODES} layer calls")
        if not op.own:
            _check_registered(op, layer)
        shapes = [source.shape for source in inputs]
        try:
            op.verify(shapes)
            shape = op.infer_shape(shapes)
        except ValueError as error:
            raise UnsupportedModel(f"the layer {quoted(layer.name)} ({layer.class_name}): {error}") from error
        if math.prod(shape) > MAX_ELEMENTS:
            raise UnsupportedModel(f"the layer {quoted(layer.name)} has {math.prod(shape)} values")
        names = tuple(source.name for source in inputs)
        node = Node(self._node_names.take(identifier(name)), op, names, shape, layer)
        self.nodes.append(node)
        return node


def _check_registered(op: Op, layer: Layer) -> None:
    from kbuild.ops.registered import is_registered

    if not is_registered(op):
        raise UnsupportedModel(
            f"the layer {quoted(layer.name)} ({layer.class_name}): its handler adds an operation {op.kind} that is not "
            f"registered; call kbuild.converters.register_operation({type(op).__name__})"
        )


def _value(values: Mapping[TensorRef, Node], ref: TensorRef) -> Node:
    if ref not in values:
        raise UnsupportedModel(f"output {ref.index} of the layer {quoted(ref.layer)} is read, and never computed")
    return values[ref]


def _depth(model: ModelSpec) -> int:
    return 1 + max((_depth(layer.model) for layer in model.layers if layer.model is not None), default=0)


def _layers_at(model: ModelSpec, above: Path, depth: int) -> Iterator[tuple[Path, LayerSpec]]:
    """Layers nested `depth` models deep."""
    for layer in model.layers:
        path = (*above, layer.name)
        if depth == 0:
            yield path, layer
        elif layer.model is not None:
            yield from _layers_at(layer.model, path, depth - 1)


def execution_order(model: ModelSpec) -> list[tuple[str, int]]:
    """(layer, number of the call) of every call but the inputs', each after what it reads, else in the file's order."""
    calls: list[tuple[str, int, Call]] = [
        (layer.name, number, call) for layer in model.layers for number, call in enumerate(layer.calls)
    ]
    readers: dict[tuple[str, int], list[int]] = {}
    waiting: list[int] = []
    given = {(name, 0) for name in model.inputs}
    for position, (_, _, call) in enumerate(calls):
        sources = {(ref.layer, ref.call) for ref in call.inputs} - given
        waiting.append(len(sources))
        for source in sources:
            readers.setdefault(source, []).append(position)
    ready = [position for position, count in enumerate(waiting) if count == 0]
    order: list[tuple[str, int]] = []
    while ready:
        name, number, _ = calls[heapq.heappop(ready)]
        order.append((name, number))
        for reader in readers.get((name, number), []):
            waiting[reader] -= 1
            if waiting[reader] == 0:
                heapq.heappush(ready, reader)
    if len(order) < len(calls):
        stuck = sorted({calls[position][0] for position, count in enumerate(waiting) if count > 0})
        shown = ", ".join(map(quoted, stuck[:8])) + (" ..." if len(stuck) > 8 else "")
        raise UnsupportedModel(f"the graph has a cycle or reads what nothing computes, at {shown}")
    return order
