"""softmax with a mask: what is masked out has no part in it. (Its tables have tests in tests/passes.)"""

from __future__ import annotations

import numpy as np
import pytest

from kbuild.dataclass import replace
from kbuild.fixed import FixedType
from kbuild.ir import OverflowCount, Tensor
from kbuild.ops.softmax import ALLOWED, IMPLEMENTATIONS, Softmax
from kbuild.passes.softmax_tables import Exponents, softmax_tables

OF = FixedType(12, 4)
LENGTH = 6


def typed(implementation: str) -> tuple[Softmax, FixedType]:
    exponents = Exponents(implementation, OF, (-8.0, 8.0) if implementation == "stable" else (-2.0, 2.0), LENGTH)
    return softmax_tables(Softmax(implementation), exponents, None, None, None, None)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_masks(implementation: str) -> None:
    op, result = typed(implementation)
    rng = np.random.default_rng(3)
    x = rng.integers(OF.min // 4, OF.max // 4, (50, 4, LENGTH))
    mask = rng.integers(0, 2, (4, LENGTH))
    mask[:, 2] = 1
    masked = replace(op, mask=Tensor(mask, ALLOWED))
    masked.verify([x.shape[1:]])
    y = masked.eval([x], [OF], result, OverflowCount())
    allowed = np.broadcast_to(mask != 0, x.shape)
    assert not y[~allowed].any()
    other = np.where(allowed, x, rng.integers(OF.min, OF.max, x.shape))
    assert np.array_equal(masked.eval([other], [OF], result, OverflowCount()), y)
    exact = masked.eval_float([x * float(OF.lsb)])
    assert np.abs(y * float(result.lsb) - exact).max() <= (2 * float(result.lsb) if implementation != "argmax" else 0)
    assert np.allclose(exact.sum(axis=-1), 1)
    everything = replace(op, mask=Tensor(np.ones_like(mask), ALLOWED))
    plain = op.eval([x], [OF], result, OverflowCount())
    assert np.array_equal(everything.eval([x], [OF], result, OverflowCount()), plain)


def test_the_largest_that_is_there_stays_the_largest() -> None:
    """A larger input that is masked out takes nothing from the others."""
    op, result = typed("stable")
    x = np.array([[OF.max, 100, 101, -5, OF.max, 101]])
    y = replace(op, mask=Tensor(np.array([0, 1, 1, 1, 0, 0]), ALLOWED)).eval([x], [OF], result, OverflowCount())
    assert y[0].tolist()[0] == y[0].tolist()[4] == 0 and y[0].argmax() == 2 and y[0, 1] < y[0, 2]


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (Tensor(np.array([1, 0]), ALLOWED), "not ones and zeros"),
        (Tensor(np.ones((1, 3), np.int64), ALLOWED), "not ones and zeros"),
        (Tensor(np.array([1.0, 0.0, 1.0])), "not ones and zeros"),
        (Tensor(np.array([[1, 0, 0], [0, 0, 0]]), ALLOWED), "leaves a row without an input"),
    ],
)
def test_masks_that_do_not_fit(mask: Tensor, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Softmax(mask=mask).verify([(2, 3)])
