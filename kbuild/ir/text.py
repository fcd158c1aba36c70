"""The text form of a graph: it prints and parses back to an equal graph, so that tests read as before and after.

    graph "tagger" {
      %x = input() : fixed<16,6>[16] @ "x" InputLayer
      %fc1 = dense(%x) {accum = fixed<38,14>, weight = tensor fixed<8,1>[16,64] #0a1b..., ...} : fixed<16,6>[64] @ ...
      return %fc1
    }

A float value has the type `float`. Tensors of up to `INLINE` values are printed whole, larger ones by the digest of
their content; `parse` takes those from the mapping that `tensors` gives.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kbuild.dataclass import field_names
from kbuild.fixed import FixedType
from kbuild.ir.graph import Graph, Layer, Node
from kbuild.ir.op import Op
from kbuild.ir.tensor import Tensor
from kbuild.parallel import PART, mapped

INLINE = 16


def tensors(graph: Graph) -> dict[str, Tensor]:
    """All tensors of the graph by digest."""
    found = [value for node in graph for value in vars(node.op).values() if isinstance(value, Tensor)]
    large = {id(tensor): tensor for tensor in found if tensor.data.size >= PART}
    mapped(lambda tensor: tensor.file_digest, list(large.values()))
    return {tensor.digest: tensor for tensor in found}


def to_text(graph: Graph, inline: int = INLINE) -> str:
    """The text form."""
    lines = [f"graph {json.dumps(graph.name)} {{"]
    lines += [f"  {_node(node, inline)}" for node in graph]
    lines += [f"  return {', '.join('%' + name for name in graph.outputs)}", "}"]
    return "\n".join(lines) + "\n"


def _node(node: Node, inline: int) -> str:
    fields = [(name, getattr(node.op, name)) for name in field_names(node.op)]
    shown = ", ".join(f"{name} = {_value(value, inline)}" for name, value in fields)
    args = ", ".join("%" + name for name in node.inputs)
    text = f"%{node.name} = {node.op.kind}({args})" + (f" {{{shown}}}" if shown else "")
    layer = f"{json.dumps(node.layer.name)} {json.dumps(node.layer.class_name)}{' inner' if node.layer.inner else ''}"
    return f"{text} : {_type(node.type)}{_shape(node.shape)} @ {layer}"


def _type(of: FixedType | None) -> str:
    return "float" if of is None else str(of)


def _shape(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"


def _value(value: Any, inline: int) -> str:
    if isinstance(value, Tensor):
        head = f"tensor {_type(value.type)}{_shape(value.shape)}"
        if value.data.size > inline:
            return f"{head} #{value.digest}"
        return f"{head} ({', '.join(repr(v) for v in value.data.ravel().tolist())})"
    if isinstance(value, tuple):
        return f"({', '.join(_value(v, inline) for v in value)})"
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, (int, float, FixedType)):
        return repr(value) if isinstance(value, float) else str(value)
    raise TypeError(f"a field of type {type(value).__name__} has no text form")


_TOKEN = re.compile(
    r"\s*(?:(?P<type>u?fixed<[^>]*>)|(?P<string>\"(?:[^\"\\]|\\.)*\")|(?P<digest>\#[0-9a-f]+)"
    r"|(?P<number>[+-]?(?:\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|inf|nan))(?![A-Za-z0-9_])"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<sign>[%=(){}\[\],:@]))"
)


class TextError(ValueError):
    """A text form that does not parse; the message has the line number."""


class _Parser:
    def __init__(self, text: str, known: Mapping[str, Tensor], op_class: Callable[[str], type[Op]]) -> None:
        self.text, self.known, self.op_class, self.at = text, known, op_class, 0

    def fail(self, expected: str) -> TextError:
        line = self.text.count("\n", 0, self.at) + 1
        return TextError(f"line {line}: expected {expected}, found {self.text[self.at : self.at + 20].strip()!r}")

    def peek(self) -> str:
        match = _TOKEN.match(self.text, self.at)
        return match.group().strip() if match else ""

    def take(self, group: str, exact: str | None = None) -> str:
        match = _TOKEN.match(self.text, self.at)
        if not match or match.lastgroup != group or (exact is not None and match[group] != exact):
            raise self.fail(exact or group)
        self.at = match.end()
        return match[group]

    def accept(self, group: str, exact: str) -> bool:
        match = _TOKEN.match(self.text, self.at)
        if match and match.lastgroup == group and match[group] == exact:
            self.at = match.end()
            return True
        return False

    def listed(self, closing: str, item: Callable[[], Any]) -> list[Any]:
        found: list[Any] = []
        while not self.accept("sign", closing):
            if found:
                self.take("sign", ",")
            found.append(item())
        return found

    def value_name(self) -> str:
        self.take("sign", "%")
        return self.take("name")

    def string(self) -> str:
        return str(json.loads(self.take("string")))

    def type(self) -> FixedType | None:
        return None if self.accept("name", "float") else FixedType.parse(self.take("type"))

    def number(self) -> int | float:
        text = self.take("number")
        return int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text)

    def shape(self) -> tuple[int, ...]:
        self.take("sign", "[")
        return tuple(int(n) for n in self.listed("]", self.number))

    def field(self) -> tuple[str, Any]:
        name = self.take("name")
        self.take("sign", "=")
        return name, self.value()

    def value(self) -> Any:
        for word, meaning in (("none", None), ("true", True), ("false", False)):
            if self.accept("name", word):
                return meaning
        if self.accept("name", "tensor"):
            return self.tensor()
        if self.accept("sign", "("):
            return tuple(self.listed(")", self.value))
        token = self.peek()
        if token.startswith('"'):
            return self.string()
        return FixedType.parse(self.take("type")) if "<" in token else self.number()

    def tensor(self) -> Tensor:
        of, shape = self.type(), self.shape()
        if self.peek().startswith("#"):
            digest = self.take("digest")[1:]
            if digest not in self.known:
                raise TextError(f"the tensor #{digest} is not among those given")
            return self.known[digest]
        self.take("sign", "(")
        values = self.listed(")", self.number)
        return Tensor(np.array(values, dtype=np.float64 if of is None else object).reshape(shape), of)

    def node(self, name: str) -> Node:
        self.take("sign", "=")
        kind = self.take("name")
        self.take("sign", "(")
        inputs = self.listed(")", self.value_name)
        fields = dict(self.listed("}", self.field)) if self.accept("sign", "{") else {}
        self.take("sign", ":")
        of, shape = self.type(), self.shape()
        self.take("sign", "@")
        layer = Layer(self.string(), self.string(), self.accept("name", "inner"))
        try:
            op = self.op_class(kind)(**fields)
        except (TypeError, KeyError) as error:
            raise TextError(f"%{name}: {error}") from error
        return Node(name, op, tuple(inputs), shape, layer, of)

    def graph(self) -> Graph:
        self.take("name", "graph")
        title = self.string()
        self.take("sign", "{")
        nodes: list[Node] = []
        while not self.accept("name", "return"):
            nodes.append(self.node(self.value_name()))
        outputs = [self.value_name()]
        while self.accept("sign", ","):
            outputs.append(self.value_name())
        self.take("sign", "}")
        return Graph(title, tuple(nodes), tuple(outputs))


def parse(text: str, known: Mapping[str, Tensor], op_class: Callable[[str], type[Op]]) -> Graph:
    """The graph of a text form. `op_class` maps a kind to its class (`kbuild.ops.op_class`). Raises TextError."""
    return _Parser(text, known, op_class).graph()
