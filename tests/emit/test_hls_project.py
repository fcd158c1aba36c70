"""The emitted Vivado and Vitis projects compile, compute what the emulator computes, and fail when they should."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hls_projects import OF, TARGET, everything, run, sequences, source, spatial, vendor_headers, write
from random_graphs import Builder, random_graph

from kbuild.config.backends import load_backend
from kbuild.emit import emit
from kbuild.emit.hls.design import Constant, broadcast, moved, unit_type
from kbuild.emit.hls.design import spatial as windows_per_axis
from kbuild.emit.hls.steps import STEPS
from kbuild.emit.hls.testbench import INPUTS, OUTPUTS
from kbuild.emit.hls.weights import literals
from kbuild.errors import RecipeError, UnsupportedModel
from kbuild.fixed import FixedType
from kbuild.ir import Graph, Layer, Node, Tensor, verify
from kbuild.ops.conv import Conv
from kbuild.ops.dense import Dense
from kbuild.ops.einsum import Einsum
from kbuild.ops.identity import Identity
from kbuild.ops.merge import Merge
from kbuild.ops.multipliers import STRATEGIES, legal_reuse_factors, resource_step
from kbuild.ops.pool import Pool
from kbuild.tools.cxx import compiler


def compile_project(folder: Path, standard: str, headers: Path) -> Path:
    command = [*compiler().command, f"-std={standard}", "-O0", "-Wall", "-Wextra", "-Wno-unknown-pragmas", "-isystem",
               str(headers), "firmware/tagger.cpp", "tb/tagger_test.cpp", "-o", "test.exe"]  # fmt: skip
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "", done.stderr[:2000]
    return folder / "test.exe"


def test_with_the_vendors_headers(tmp_path: Path) -> None:
    """In C++11 as Vivado HLS has it, and with the header that defines what `ap_fixed` means."""
    write(everything(), tmp_path)
    assert run(compile_project(tmp_path, "c++11", vendor_headers())) == (0, "20 samples, 0 wrong values\n")


@pytest.mark.slow
def test_sequences_with_the_vendors_headers(tmp_path: Path) -> None:
    write(sequences(), tmp_path)
    assert run(compile_project(tmp_path, "c++11", vendor_headers())) == (0, "20 samples, 0 wrong values\n")


@pytest.mark.slow
def test_images_with_the_vendors_headers(tmp_path: Path) -> None:
    write(spatial(), tmp_path)
    assert run(compile_project(tmp_path, "c++11", vendor_headers())) == (0, "20 samples, 0 wrong values\n")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with its testbench compiled by its own Makefile."""
    folder = tmp_path_factory.mktemp("project")
    write(everything(), folder)
    done = subprocess.run(["make", "-s", "csim", "CXXFLAGS=-O0"], cwd=folder, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "20 samples, 0 wrong values\n", "")
    return folder


def changed(project: Path, folder: Path, inputs: str | None, outputs: str | None) -> tuple[int, str]:
    """The testbench on other vectors; None: no such file."""
    for name, text in ((INPUTS, inputs), (OUTPUTS, outputs)):
        if text is not None:
            (folder / Path(name).name).write_text(text)
    return run(project / "csim.exe", str(folder))


