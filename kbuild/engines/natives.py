"""Integers as the C simulation holds them: the smallest native integers, or 64-bit limbs (`kfixed_store.h`)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kbuild.engines.words import from_words, limbs, to_words
from kbuild.fixed import FixedType, IntArray

Natives = NDArray[Any]  # of `native(type)`; values of more than 64 bits are limbs along a last axis


def native(of: FixedType) -> np.dtype[Any]:
    """The integer that holds a value of at most 64 bits, or one of several that do."""
    bits = next((bits for bits in (8, 16, 32) if of.width <= bits), 64)
    return np.dtype(f"{'i' if of.signed or of.width > 64 else 'u'}{bits // 8}")


def places(of: FixedType) -> tuple[int, ...]:
    """The axes that a value adds to an array of values: those of its limbs, little-endian; none up to 64 bits.

    Beyond 128 bits limbs are signed, so that an unsigned value may need one more.
    """
    if of.width <= 64:
        return ()
    return (limbs(of) if of.width <= 128 else limbs(FixedType(of.width + (not of.signed), 0)),)


def to_natives(values: IntArray, of: FixedType) -> Natives:
    """Integers of a type as they lie in memory. Raises ValueError for one that is not of that type."""
    if values.size and not of.min <= int(values.min()) <= int(values.max()) <= of.max:
        raise ValueError(f"integers from {values.min()} to {values.max()} are not of the type {of}")
    if of.width <= 64:
        return np.ascontiguousarray(values, dtype=native(of))
    words = to_words(values, of)
    more = places(of)[0] - words.shape[-1]
    return np.concatenate([words, np.zeros((*words.shape[:-1], more), np.int64)], axis=-1) if more else words


def from_natives(found: Natives, of: FixedType) -> IntArray:
    """The integers behind them, int64 where they fit."""
    if of.width > 64:
        return from_words(found[..., : limbs(of)], of)
    return from_words(found.astype(np.int64)[..., np.newaxis], of)
