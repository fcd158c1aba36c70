"""Kernels hold nothing that the vendors' C models do wrong: no cast at which they stop, no comparison of negative with
unsigned numbers, no integer from a fraction (`backends/hls/cast.h`, `less.h`)."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hls_projects import TARGET, run, vendor_headers, write
from random_graphs import Builder, random_graph

from kbuild.emit import emit
from kbuild.fixed import FixedType, Overflow, Quantization
from kbuild.ir import Graph, Node, Tensor, verify
from kbuild.ops.dense import Dense
from kbuild.ops.gather import Gather
from kbuild.ops.identity import Identity
from kbuild.ops.input import Input
from kbuild.ops.merge import Merge
from kbuild.ops.relu import Relu
from kbuild.ops.step import Step
from kbuild.resources import resource
from kbuild.tools.cxx import compiler

REASONS = ("stops at this cast", "compares these as unsigned", "takes garbage from this type")


def refused(source: Path, headers: Path) -> set[str]:
    """What the vendor's headers would do wrong, by what our own say when they are asked to look for it."""
    options = ["-std=c++17", "-fsyntax-only", "-DKFIXED_STRICT", "-isystem", str(headers)]
    command = [*compiler().command, *options, source.name]
    done = subprocess.run(command, cwd=source.parent, capture_output=True, text=True)
    found = {reason for reason in REASONS if reason in done.stderr}
    assert (done.returncode == 0) == (not found), done.stderr[:2000]
    return found


def found_in(folder: Path, body: str) -> set[str]:
    """In a few lines of C++."""
    for name in ("cast.h", "less.h"):
        (folder / name).write_text(resource("backends", "hls", name).read_text())
    (folder / "f.cpp").write_text(f'#include "ap_fixed.h"\n#include "cast.h"\n#include "less.h"\n{body}\n')
    return refused(folder / "f.cpp", resource("backends", "fixed"))


@pytest.mark.parametrize(
    ("x", "y", "bad"),
    [
        ("ap_fixed<4, -4>", "ap_fixed<8, 5, AP_RND>", True),
        ("ap_fixed<4, -3>", "ap_fixed<8, 5, AP_RND>", False),  # the highest bit is the one below the LSB
        ("ap_fixed<4, -4>", "ap_fixed<8, 5>", False),
        ("ap_fixed<4, -4>", "ap_fixed<8, 5, AP_TRN_ZERO>", True),
        ("ap_ufixed<4, -4>", "ap_fixed<8, 5, AP_TRN_ZERO>", False),
        ("ap_ufixed<4, -4>", "ap_fixed<8, 5, AP_RND_CONV>", True),
    ],
)
def test_casts_that_stop_are_found(x: str, y: str, bad: bool, tmp_path: Path) -> None:
    assert found_in(tmp_path, f"{y} f({x} x) {{ return {y}(x); }}") == ({REASONS[0]} if bad else set())
    assert found_in(tmp_path, f"{y} f({x} x) {{ return kbuild::cast<{y} >(x); }}") == set()


def test_wrong_comparisons_and_integers_are_found(tmp_path: Path) -> None:
    types = "ap_ufixed<19, 7> a, ap_fixed<40, 8> b"
    assert found_in(tmp_path, f"bool f({types}) {{ return a < b; }}") == {REASONS[1]}
    assert found_in(tmp_path, f"bool f({types}) {{ return kbuild::less(a, b); }}") == set()
    assert found_in(tmp_path, "bool f(ap_ufixed<19, 7> a, ap_fixed<20, 8> b) { return a < b; }") == set()
    assert REASONS[2] in found_in(tmp_path, "ap_int<4> f(ap_fixed<5, -2> x) { return x; }")


def vanishing(b: Builder) -> None:
    """Values that are less than half an LSB of what they become, in every mode; and products that are."""
    for signed in (True, False):
        x = given(b, 3, FixedType(4, -4, signed))
        for mode in Quantization:
            to = FixedType(8, 5, True, mode, Overflow.SAT)
            b.add(Identity(), [x], to)
        b.add(Dense(b.tensor((3, 2), FixedType(4, 0)), b.tensor((2,), FixedType(3, -6)), to), [x], to)


def mixed(b: Builder) -> None:
    """Unsigned values beside negative ones, and indices that are fractions."""
    wide, result = FixedType(40, 8), FixedType(45, 10)
    unsigned, signed, fraction = (given(b, 6, of) for of in (FixedType(34, 7, False), wide, FixedType(5, -2)))
    b.add(Merge("maximum"), [unsigned, signed], result)
    b.add(Merge("minimum"), [unsigned, signed], result)
    for threshold in (-3 << 32, 5 << 32):
        limits = [Tensor(np.array(limit), wide) for limit in (threshold, 20 << 32)]
        b.add(Relu(None, *limits), [unsigned], result)
    rising = Tensor(np.array([-9, -1, 3, 40]) << 32, wide)
    b.add(Step(rising, b.tensor((5,), FixedType(6, 3))), [unsigned], FixedType(6, 3))
    b.add(Gather(b.tensor((3, 2), FixedType(6, 3))), [fraction], FixedType(6, 3))


def given(b: Builder, size: int, of: FixedType) -> Node:
    return b.add(Input((size,)), type=of)


def test_with_the_vendors_headers(tmp_path: Path) -> None:
    b = Builder(np.random.default_rng(1))
    vanishing(b)
    mixed(b)
    read = {name for node in b.nodes for name in node.inputs}
    outputs = tuple(node.name for node in b.nodes if node.name not in read)
    write(verify(Graph("cases", tuple(b.nodes), outputs)), tmp_path)
    command = [*compiler().command, "-std=c++11", "-O0", "-isystem", str(vendor_headers()), "firmware/tagger.cpp",
               "tb/tagger_test.cpp", "-o", "test.exe"]  # fmt: skip
    subprocess.run(command, cwd=tmp_path, check=True)
    assert run(tmp_path / "test.exe") == (0, "20 samples, 0 wrong values\n")


def check(seed: int, io_type: str, folder: Path) -> None:
    """A random project whose types have their point far outside their bits."""
    graph = random_graph(seed, 40, widths=(1, 40), spatial=seed % 2 == 0, sequence=True, outside=24)
    for path, content in emit(graph, replace(TARGET, io_type=io_type)).items():
        assert isinstance(content, str)
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    assert refused(folder / "firmware" / "tagger.cpp", folder / "firmware" / "ap_types") == set()


@pytest.mark.parametrize(("seed", "io_type"), [(1, "io_parallel"), (2, "io_stream")])
def test_random_projects(seed: int, io_type: str, tmp_path: Path) -> None:
    check(seed, io_type, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("io_type", ["io_parallel", "io_stream"])
@pytest.mark.parametrize("seed", range(5, 25))
def test_more_random_projects(seed: int, io_type: str, tmp_path: Path) -> None:
    check(seed, io_type, tmp_path)
