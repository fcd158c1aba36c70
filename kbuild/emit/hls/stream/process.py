"""What a node becomes with `io_stream`: a process that reads packets from FIFOs and writes packets to one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kbuild.emit.hls.design import Call, Constant
from kbuild.ir import Shape


@dataclass(frozen=True)
class Packing:
    """How the values of one sample are cut into packets, in row-major order: `packets` times `width` elements."""

    packets: int
    width: int

    @property
    def elements(self) -> int:
        """Values of a sample."""
        return self.packets * self.width


def natural(shape: Shape) -> Packing:
    """The field's packing: a packet is one position with all its channels, the last axis."""
    elements = int(np.prod(shape, dtype=np.int64))
    width = shape[-1] if shape else 1
    return Packing(elements // width, width)


@dataclass(frozen=True)
class Schedule:
    """The order in which a process blocks on its FIFOs in one sample.

    In firing i it reads `reads[i, j]` packets from each input j, in order of j, then writes `writes[i]` packets to
    its output. reads: [firings, inputs]; writes: [firings].
    """

    reads: NDArray[np.int64]
    writes: NDArray[np.int64]


def packetwise(packets: int, inputs: int = 1) -> Schedule:
    """One packet from every input, then one to the output."""
    return Schedule(np.ones((packets, inputs), np.int64), np.ones(packets, np.int64))


def buffered(reads: Sequence[int], writes: int) -> Schedule:
    """Everything is read, then everything is written."""
    return Schedule(np.array([reads], np.int64), np.array([writes], np.int64))


@dataclass(frozen=True)
class StreamKernel:
    """A process that is one call of a kernel in `backends/hls/stream/`.

    The call's inputs and output are `hls::stream<kbuild::packet<T, width> >&`, its constants arrays as with
    io_parallel. `reads` has the packing that the kernel expects of each input, `writes` that of its output.
    """

    header: str
    call: Call
    reads: tuple[Packing, ...]
    writes: Packing
    schedule: Schedule
    constants: tuple[Constant, ...] = ()
