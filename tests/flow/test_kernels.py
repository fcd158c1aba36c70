"""When the emulator's kernels are compiled, and what happens where they cannot be."""

from __future__ import annotations

import stat
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from compiled_kernels import needs_compiler

from kbuild.config import load_recipe
from kbuild.dataclass import replace
from kbuild.emulate import run
from kbuild.engines.kernels import OPTIONS, build
from kbuild.errors import MissingTool, RecipeError, StageError
from kbuild.flow import kernels
from kbuild.flow.build import Build
from kbuild.flow.cache import Cache
from kbuild.flow.engines import EMULATE, engine
from kbuild.flow.kernels import _WORTH_COMPILING, _WORTH_USING, KERNELS, VARIABLE, kernels_for, state
from kbuild.tools import process


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delenv("CXX", raising=False)
    quick = partial(build, options=replace(OPTIONS, optimise="-O0"))
    monkeypatch.setattr("kbuild.engines.kernels.build", quick)
    kernels._made.cache_clear()
    yield
    kernels._made.cache_clear()


def made() -> int:
    return sum(usage.artifacts for usage in Cache().usage() if usage.kind == KERNELS)


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(process, "_from_wheel", lambda _: None)


@pytest.fixture
def broken_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """It fails, and counts how often it was asked."""
    path, calls = tmp_path / "broken-c++", tmp_path / "calls"
    path.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && echo 9.9 && exit\necho x >> {calls}\necho "error: no"\nexit 1\n'
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("CXX", str(path))
    return calls


@needs_compiler
def test_compiled_once_and_for_much_work() -> None:
    assert state(Cache()) == "not compiled yet"
    assert kernels_for(Cache(), _WORTH_COMPILING - 1) is None
    assert made() == 0
    assert kernels_for(Cache(), _WORTH_COMPILING) is not None
    assert (made(), state(Cache())) == (1, "compiled")
    kernels._made.cache_clear()  # as in another process
    assert kernels_for(Cache(), _WORTH_USING) is not None
    assert kernels_for(Cache(), _WORTH_USING - 1) is None
    assert made() == 1


@needs_compiler
def test_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "numpy")
    assert kernels_for(Cache(), 1 << 50) is None
    monkeypatch.setenv(VARIABLE, "compiled")
    assert kernels_for(Cache(), 1) is not None
    monkeypatch.setenv(VARIABLE, "fast")
    with pytest.raises(RecipeError, match=r"\$KBUILD_EMULATOR is 'fast'; it may be numpy or compiled"):
        kernels_for(Cache(), 1)


def test_without_a_compiler(no_compiler: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert kernels_for(Cache(), 1 << 50) is None
    assert state(Cache()) == "missing"
    monkeypatch.setenv(VARIABLE, "compiled")
    with pytest.raises(MissingTool, match="a fast emulator"):
        kernels_for(Cache(), 1)


def test_a_compiler_that_fails(broken_compiler: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.warns(RuntimeWarning, match="error: no"):
        assert kernels_for(Cache(), 1 << 50) is None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert kernels_for(Cache(), 1 << 50) is None
    assert broken_compiler.read_text() == "x\n"
    assert made() == 0
    monkeypatch.setenv(VARIABLE, "compiled")
    with pytest.raises(StageError, match="error: no"):
        kernels_for(Cache(), 1)


@needs_compiler
def test_a_library_that_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as one from a cache that another system has filled."""
    monkeypatch.setattr("kbuild.engines.kernels.build", lambda folder: (folder / "libkernels.so").write_text("no"))
    with pytest.warns(RuntimeWarning, match=r"libkernels\.so"):
        assert kernels_for(Cache(), 1 << 50) is None


@needs_compiler
def test_predictions_are_the_same(project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = project()
    digits = Build(load_recipe(recipe)[0])
    graph, emulator = digits.graph("optimize"), engine(digits, EMULATE)
    (node,) = graph.inputs
    of = node.fixed()
    inputs = {node.name: np.random.default_rng(1).integers(of.min, of.max + 1, (50, *node.shape))}
    names = [node.name for node in graph]
    monkeypatch.setenv(VARIABLE, "compiled")
    found, wanted = emulator.run(inputs, names), run(graph, inputs, names).values
    assert made() == 1
    for name in names:
        assert np.array_equal(found[name], wanted[name])
