"""Integers as the 64-bit words that compiled engines exchange: little-endian, sign-extended."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from kbuild.fixed import FixedType, IntArray, compact, wide
from kbuild.ir import Node

Words = NDArray[np.int64]


def limbs(of: FixedType) -> int:
    """64-bit words that hold one value."""
    return -(-of.width // 64)


def words_of(node: Node, inputs: Mapping[str, IntArray]) -> Words:
    """The words of one of the inputs. Raises ValueError when it is missing or has another shape."""
    if node.name not in inputs:
        raise ValueError(f"the input {node.layer.name} is missing")
    values = inputs[node.name]
    if values.shape[1:] != node.shape:
        raise ValueError(f"the input {node.layer.name} has shape {values.shape[1:]}, not {node.shape}")
    return to_words(values, node.fixed())


def to_words(values: IntArray, of: FixedType) -> Words:
    """Integers of a type as 64-bit words, little-endian along a new last axis, sign-extended."""
    count = limbs(of)
    if count == 1 and values.dtype != object:
        return np.ascontiguousarray(values, dtype=np.int64)[..., np.newaxis]
    flat, mask = wide(values).ravel().tolist(), (1 << 64 * count) - 1
    body = b"".join((value & mask).to_bytes(8 * count, "little") for value in flat)
    return np.frombuffer(body, np.int64).reshape(*values.shape, count)


def from_words(words: Words, of: FixedType) -> IntArray:
    """The integers behind 64-bit words along the last axis."""
    count = words.shape[-1]
    if count == 1 and (of.signed or of.width < 64):
        return compact(words[..., 0])
    parts = words.astype(object)
    high = parts[..., -1] if of.signed else parts[..., -1] & ((1 << 64) - 1)
    for i in range(count - 2, -1, -1):
        high = high << 64 | parts[..., i] & ((1 << 64) - 1)
    return compact(np.asarray(high, dtype=object))
