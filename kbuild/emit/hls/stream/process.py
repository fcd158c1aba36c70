"""What a node becomes with `io_stream`: a process that reads packets from FIFOs and writes packets to others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kbuild.dataclass import dataclass
from kbuild.emit.hls.design import Array, Call, Constant, Step
from kbuild.fixed import FixedType
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
    its output. reads: [firings, inputs]; writes: [firings], or [firings, outputs], written in the outputs' order.
    """

    reads: NDArray[np.int64]
    writes: NDArray[np.int64]


@dataclass(frozen=True)
class StreamKernel:
    """A process that is one call of a kernel in `backends/hls/stream/`.

    The call's inputs and output are `hls::stream<kbuild::packet<T, width> >&`, its constants arrays as with
    io_parallel; `header` is relative to `backends/hls/`. `reads` has the packing that the kernel expects of each input,
    `writes` that of its output. `interval`: cycles between two firings of its schedule, 0 where a firing ends before
    the next begins. `inside`: as in `Step`.
    """

    header: str
    call: Call
    reads: tuple[Packing, ...]
    writes: Packing
    schedule: Schedule
    constants: tuple[Constant, ...] = ()
    interval: int = 1
    inside: tuple[Step, ...] = ()


# ---- what a process does with its packets ----------------------------------------------------------------------


@dataclass(frozen=True)
class Operand:
    """An array that is filled from an input, or written to an output, of the process: the index of that and its
    packets for the whole array."""

    stream: int
    array: Array
    packing: Packing


@dataclass(frozen=True)
class Arrays:
    """The kernels of io_parallel between arrays that are read from packets and written to packets.

    Each group of `before` is read first, one packet of each operand in turn. Then, `passes` times, a packet of each
    operand in `each` is read, the kernels run, and what the outputs hold is written. `interval` is that of the
    pipeline of passes, 0 where a pass ends before the next begins.
    """

    step: Step
    before: tuple[tuple[Operand, ...], ...]
    each: tuple[Operand, ...]
    passes: int
    outputs: tuple[Operand, ...]
    interval: int


@dataclass(frozen=True)
class Kernel:
    """One call of a kernel on streams; its inputs and output are named `in_<i>` and `out_1`."""

    step: Step


@dataclass(frozen=True)
class Clone:
    """Every packet to all outputs; without any output the packets end here."""


Body = Arrays | Kernel | Clone


@dataclass(frozen=True)
class Fifo:
    """Packets of one value between two processes; `producer` or `consumer` is None where it is a port of the design.

    `packet` is the C++ name of the packets' type, `depth` the packets it has room for (a port's is not ours).
    """

    name: str
    node: str
    type: FixedType
    packet: str
    packing: Packing  # of one sample
    producer: str | None
    consumer: str | None
    depth: int = 0

    @property
    def is_port(self) -> bool:
        """Whether the outside world is at one end."""
        return self.producer is None or self.consumer is None

    @property
    def width_bits(self) -> int:
        """Bits of a packet."""
        return self.packing.width * self.type.width


@dataclass(frozen=True)
class Process:
    """A C++ function that runs beside the others: the names of its FIFOs and the order in which it uses them.

    schedule.writes is [firings, outputs]. `lag`: firings that its pipeline may hold back, see `depths`. `title` says
    what it does.
    """

    name: str
    title: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    body: Body
    schedule: Schedule
    lag: int

    @property
    def step(self) -> Step | None:
        """The kernel calls in it."""
        return None if isinstance(self.body, Clone) else self.body.step


@dataclass(frozen=True)
class Network:
    """A design of processes and FIFOs; processes stand in an order in which each reads what those before it write."""

    processes: tuple[Process, ...]
    fifos: tuple[Fifo, ...]
    inputs: tuple[str, ...]  # FIFOs by the model's inputs
    outputs: tuple[str, ...]
    values: dict[str, str]  # by node name, the FIFO through which its values leave the process that makes them

    def steps(self) -> list[Step]:
        """The kernel calls of all processes."""
        return [process.step for process in self.processes if process.step is not None]

    def by_name(self) -> dict[str, Fifo]:
        """The FIFOs by name."""
        return {fifo.name: fifo for fifo in self.fifos}

    def ports(self, names: Sequence[str] | None = None) -> list[Fifo]:
        """The FIFOs of these names; by default the design's ports, inputs first."""
        found = self.by_name()
        return [found[name] for name in ((*self.inputs, *self.outputs) if names is None else names)]