def test_a_wrong_output_is_found(project: Path, tmp_path: Path) -> None:
    inputs, outputs = (project / INPUTS).read_text(), (project / OUTPUTS).read_text()
    lines = outputs.splitlines()
    words = lines[7].split()
    words[5] = str(int(words[5]) + 1)
    lines[7] = " ".join(words)
    code, told = changed(project, tmp_path, inputs, "\n".join(lines) + "\n")
    assert code == 1 and told.startswith("sample 7: ") and told.endswith("20 samples, 1 wrong values\n")


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda i, o: (None, o), "cannot be read"),
        (lambda i, o: (i, None), "cannot be read"),
        (lambda i, o: ("", ""), "ERROR: 0 input samples, and not as many outputs"),
        (lambda i, o: ("", o), "ERROR: 0 input samples, and not as many outputs"),
        (lambda i, o: (i, o + o), "ERROR: 20 input samples, and not as many outputs"),
        (lambda i, o: (i + i, o), "the vectors of sample 20 are malformed"),
        (lambda i, o: (i.replace("\n", " 1\n"), o), "the vectors of sample 0 are malformed"),
        (lambda i, o: (i, o.replace("\n", " 1\n")), "the vectors of sample 0 are malformed"),
        (lambda i, o: ("x" + i[1:], o), "the vectors of sample 0 are malformed"),
        (lambda i, o: (i, "- " + o.split(" ", 1)[1]), "the vectors of sample 0 are malformed"),
        (lambda i, o: (i, "1.5 " + o.split(" ", 1)[1]), "the vectors of sample 0 are malformed"),
    ],
)
def test_wrong_vectors_fail(project: Path, tmp_path: Path, harm, message: str) -> None:  # type: ignore[no-untyped-def]
    inputs, outputs = harm((project / INPUTS).read_text(), (project / OUTPUTS).read_text())
    code, told = changed(project, tmp_path, inputs, outputs)
    assert code == 1 and message in told


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(60, 70))
def test_random_projects_of_images(seed: int, tmp_path: Path) -> None:
    write(random_graph(seed, 30, widths=(1, 50), spatial=True), tmp_path, samples=5)
    assert run(compile_project(tmp_path, "c++17", tmp_path / "firmware" / "ap_types"))[0] == 0
    assert run(compile_project(tmp_path, "c++11", vendor_headers()))[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(70, 80))
def test_random_projects_of_sequences(seed: int, tmp_path: Path) -> None:
    write(random_graph(seed, 30, widths=(1, 40), sequence=True), tmp_path, samples=5)
    assert run(compile_project(tmp_path, "c++17", tmp_path / "firmware" / "ap_types"))[0] == 0
    assert run(compile_project(tmp_path, "c++11", vendor_headers()))[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40, 60))
def test_random_projects(seed: int, tmp_path: Path) -> None:
    """Widths at which every constant is a double."""
    write(random_graph(seed, 30, widths=(1, 50)), tmp_path)
    assert run(compile_project(tmp_path, "c++17", tmp_path / "firmware" / "ap_types"))[0] == 0
    assert run(compile_project(tmp_path, "c++11", vendor_headers()))[0] == 0


# ---- what is printed -------------------------------------------------------------------------------------------


def chain(*strategies: tuple[str, int]) -> Graph:
    b = Builder(np.random.default_rng(3))
    b.nodes.append(source("x", (4,)))
    for strategy, reuse in strategies:
        b.add(Dense(b.tensor((4, 4), OF), None, OF, strategy, reuse), [b.nodes[-1]], OF)
    return verify(Graph("chain", tuple(b.nodes), (b.nodes[-1].name,)))


def top_of(graph: Graph) -> str:
    text = emit(graph, TARGET)["firmware/tagger.cpp"]
    assert isinstance(text, str)
    return text


def test_the_top_function_is_one_pipeline_or_processes() -> None:
    assert "#pragma HLS PIPELINE II=1\n" in top_of(chain(("latency", 1), ("unrolled", 1)))
    assert "#pragma HLS PIPELINE II=8\n" in top_of(chain(("latency", 2), ("latency", 8)))
    resource = top_of(chain(("resource", 2), ("latency", 1)))
    assert "#pragma HLS DATAFLOW\n" in resource and "PIPELINE" not in resource
    branched = chain(("resource", 2), ("resource", 2))
    both = Node("both", Merge("add"), tuple(n.name for n in branched.nodes[1:]), (4,), Layer("both", "Add"), OF)
    branched = verify(Graph("branched", (*branched.nodes, both), ("both",)))
    assert "DATAFLOW" not in top_of(branched) and "PIPELINE" not in top_of(branched)


def test_products_of_values_are_part_of_the_pipeline_or_take_turns() -> None:
    def text(strategy: str, reuse: int) -> str:
        b = Builder(np.random.default_rng(3))
        b.nodes += [source("x", (2, 3)), source("z", (3, 4))]
        b.add(Einsum("ab,bc->ac", None, None, b.type(), strategy, reuse), b.nodes[:2], OF)
        b.add(Dense(b.tensor((4, 4), OF), None, OF, "latency", 2), [b.nodes[-1]], OF)
        return top_of(verify(Graph("products", tuple(b.nodes), (b.nodes[-1].name,))))

    assert "#pragma HLS PIPELINE II=6\n" in text("latency", 6) and "einsum_latency<" in text("latency", 6)
    assert "PIPELINE" not in text("resource", 6) and "einsum_resource<" in text("resource", 6)


