"""The emitted projects with streams compile, compute what the emulator computes, and say how deep their FIFOs are."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hls_projects import OF, TARGET, everything, run, source, spatial, vendor_headers, write
from random_graphs import Builder, random_graph

from kbuild.emit import Target, emit
from kbuild.emit.hls.stream.network import network
from kbuild.emit.hls.testbench import INPUTS, OUTPUTS
from kbuild.errors import RecipeError
from kbuild.ir import Graph, Layer, verify
from kbuild.ops.conv import Conv
from kbuild.ops.merge import Merge
from kbuild.ops.relu import Relu
from kbuild.tools.cxx import compiler

STREAM = replace(TARGET, io_type="io_stream")
PASSED = (0, "20 samples, 0 wrong values\n")


def compiled(folder: Path, standard: str, *headers: str) -> Path:
    """The testbench. The folder of our own types comes last: the vendor's headers have no hls_stream.h with them."""
    command = [*compiler().command, f"-std={standard}", "-O0", "-Wall", "-Wextra", "-Wno-unknown-pragmas",
               *headers, "-idirafter", "firmware/ap_types", "firmware/tagger.cpp", "tb/tagger_test.cpp", "-o",
               "test.exe"]  # fmt: skip
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "", done.stderr[:2000]
    return folder / "test.exe"


def test_with_the_vendors_headers(tmp_path: Path) -> None:
    write(everything(), tmp_path, STREAM)
    assert run(compiled(tmp_path, "c++11", "-isystem", str(vendor_headers()))) == PASSED


@pytest.mark.slow
def test_images_with_the_vendors_headers(tmp_path: Path) -> None:
    write(spatial(), tmp_path, STREAM)
    assert run(compiled(tmp_path, "c++11", "-isystem", str(vendor_headers()))) == PASSED


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(80, 90))
def test_random_projects(seed: int, tmp_path: Path) -> None:
    """Widths at which every constant is a double."""
    graph = random_graph(seed, 30, widths=(1, 50), spatial=seed % 2 == 0, sequence=seed % 3 == 0)
    write(graph, tmp_path, STREAM, samples=20)
    assert run(compiled(tmp_path, "c++17")) == PASSED
    assert run(compiled(tmp_path, "c++11", "-isystem", str(vendor_headers()))) == PASSED


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with its testbench compiled by its own Makefile."""
    folder = tmp_path_factory.mktemp("streams")
    write(block(8), folder, STREAM)
    done = subprocess.run(["make", "-s", "csim", "CXXFLAGS=-O0"], cwd=folder, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (*PASSED, "")
    return folder


def block(rows: int) -> Graph:
    """A residual block: two convolutions, and a way around them."""
    b = Builder(np.random.default_rng(3))
    b.nodes.append(source("x", (rows, 6, 2)))
    plain = {"strides": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "input_dilation": (1, 1)}
    x = first = b.add(Relu(), [b.nodes[0]], OF)
    for _ in range(2):
        x = b.add(Conv(b.tensor((3, 3, 2, 2), OF), None, OF, **plain), [x], OF)
    b.add(Merge("add"), [first, x], OF)
    return verify(Graph("block", tuple(b.nodes), (b.nodes[-1].name,)))


def test_the_testbench_finds_a_wrong_output(project: Path, tmp_path: Path) -> None:
    inputs, outputs = ((project / name).read_text() for name in (INPUTS, OUTPUTS))
    lines = outputs.splitlines()
    first, rest = lines[7].split(maxsplit=1)
    (tmp_path / Path(INPUTS).name).write_text(inputs)
    (tmp_path / Path(OUTPUTS).name).write_text("\n".join([*lines[:7], f"{int(first) + 1} {rest}", *lines[8:]]))
    code, told = run(project / "csim.exe", str(tmp_path))
    assert code == 1 and told.startswith("sample 7: ") and told.endswith("20 samples, 1 wrong values\n")


def test_the_testbench_finds_a_packet_too_many(tmp_path: Path) -> None:
    write(block(8), tmp_path, STREAM)
    file = tmp_path / "firmware" / "processes.h"
    written = "kbuild::write_packet(layer_merge4, 0, out_1);"
    assert written in file.read_text()
    file.write_text(file.read_text().replace(written, f"{written} if (pass == 5) {written}"))
    told = "ERROR: sample 0: packets are left or missing\n"
    assert run(compiled(tmp_path, "c++17")) == (1, told)


# ---- what is printed -------------------------------------------------------------------------------------------


def text_of(graph: Graph, path: str, target: Target = STREAM) -> str:
    text = emit(graph, target)[path]
    assert isinstance(text, str)
    return text


def test_every_fifo_has_its_depth_and_every_process_runs() -> None:
    graph = block(8)
    made, top = network(graph), text_of(graph, "firmware/tagger.cpp")
    assert "#pragma HLS DATAFLOW\n" in top
    inner = [fifo for fifo in made.fifos if not fifo.is_port]
    assert {f.name: str(f.depth) for f in inner} == dict(re.findall(r"STREAM variable=(\w+) depth=(\d+)\n", top))
    assert max(fifo.depth for fifo in inner) > 20
    ports = [fifo.name for fifo in made.fifos if fifo.is_port]
    assert re.findall(r"INTERFACE axis port=(\w+)", top) == ports == ["stream_x", "stream_merge4"]
    called = re.findall(r"^    (\w+)\(.*\);$", top, re.MULTILINE)
    assert called == [process.name for process in made.processes]
    defined = re.findall(r"^static void (\w+)\(", text_of(graph, "firmware/processes.h"), re.MULTILINE)
    assert defined == called


def test_vivado_and_vitis_differ_in_spelling_only() -> None:
    graph = block(8)
    vitis, vivado = emit(graph, STREAM), emit(graph, replace(STREAM, backend="Vivado"))
    differing = {path for path in vitis if vitis[path] != vivado[path]}
    assert differing == {"project.tcl", "settings.tcl", "firmware/tagger.cpp"}
    pack = re.compile(r"#pragma HLS (DATA_PACK|AGGREGATE) .*\n")
    one, other = (pack.sub("", str(files["firmware/tagger.cpp"])) for files in (vitis, vivado))
    assert one == other


def test_the_text_does_not_grow_with_the_image() -> None:
    small, large = emit(block(8), STREAM), emit(block(80), STREAM)
    assert small.keys() == large.keys()
    for path in small:
        if path.startswith("firmware/"):
            assert len(large[path]) < 1.02 * len(small[path])


def test_emitting_twice_gives_the_same_bytes_and_hostile_names_stay_outside() -> None:
    bad = '*/ \n#include "/etc/passwd" \\\n[exec rm]'
    graph = everything()
    renamed = graph.with_nodes(replace(node, layer=Layer(bad, bad)) for node in graph)
    assert emit(renamed, STREAM) == emit(graph, STREAM) == emit(everything(), STREAM)


@pytest.mark.parametrize("name", ["stream_x", "packet_x", "process_dense2", "clone_x", "copy_1_x", "processes"])
def test_a_project_cannot_be_called_like_something_inside(name: str) -> None:
    with pytest.raises(RecipeError, match=f"ProjectName: {name} is a name inside the design as well"):
        emit(everything(), replace(STREAM, project_name=name))
