"""Checks a file's global heaps, where HDF5 keeps long strings: on some damage the library would loop for ever."""

from __future__ import annotations

import mmap
from collections.abc import Iterator

import numpy as np

from kbuild.errors import UnsupportedModel

SIGNATURE = b"\x89HDF\r\n\x1a\n"  # HDF5 File Format Specification 3.0, II.A
_HEAP = b"GCOL\x01\x00\x00\x00"  # III.E: signature, version, reserved
_HEADER = 16
_LENGTH_BYTES = 8
_SMALL = 4 << 20  # bytes that are searched in no time


def check_heaps(content: bytes | mmap.mmap) -> None:
    """Raise UnsupportedModel when an object of a global heap takes no room, or more than its heap has."""
    if content[:8] != SIGNATURE:
        raise UnsupportedModel("it is not an HDF5 file")
    if len(content) < 48 or content[14 if content[8] < 2 else 10] != _LENGTH_BYTES:
        raise UnsupportedModel("the HDF5 file is damaged: its superblock is not one that Keras writes")
    for start in _heaps(content):
        _check_heap(content, start)


def _heaps(content: bytes | mmap.mmap) -> Iterator[int]:
    """Where a heap may begin. In a large file only addresses that are multiples of eight, as the library's all are."""
    if len(content) > _SMALL:
        words = np.frombuffer(content, "<u8", len(content) // 8)
        yield from (np.flatnonzero(words == int.from_bytes(_HEAP, "little")) * 8).tolist()
        return
    start = content.find(_HEAP)
    while start >= 0:
        yield start
        start = content.find(_HEAP, start + 1)


def _check_heap(content: bytes | mmap.mmap, start: int) -> None:
    end = min(start + _number(content, start + 8), len(content))
    at = start + _HEADER
    while end - at >= _HEADER:
        index = int.from_bytes(content[at : at + 2], "little")
        size = _number(content, at + 8)
        # index 0 is the free space, whose size includes its own header; others are padded to eight bytes
        step = size if index == 0 else _HEADER + (size + 7) // 8 * 8
        if step < _HEADER or at + step > end:
            raise UnsupportedModel("the HDF5 file is damaged: a global heap is not whole")
        at += step


def _number(content: bytes | mmap.mmap, at: int) -> int:
    return int.from_bytes(content[at : at + _LENGTH_BYTES], "little")
