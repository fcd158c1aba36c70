"""Windows that slide over a stream of pixels: what `backends/hls/stream/line_buffer.h` needs, and the order of packets.

One spatial axis is handled as the second of two, the first having one element.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kbuild.dataclass import dataclass
from kbuild.emit.hls.stream.process import Schedule


@dataclass(frozen=True)
class Axis:
    """A window of `kernel` places, `dilation` apart, over `size` elements with `spread - 1` zeros between them.

    low: zeros before the first element.
    """

    size: int
    positions: int
    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    spread: int = 1
    low: int = 0

    @property
    def reach(self) -> int:
        """From the oldest to the newest place of the window, among the spread out elements."""
        return (self.kernel - 1) * self.dilation

    @property
    def start(self) -> int:
        """Where the newest place is at the first position."""
        return self.reach - self.low

    @property
    def last(self) -> int:
        """Where it is at the last position."""
        return self.start + (self.positions - 1) * self.stride

    @property
    def first(self) -> int:
        """The element that the walk begins with: none of the input where the first window ends before it."""
        return min(self.start // self.spread, 0)

    @property
    def end(self) -> int:
        """The element that it ends before."""
        return max(self.last // self.spread + 1, self.size)

    @property
    def held(self) -> int:
        """Elements that the window may touch at once."""
        return self.reach // self.spread + 1

    def integers(self) -> dict[str, int]:
        """The integers of a configuration for this axis, by their names without its number."""
        return {"size": self.size, "kernel": self.kernel, "stride": self.stride, "dilation": self.dilation,
                "spread": self.spread, "first": self.first, "end": self.end, "start": self.start, "last": self.last}

    def walk(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Along the walk: whether the newest place is an element, and whether it is at a position."""
        v = np.arange(self.first * self.spread, self.end * self.spread)
        is_element = (v % self.spread == 0) & (v >= 0) & (v < self.size * self.spread)
        return is_element, (v >= self.start) & (v <= self.last) & ((v - self.start) % self.stride == 0)


@dataclass(frozen=True)
class Window:
    """A window over two axes."""

    axes: tuple[Axis, Axis]
    channels: int

    def integers(self) -> dict[str, int]:
        """The integers of a configuration."""
        rows, columns = (axis.held for axis in self.axes)
        lines = rows - (self.axes[0].spread == 1)  # rows of zeros between need the newest row once more
        found = {"channels": self.channels, "rows": rows, "columns": columns, "lines": lines,
                 "line_rows": max(lines, 1), "line_width": self.axes[1].size if lines else 1}
        for i, axis in enumerate(self.axes):
            found |= {f"{name}{i}": value for name, value in axis.integers().items()}
        return found

    def schedule(self) -> Schedule:
        """A pixel is read when the walk comes to it; a packet is written when its window is complete."""
        (row_read, row_done), (column_read, column_done) = (axis.walk() for axis in self.axes)
        reads, writes = np.outer(row_read, column_read).ravel(), np.outer(row_done, column_done).ravel()
        busy = reads | writes
        return Schedule(reads[busy].astype(np.int64)[:, np.newaxis], writes[busy].astype(np.int64))

    @property
    def taps(self) -> int:
        """Places of the kernel that meet elements at once, at most."""
        return math.prod(-(-a.kernel // (a.spread // math.gcd(a.spread, a.dilation))) for a in self.axes)


def two(axes: Sequence[Axis]) -> tuple[Axis, Axis]:
    """One or two axes as two."""
    first, second = [Axis(1, 1), *axes][-2:]
    return first, second
