"""Work on every core, for what NumPy and hashlib do without the interpreter's lock."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

PART = 1 << 20  # values that are worth a thread


def mapped(function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """`function` of each item, in the items' order, as many at a time as there are cores.

    What is split into items must not depend on the cores, where the result could.
    """
    cores = min(len(items), os.cpu_count() or 1)
    if cores <= 1:
        return [function(item) for item in items]
    from concurrent.futures import ThreadPoolExecutor  # takes its time to import

    with ThreadPoolExecutor(cores) as pool:
        return list(pool.map(function, items))


def parts(length: int, size: int) -> list[slice]:
    """0..length in slices of `size`."""
    return [slice(start, min(start + size, length)) for start in range(0, length, max(size, 1))]