def test_convolutions_are_processes_whose_text_does_not_grow_with_the_image() -> None:
    b = Builder(np.random.default_rng(1))
    b.nodes.append(source("x", (6, 6, 1)))
    weight, none = b.tensor((3, 3, 1, 2), OF), ((0, 0), (0, 0))
    b.add(Conv(weight, strides=(1, 1), padding=none, dilation=(1, 1), input_dilation=(1, 1)), [b.nodes[0]], OF)
    b.add(Pool("max", (2, 2), (2, 2), none), [b.nodes[1]], OF)
    assert "#pragma HLS DATAFLOW\n" in top_of(verify(Graph("images", tuple(b.nodes), (b.nodes[-1].name,))))
    small, large = (emit(spatial(rows), TARGET) for rows in (5, 50))
    assert small.keys() == large.keys()
    for path in small:
        if path.startswith("firmware/") and "weights" not in path:
            assert len(large[path]) < 1.05 * len(small[path])  # ten times the positions: more digits only


def test_every_port_has_its_interface() -> None:
    graph = everything()
    text = top_of(graph)
    header = text.split("void tagger(")[1].split(")")[0]
    names = [word.split()[1].split("[")[0] for word in header.split(", ")]
    assert len(names) == len(set(names)) == len(graph.inputs) + len(graph.outputs)
    for name in names:
        assert text.count(f"#pragma HLS INTERFACE ap_vld port={name}\n") == 1


def test_emitting_twice_gives_the_same_bytes() -> None:
    assert emit(everything(), TARGET) == emit(everything(), TARGET)


def test_vivado_and_vitis_differ_in_their_settings_only() -> None:
    vitis, vivado = emit(everything(), TARGET), emit(everything(), replace(TARGET, backend="Vivado"))
    assert {path for path in vitis if vitis[path] != vivado[path]} == {"project.tcl", "settings.tcl"}


def test_hostile_names_stay_outside() -> None:
    bad = '*/ \n#include "/etc/passwd" \\\n[exec rm]'
    graph = everything()
    renamed = graph.with_nodes(replace(node, layer=Layer(bad, bad)) for node in graph)
    assert emit(renamed, TARGET) == emit(graph, TARGET)
    with pytest.raises(UnsupportedModel, match="not the name of a part"):
        emit(graph, replace(TARGET, part="x; exec rm"))


NAMES = ["layer_x", "type_x", "weight_dense2", "config_dense2", "defines", "Parameters", "kbuild"]


@pytest.mark.parametrize("name", NAMES)
def test_a_project_cannot_be_called_like_something_inside(name: str) -> None:
    graph = everything()
    with pytest.raises(RecipeError, match=f"ProjectName: {name} is a name inside the design as well"):
        emit(graph, replace(TARGET, project_name=name))


def test_what_cannot_be_printed_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing is printed for the backend Quartus"):
        emit(everything(), replace(TARGET, backend="Quartus"))


@pytest.mark.parametrize("backend", ["Vivado", "Vitis"])
def test_the_capability_tables_name_what_has_kernels(backend: str) -> None:
    able = load_backend(backend)
    assert set(able.ops) == {*STEPS, "input"}
    assert able.strategies == {kind: STRATEGIES for kind in ("dense", "conv", "einsum", "simple_rnn", "lstm", "gru")}


# ---- parts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1, 8, 53])
def test_literals_are_exact(width: int) -> None:
    rng = np.random.default_rng(width)
    for integer in (-1000, -60, 0, 3, width, 300):
        of = FixedType(width, integer)
        q = rng.integers(of.min, of.max + 1, 20)
        for value, literal in zip(q.tolist(), literals(Constant("w", Tensor(q, of))), strict=True):
            assert Fraction(float(literal)) == int(value) * of.lsb


