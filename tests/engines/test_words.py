"""Integers as 64-bit words, and as they lie in memory."""

from __future__ import annotations

import numpy as np
import pytest
from random_graphs import integers

from kbuild.engines.natives import from_natives, native, places, to_natives
from kbuild.engines.words import from_words, to_words
from kbuild.fixed import FixedType, IntArray, wide

TYPES = [FixedType(w, 0, s) for w in (1, 8, 9, 16, 17, 33, 63, 64, 65, 127, 128, 129, 192, 200) for s in (False, True)]


def values_of(of: FixedType) -> IntArray:
    ends = np.array([of.min, of.max], dtype=object)
    return np.concatenate([integers(np.random.default_rng(1), (50,), of), ends]).reshape(4, 13)


def same(a: IntArray, b: IntArray) -> bool:
    return a.shape == b.shape and bool((wide(a) == wide(b)).all())


@pytest.mark.parametrize("of", TYPES)
def test_words(of: FixedType) -> None:
    values = values_of(of)
    words = to_words(values, of)
    assert words.shape == (4, 13, -(-of.width // 64)) and words.dtype == np.int64
    assert same(from_words(words, of), values)


@pytest.mark.parametrize("of", TYPES)
def test_natives(of: FixedType) -> None:
    values = values_of(of)
    found = to_natives(values, of)
    assert found.dtype == native(of) and found.shape == (4, 13, *places(of)) and found.flags.c_contiguous
    assert same(from_natives(found, of), values)
    data, size = found.tobytes(), found.nbytes // values.size
    read = [int.from_bytes(data[i : i + size], "little", signed=of.signed or of.width > 64)
            for i in range(0, len(data), size)]  # fmt: skip
    mask = (1 << of.width) - 1
    assert [value & mask for value in read] == [value & mask for value in wide(values).ravel().tolist()]


@pytest.mark.parametrize(("of", "size"), [
    (FixedType(8, 0, False), 1), (FixedType(9, 0), 2), (FixedType(31, 0), 4), (FixedType(64, 0, False), 8),
    (FixedType(65, 0), 16), (FixedType(128, 0, False), 16), (FixedType(192, 0), 24), (FixedType(192, 0, False), 32),
])  # fmt: skip
def test_sizes_are_those_of_the_headers(of: FixedType, size: int) -> None:
    assert native(of).itemsize * int(np.prod(places(of), dtype=int)) == size


@pytest.mark.parametrize("value", [-9, 8])
def test_integers_of_another_type_are_refused(value: int) -> None:
    with pytest.raises(ValueError, match=r"are not of the type fixed<4,2>"):
        to_natives(np.array([[0, value]]), FixedType(4, 2))
