"""Windows that slide over a stream of pixels: what `backends/hls/stream/line_buffer.h` needs, and the order of packets.

Fewer than three spatial axes are handled as the last of three, those before having one element.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

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

    def met(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Along the walk, by place of the kernel, [corners, kernel].

        Whether the element there belongs to that place of the window of some position; and, at a position, whether its
        window has an element at that place.
        """
        v = np.arange(self.first * self.spread, self.end * self.spread)[:, np.newaxis]
        is_element, is_position = (found[:, np.newaxis] for found in self.walk())
        places = np.arange(self.kernel) * self.dilation
        corner = v - places + self.reach  # where the newest place of that window is
        belongs = (corner >= self.start) & (corner <= self.last) & ((corner - self.start) % self.stride == 0)
        element = v + places - self.reach
        there = (element >= 0) & (element < self.size * self.spread) & (element % self.spread == 0)
        return is_element & belongs, is_position & there

    def words(self) -> list[int]:
        """Along the walk, the instructions of `backends/hls/stream/encoded.h`."""
        columns = [*self.met(), *(found[:, np.newaxis] for found in self.walk())]
        return [sum(1 << int(bit) for bit in np.flatnonzero(row)) for row in np.concatenate(columns, axis=1)]


@dataclass(frozen=True)
class Window:
    """A window over planes, rows and columns."""

    axes: tuple[Axis, Axis, Axis]
    channels: int

    def integers(self) -> dict[str, int]:
        """The integers of a configuration."""
        planes, rows, columns = (axis.held for axis in self.axes)
        # Planes or rows of zeros between need the newest one once more.
        kept, lines = (axis.held - (axis.spread == 1) for axis in self.axes[:2])
        width = self.axes[2].size
        found = {"channels": self.channels, "planes": planes, "rows": rows, "columns": columns,
                 "kept": kept, "plane_count": max(kept, 1), "plane_size": self.axes[1].size * width if kept else 1,
                 "lines": lines, "line_rows": max(lines, 1), "line_width": width if lines else 1}
        for i, axis in enumerate(self.axes):
            found |= {f"{name}{i}": value for name, value in axis.integers().items()}
        return found

    def stored(self, word: int, groups: int = 1) -> dict[str, int]:
        """The integers of a configuration for a window in memory, in words of so many elements of a pixel."""
        found = {"channels": self.channels, "held": self.held(), "word": word, "words": self.channels // word,
                 "groups": groups, "group_channels": self.channels // groups}  # fmt: skip
        for i, axis in enumerate(self.axes):
            found |= {f"{name}{i}": value for name, value in axis.integers().items()}
        return found

    def held(self) -> int:
        """Pixels from the oldest to the newest that a window may need, in the order in which they come.

        The walk is over a whole row, or plane, again where rows or planes of zeros lie between those of the input.
        """
        planes, rows, columns = self.axes
        if planes.spread > 1:
            distance = planes.held * rows.size * columns.size
        elif rows.spread > 1:
            distance = ((planes.held - 1) * rows.size + rows.held) * columns.size
        else:
            distance = ((planes.held - 1) * rows.size + rows.held - 1) * columns.size + columns.held
        return min(distance, planes.size * rows.size * columns.size)

    def corners(self, at_once: int) -> int:
        """Corners of a row that are one step, in which there are at most so many positions."""
        return 1 if at_once == 1 else at_once * self.axes[2].stride

    def steps(self, at_once: int) -> dict[str, int]:
        """The integers of a configuration for a walk in steps."""
        corners, columns, sizes = self.corners(at_once), self.axes[2], self.integers()
        length = (columns.end - columns.first) * columns.spread
        elements = -(-corners // columns.spread)  # of a step, at most
        return {"at_once": at_once, "corners": corners, "steps": -(-length // corners),
                "line_distance": max(sizes["line_width"] // elements, 1),
                "plane_distance": max(sizes["plane_size"] // elements, 1)}

    def schedule(self, at_once: int = 1) -> Schedule:
        """A pixel is read when the walk comes to it; a packet is written when its window is complete.

        In a step everything is read before anything is written.
        """
        planes, rows, columns = (axis.walk() for axis in self.axes)
        more = -len(columns[0]) % self.corners(at_once)
        in_steps = [np.pad(found, (0, more)).reshape(-1, self.corners(at_once)).sum(axis=1) for found in columns]
        reads, writes = (_product(*axes) for axes in zip(planes, rows, in_steps, strict=True))
        busy = (reads > 0) | (writes > 0)
        return Schedule(reads[busy].astype(np.int64)[:, np.newaxis], writes[busy].astype(np.int64))

    def waiting(self) -> int:
        """Pixels that wait at once for the rest of their windows, of the place of the kernel where most do."""
        met = [axis.met() for axis in self.axes]
        most = 0
        for place in np.ndindex(*(axis.kernel for axis in self.axes)):
            came, went = (_product(*(of[when][:, k] for of, k in zip(met, place, strict=True))) for when in (0, 1))
            most = max(most, int((np.cumsum(came) - np.cumsum(went) + went).max()))
        return most

    @property
    def taps(self) -> int:
        """Places of the kernel that meet elements at once, at most."""
        return math.prod(-(-a.kernel // (a.spread // math.gcd(a.spread, a.dilation))) for a in self.axes)


def _product(planes: NDArray[Any], rows: NDArray[Any], columns: NDArray[Any]) -> NDArray[Any]:
    """The products of one element of each, in the order of the walk."""
    return np.multiply.outer(np.multiply.outer(planes, rows), columns).ravel()


def three(axes: Sequence[Axis]) -> tuple[Axis, Axis, Axis]:
    """Up to three axes as three."""
    first, second, third = [Axis(1, 1), Axis(1, 1), *axes][-3:]
    return first, second, third
