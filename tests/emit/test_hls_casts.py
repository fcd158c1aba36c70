"""No cast of a project is one at which the C simulation of Vivado and Vitis stops (`backends/hls/cast.h`)."""

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
from kbuild.ir import Graph, Layer, Node, verify
from kbuild.ops.dense import Dense
from kbuild.ops.identity import Identity
from kbuild.ops.input import Input
from kbuild.resources import resource
from kbuild.tools.cxx import compiler


def refused_casts(source: Path, headers: Path) -> list[str]:
    """Casts that the vendor's header would stop at, by what our own say when they are asked to look for them."""
    options = ["-std=c++17", "-fsyntax-only", "-DKFIXED_STRICT", "-isystem", str(headers)]
    command = [*compiler().command, *options, source.name]
    done = subprocess.run(command, cwd=source.parent, capture_output=True, text=True)
    found = [line for line in done.stderr.splitlines() if "stops at this cast" in line]
    assert (done.returncode == 0) == (not found), done.stderr[:2000]
    return found


def test_such_casts_are_found(tmp_path: Path) -> None:
    """From four bits far below the LSB; not where T rounds down, nor where the highest bit is the one below the LSB."""
    text = '#include "ap_fixed.h"\n#include "cast.h"\nvoid f({x} x) {{ volatile {y} y = {made}; (void)y; }}\n'
    headers = resource("backends", "fixed")
    (tmp_path / "cast.h").write_text(resource("backends", "hls", "cast.h").read_text())
    for x, y, bad in (("ap_fixed<4, -4>", "ap_fixed<8, 5, AP_RND>", True),
                      ("ap_fixed<4, -3>", "ap_fixed<8, 5, AP_RND>", False),
                      ("ap_fixed<4, -4>", "ap_fixed<8, 5>", False),
                      ("ap_fixed<4, -4>", "ap_fixed<8, 5, AP_TRN_ZERO>", True),
                      ("ap_ufixed<4, -4>", "ap_fixed<8, 5, AP_TRN_ZERO>", False),
                      ("ap_ufixed<4, -4>", "ap_fixed<8, 5, AP_RND_CONV>", True)):  # fmt: skip
        for made, found in (("x", bad), (f"kbuild::cast<{y} >(x)", False)):
            (tmp_path / "f.cpp").write_text(text.format(x=x, y=y, made=made))
            assert bool(refused_casts(tmp_path / "f.cpp", headers)) == found, (x, y, made)


def vanishing() -> Graph:
    """Values that are less than half an LSB of what they become, in every mode; and products that are."""
    b = Builder(np.random.default_rng(1))
    for signed in (True, False):
        of = FixedType(4, -4, signed)
        x = Node(f"x{signed:d}", Input((3,)), (), (3,), Layer("x", "InputLayer"), of)
        b.nodes.append(x)
        for mode in Quantization:
            to = FixedType(8, 5, True, mode, Overflow.SAT)
            b.add(Identity(), [x], to)
            b.add(Dense(b.tensor((3, 2), FixedType(4, 0)), b.tensor((2,), FixedType(3, -6)), to), [x], to)
    read = {name for node in b.nodes for name in node.inputs}
    return verify(Graph("vanishing", tuple(b.nodes), tuple(n.name for n in b.nodes if n.name not in read)))


def test_what_vanishes_with_the_vendors_headers(tmp_path: Path) -> None:
    write(vanishing(), tmp_path)
    command = [*compiler().command, "-std=c++11", "-O0", "-isystem", str(vendor_headers()), "firmware/tagger.cpp",
               "tb/tagger_test.cpp", "-o", "test.exe"]  # fmt: skip
    subprocess.run(command, cwd=tmp_path, check=True)
    assert run(tmp_path / "test.exe") == (0, "20 samples, 0 wrong values\n")


def check(seed: int, io_type: str, folder: Path) -> None:
    """A random project whose types have their point far outside their bits."""
    graph = random_graph(seed, 40, widths=(1, 20), spatial=seed % 2 == 0, sequence=True, outside=24)
    for path, content in emit(graph, replace(TARGET, io_type=io_type)).items():
        assert isinstance(content, str)
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    assert refused_casts(folder / "firmware" / "tagger.cpp", folder / "firmware" / "ap_types") == []


@pytest.mark.parametrize(("seed", "io_type"), [(1, "io_parallel"), (2, "io_stream")])
def test_random_projects(seed: int, io_type: str, tmp_path: Path) -> None:
    check(seed, io_type, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("io_type", ["io_parallel", "io_stream"])
@pytest.mark.parametrize("seed", range(5, 25))
def test_more_random_projects(seed: int, io_type: str, tmp_path: Path) -> None:
    check(seed, io_type, tmp_path)
