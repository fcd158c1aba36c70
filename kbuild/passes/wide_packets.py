"""A sentence about packets of streams that are wider than the tool's FIFOs take."""

from __future__ import annotations

from kbuild.config.backends import find_backend
from kbuild.ir import Graph
from kbuild.ops.reshape import Reshape

_SHOWN = 3


def remarks(graph: Graph, backend: str, io_type: str) -> tuple[str, ...]:
    """About a graph with its types; a reshape leaves the packets as they come."""
    found = find_backend(backend)
    most = found.limits.get("packet") if found and io_type == "io_stream" else None
    if most is None:
        return ()
    bits: dict[str, int] = {}
    for node in graph:
        if node.shape and not isinstance(node.op, Reshape):
            bits[node.layer.name] = max(bits.get(node.layer.name, 0), node.shape[-1] * node.fixed().width)
    wide = [f"{name} ({width})" for name, width in sorted(bits.items(), key=lambda item: -item[1]) if width > most]
    if not wide:
        return ()
    more = f" and {len(wide) - _SHOWN} more" if len(wide) > _SHOWN else ""
    return (
        f"{backend} takes at most {most} bits in a packet of a FIFO, a position with all its channels, and stops in "
        f"synthesis at wider ones: those of {', '.join(wide[:_SHOWN])}{more}; give their values fewer bits, or use "
        "Backend: Vivado",
    )