def test_constants_that_no_double_holds_are_refused() -> None:
    for of, q in ((FixedType(60, 1), (1 << 58) + 1), (FixedType(8, -1200), 3), (FixedType(8, 1200), 3)):
        with pytest.raises(UnsupportedModel, match=r"the constant w of type .* more than 53 significant bits"):
            literals(Constant("w", Tensor(np.array([q]), of)))
    with pytest.raises(UnsupportedModel):
        literals(Constant("w", Tensor(np.array([1 << 64], dtype=object), FixedType(66, 66)), integer=True))
    top = Constant("w", Tensor(np.array([(1 << 64) - 1], dtype=object), FixedType(64, 64, False)), integer=True)
    assert literals(top) == ["18446744073709551615ULL"]


def test_broadcast_is_that_of_numpy() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        shape = tuple(int(n) for n in rng.integers(1, 4, size=rng.integers(1, 5)))
        operands = {name: tuple(n if rng.random() < 0.5 else 1 for n in shape[int(rng.integers(len(shape))) :])
                    for name in "ab"}
        loops = broadcast(shape, **operands)
        sizes = [loops[f"size{i}"] for i in range(4)]
        assert np.prod(sizes) == np.prod(shape)
        for name, operand in operands.items():
            values = np.arange(np.prod(operand)).reshape(operand)
            strides = [loops[f"{name}{i}"] for i in range(4)]
            found = [sum(i * s for i, s in zip(index, strides, strict=True))
                     for index in itertools.product(*map(range, sizes))]
            assert np.broadcast_to(values, shape).ravel().tolist() == found


def test_too_many_axes_are_refused() -> None:
    with pytest.raises(UnsupportedModel, match="its size has 4 axes, and the HLS kernels loop over 3"):
        windows_per_axis(size=(1, 1, 1, 1))
    with pytest.raises(UnsupportedModel, match="its factor has 5 axes, and the HLS kernels loop over 4"):
        moved(factor=(1, 1, 1, 1, 2))


def test_too_many_alternating_axes_are_refused() -> None:
    with pytest.raises(UnsupportedModel, match="needs more than 4 nested loops"):
        broadcast((2, 2, 2, 2, 2), a=(2, 1, 2, 1, 2), b=(1, 2, 1, 2, 1))


def test_the_resource_kernel_has_every_legal_reuse_factor() -> None:
    for inputs, outputs in itertools.product(range(1, 13), repeat=2):
        legal = legal_reuse_factors("resource", inputs, outputs)
        for reuse in range(1, inputs * outputs + 1):
            if reuse in legal:
                lanes, depth = resource_step(inputs, outputs, reuse)
                assert lanes * depth * reuse == inputs * outputs
                assert outputs % lanes == 0 and inputs % depth == 0 and (lanes == outputs or depth == 1)
            else:
                with pytest.raises(ValueError, match="does not split"):
                    resource_step(inputs, outputs, reuse)


def test_units_are_powers_of_two() -> None:
    for exponent in (-1200, -3, 0, 5, 1200):
        spelled = unit_type(exponent).replace("ap_ufixed", "ufixed")
        assert FixedType.parse(spelled).lsb == Fraction(2) ** exponent


def test_an_identity_of_an_input_is_a_project(tmp_path: Path) -> None:
    node = Node("y", Identity(), ("x",), (3,), Layer("y", "Activation"), FixedType(70, 30))
    write(verify(Graph("copy", (source("x", (3,)), node), ("y",))), tmp_path)
    assert run(compile_project(tmp_path, "c++17", tmp_path / "firmware" / "ap_types"))[0] == 0


# ---- scripts ---------------------------------------------------------------------------------------------------

FAKE = """
foreach name {open_project set_top add_files open_solution set_part create_clock set_clock_uncertainty
              config_array_partition config_compile config_schedule csim_design csynth_design cosim_design
              export_design read_vhdl synth_design opt_design report_utilization report_timing_summary} {
    proc $name {args} "puts \\[concat $name \\$args\\]; if {\\$::fails eq {$name}} {error {$name failed}}"
}
proc get_ports {name} { return $name }
set fails [lindex $argv 0]
set script [lindex $argv 1]
set argv [lrange $argv 2 end]
source $script
"""


