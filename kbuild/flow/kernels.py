"""When the emulator's compiled kernels are worth having, and where they come from."""

from __future__ import annotations

import functools
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from kbuild.errors import MissingTool, RecipeError, StageError

if TYPE_CHECKING:
    from kbuild.flow.cache import Cache
    from kbuild.ops.native.kernels import Kernels

KERNELS = "kernels"
VARIABLE = "KBUILD_EMULATOR"
NUMPY, COMPILED = "numpy", "compiled"
_WORTH_USING = 1 << 22  # products: a millisecond of NumPy
_WORTH_COMPILING = 1 << 29  # about a tenth of a second; the compiler takes seconds, but once for all models to come


def kernels_for(cache: Cache, products: int) -> Kernels | None:
    """The kernels for so many products; None where NumPy is as well, or where they cannot be had.

    `$KBUILD_EMULATOR` may be `numpy`: never, or `compiled`: always, and then what is in the way is raised (MissingTool,
    StageError). Else a compiler that fails is warned of; where there is none, NumPy is what there is. Raises
    RecipeError for another value of the variable.
    """
    wanted = os.environ.get(VARIABLE, "")
    if wanted not in ("", NUMPY, COMPILED):
        raise RecipeError(f"${VARIABLE} is {wanted!r}; it may be {NUMPY} or {COMPILED}, or not set")
    if wanted == NUMPY or (not wanted and products < _WORTH_USING):
        return None
    try:
        key = _key()
        if not wanted and products < _WORTH_COMPILING and cache.find(KERNELS, key) is None:
            return None
        made = _made(cache.root, key)
    except MissingTool:
        if wanted:
            raise
        return None
    if not isinstance(made, str):
        return made
    if wanted:
        raise StageError(made)
    warnings.warn(f"the emulator is slower than it could be: {made}", RuntimeWarning, stacklevel=2)
    return None


def state(cache: Cache) -> str:
    """Whether the kernels are in the cache for this machine's compiler, in a few words."""
    try:
        return "compiled" if cache.find(KERNELS, _key()) else "not compiled yet"
    except MissingTool:
        return "missing"


def _key() -> str:
    from kbuild.engines.kernels import fingerprint
    from kbuild.tools import cxx

    return fingerprint(cxx.identity(cxx.compiler()))


@functools.cache
def _made(root: Path, key: str) -> Kernels | str:
    """The kernels, compiled if need be, or why not: a compiler that failed is not asked again."""
    from kbuild.engines import kernels
    from kbuild.flow.cache import Cache
    from kbuild.ops.native.kernels import Kernels

    def make(folder: Path) -> None:
        kernels.build(folder)

    cache = Cache(root)
    try:
        with cache.in_use():
            return Kernels(cache.get(KERNELS, key, make).path(kernels.LIBRARY))
    except (StageError, OSError) as error:
        return str(error)
