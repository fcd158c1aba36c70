"""Kernel calls of operations that are not kbuild's own, which bring their kernels along (`kbuild.ops.custom`)."""

from __future__ import annotations

from collections.abc import Sequence

from kbuild.emit.hls.design import Call, Config, Constant, Step, config_name, elements, spell, value_name
from kbuild.ir import Node
from kbuild.ops.custom import EmitsHls, HlsKernel

_TEXT = """\
// The kernel of the operation {kind}, which is not kbuild's own.
#ifndef KBUILD_CUSTOM_{kind}_H
#define KBUILD_CUSTOM_{kind}_H
{includes}
namespace kbuild {{

{source}

}}  // namespace kbuild

#endif
"""


def custom(node: Node, inputs: Sequence[Node]) -> Step:
    """One call of the kernel."""
    assert isinstance(node.op, EmitsHls)  # or it is refused before
    kernel = node.op.hls([x.shape for x in inputs], [x.fixed() for x in inputs], node.shape)
    constants = tuple(Constant(f"{name}_{node.name}", tensor) for name, tensor in kernel.constants.items())
    types = {name: spell(of) for name, of in kernel.types.items()}
    integers = {"elements": elements(node.shape), **kernel.integers}
    call = Call(kernel.name, Config(config_name(node.name), integers, types), tuple(value_name(x.name) for x in inputs),
                value_name(node.name), tuple(constant.name for constant in constants))  # fmt: skip
    return Step(f"custom/{node.op.kind}.h", (call,), constants, source=_text(node.op.kind, kernel))


def _text(kind: str, kernel: HlsKernel) -> str:
    includes = "".join(f'\n#include "../{name}"' for name in kernel.includes)
    return _TEXT.format(kind=kind, includes=includes and f"{includes}\n", source=kernel.source.strip("\n"))