def tcl(folder: Path, script: str, *options: str, fails: str = "") -> tuple[int, list[str], str]:
    """A script under stand-ins for the tool's commands, which print what they are given."""
    if not shutil.which("tclsh"):
        pytest.skip("no tclsh on PATH")
    (folder / "fake.tcl").write_text(FAKE)
    done = subprocess.run(["tclsh", "fake.tcl", fails, script, *options], cwd=folder, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if not line.startswith("*****")]
    return done.returncode, [line.replace(str(folder), ".") for line in lines], done.stderr


@pytest.mark.parametrize("backend", ["Vivado", "Vitis"])
def test_build_script(backend: str, tmp_path: Path) -> None:
    write(chain(("latency", 1)), tmp_path, replace(TARGET, backend=backend))
    options = ("-f build_prj.tcl", "reset=1 csim=1", "synth=1", "cosim=1", "export=1")
    code, lines, _ = tcl(tmp_path, "build_prj.tcl", *options)
    assert code == 0
    solution = {"Vivado": "-reset solution1", "Vitis": "-reset -flow_target vivado solution1"}[backend]
    settings = [line for line in lines if line.startswith("config_")]
    assert [line for line in lines if line not in settings] == [
        "open_project -reset tagger_prj",
        "set_top tagger",
        "add_files firmware/tagger.cpp -cflags -std=c++0x",
        "add_files -tb tb/tagger_test.cpp -cflags -std=c++0x",
        f"open_solution {solution}",
        "set_part xcvu13p-flga2577-2-e",
        "create_clock -period 5.0 -name default",
        "set_clock_uncertainty 1.35 default",
        "csim_design -argv ./tb",
        "csynth_design",
        "cosim_design -rtl verilog -argv ./tb",
        "export_design -format ip_catalog -version 1.0.0",
    ]
    assert ("config_array_partition -maximum_size 4096" in settings) == (backend == "Vivado")


def test_build_script_runs_what_is_asked_for(tmp_path: Path) -> None:
    write(chain(("latency", 1)), tmp_path)
    code, lines, _ = tcl(tmp_path, "build_prj.tcl", "csim=0 synth=1")
    assert code == 0 and lines[-1] == "csynth_design" and not [line for line in lines if "csim" in line]
    assert lines[0] == "open_project tagger_prj"


@pytest.mark.parametrize("fails", ["open_project", "set_part", "csim_design", "csynth_design", "cosim_design"])
def test_build_script_fails_where_a_step_fails(fails: str, tmp_path: Path) -> None:
    write(chain(("latency", 1)), tmp_path)
    code, lines, told = tcl(tmp_path, "build_prj.tcl", "cosim=1", fails=fails)
    assert code == 1 and told == f"ERROR: {fails} failed\n" and lines[-1].startswith(fails)


def test_build_script_refuses_unknown_options(tmp_path: Path) -> None:
    write(chain(("latency", 1)), tmp_path)
    assert tcl(tmp_path, "build_prj.tcl", "cosimulate=1") == (
        1, [], "ERROR: there is no option cosimulate; there are cosim csim export reset synth vsynth\n")  # fmt: skip
    assert tcl(tmp_path, "build_prj.tcl", "synth=yes") == (1, [], "ERROR: option synth is yes; it is 0 or 1\n")


def test_logic_synthesis_script(tmp_path: Path) -> None:
    write(chain(("latency", 1)), tmp_path)
    assert tcl(tmp_path, "vivado_synth.tcl")[0] == 1
    rtl = tmp_path / "tagger_prj" / "solution1" / "syn" / "vhdl"
    rtl.mkdir(parents=True)
    (rtl / "tagger.vhd").write_text("")
    code, lines, _ = tcl(tmp_path, "vivado_synth.tcl")
    assert code == 0 and lines == [
        "read_vhdl ./tagger_prj/solution1/syn/vhdl/tagger.vhd",
        "synth_design -top tagger -part xcvu13p-flga2577-2-e -mode out_of_context",
        "create_clock -name ap_clk -period 5.0 ap_clk",
        "opt_design -retarget -propconst -sweep -bram_power_opt -shift_register_opt",
        "report_utilization -file ./vivado_synth.rpt",
        "report_timing_summary -file ./vivado_timing.rpt",
    ]
    assert tcl(tmp_path, "vivado_synth.tcl", fails="synth_design")[::2] == (1, "ERROR: synth_design failed\n")
