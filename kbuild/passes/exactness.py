"""What a quantized model has decided itself: where its values must stay exact, and the types that it declares."""

from __future__ import annotations

import numpy as np

from kbuild.dataclass import field_names, replace
from kbuild.fixed import FixedType, Overflow, Quantization, union_type
from kbuild.ir import Graph, Node, Op, Tensor
from kbuild.ops.affine import Affine
from kbuild.ops.logic import Logic
from kbuild.ops.quantize import Quantize
from kbuild.ops.step import Step
from kbuild.passes.context import Context

EXACT_WIDTH = 128  # bits of a value that is kept exact up to the next quantizer
CONSTANT_WIDTH = 32  # bits of a scale or a slope that has no exact form of less: far below float32's own rounding
TABLE_SIZE = 1 << 14  # entries of a table whose values a quantizer rounds: one for each input where it can be
_FLOOR = (Quantization.TRN, Quantization.RND)
_KEEPERS = ("identity", "reshape", "transpose", "relu", "affine", "pad", "concatenate")
_MOVES = ("identity", "reshape", "transpose")


def is_exact(graph: Graph, context: Context) -> bool:
    """Whether results keep every bit: where the recipe says so, else where the model has quantizers of its own."""
    if context.bit_exact is not None:
        return context.bit_exact
    return any(isinstance(node.op, Quantize) or any(t.type for t in _tensors(node.op)) for node in graph)


def _tensors(op: Op) -> list[Tensor]:
    return [value for value in (getattr(op, name) for name in field_names(op)) if isinstance(value, Tensor)]


def is_quantized_later(graph: Graph, node: Node) -> bool:
    """Whether the value is only read by quantizers, perhaps after what is exact element by element.

    Then its last bits decide how it is rounded; elsewhere nobody would miss them.
    """
    readers = graph.users[node.name]
    through = [reader for reader in readers if not isinstance(reader.op, Quantize | Step | Logic)]
    alone = bool(readers) and node.name not in graph.outputs
    return alone and all(reader.op.kind in _KEEPERS and is_quantized_later(graph, reader) for reader in through)


def keeps_constants(before: Op, after: Op, fine: bool) -> bool:
    """Whether the integers of an operation are its constants exactly, or `fine` factors of single elements."""
    if isinstance(before, Step) or (fine and isinstance(before, Affine)):
        return True
    pairs = zip(_tensors(before), _tensors(after), strict=False)
    return all(np.array_equal(a.floats(), b.floats()) for a, b in pairs)


def declared_type(graph: Graph, node: Node, context: Context) -> FixedType | None:
    """The type of the quantizer that is the only reader of the node, where the recipe gives none to either.

    The node's own cast is then that of the quantizer: one rounding, also of a result that has no finite form.
    """
    types = _types_read(graph, node, context)
    return types[0] if types and len(set(types)) == 1 else None


def _types_read(graph: Graph, node: Node, context: Context) -> tuple[FixedType | None, ...] | None:
    """The types that the only reader of the node casts its elements to, None for those that it does not read; None
    where something else reads it, or several do."""
    op = _only_reader(graph, node, context)
    if op is None:
        return None
    return op.types if isinstance(op, Quantize) else op.input_types


def _only_reader(graph: Graph, node: Node, context: Context) -> Quantize | Logic | None:
    readers = graph.users[node.name]
    if len(readers) != 1 or node.name in graph.outputs or context.type_of(node, "result") is not None:
        return None
    given = context.type_of(readers[0], "result")
    op = readers[0].op
    if given is None and node.op.kind == "input" and op.kind in _MOVES:
        return _only_reader(graph, readers[0], context)
    if isinstance(op, Logic):  # whose own result has a type of its own
        return op if len(readers[0].inputs) == 1 else None
    return op if isinstance(op, Quantize) and given is None else None


def input_type(graph: Graph, node: Node, context: Context) -> FixedType | None:
    """The type of an input that only a quantizer reads: what is quantized twice is then what is quantized once.

    With a type for each element it has the finest LSB, or half of it where they round to nearest, and all integer
    bits: truncation, wrapping and saturation in two steps are those of the second alone.
    """
    read = _types_read(graph, node, context)
    types = list(dict.fromkeys(of for of in read or () if of is not None))
    if read and len(set(read)) == 1:
        return read[0]
    modes = {(of.quantization, of.overflow) for of in types}
    if len(modes) != 1:
        return None
    quantization, overflow = modes.pop()
    if quantization not in _FLOOR or overflow not in (Overflow.WRAP, Overflow.SAT):
        return None
    finest = max(of.fraction for of in types) + (quantization is Quantization.RND)
    # A wrapping input that is as wide as the widest element loses nothing that an element keeps.
    whole = union_type(*(replace(of, width=max(of.integer + finest, 1)) for of in types))
    return whole.with_modes(Quantization.TRN, overflow)
