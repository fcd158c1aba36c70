"""nextpnr: command lines, reports and failures with fake ones; a real iCE40 from Verilog to a bitstream."""

import json
from pathlib import Path

import pytest

from kbuild.config.parts import find_part
from kbuild.errors import MissingTool, StageError
from kbuild.report.records import Resources, SynthesisReport, Timing
from kbuild.tools import nextpnr, yosys

ECP5, ICE40 = "LFE5U-85F-6BG381C", "iCE40UP5K-SG48"
REPORT = Path(__file__).parent / "data" / "nextpnr_report.json"


def synthesized(part: str, **changes) -> SynthesisReport:
    return SynthesisReport(tool="yosys", version="0.33", part=part, source="yosys", timing=Timing(None, 10, None),
                           resources=Resources(700, 300, 0, 0, {"lut": 1, "ff": 5280, "dsp": 1, "bram": 1}), **changes)


def place(folder: Path, part: str = ECP5, **options) -> SynthesisReport:
    (folder / "netlist.json").write_text("{}")
    return nextpnr.place_and_route(synthesized(part), find_part(part), workdir=folder,
                                   netlist=folder / "netlist.json", project=folder, **options)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("LFE5U-85F-6BG381C", "--85k --package CABGA381 --speed 6"),
        ("LFE5U-12F-8TG144I", "--12k --package TQFP144 --speed 8"),
        ("LFE5U-25F-7MG285C", "--25k --package CSFBGA285 --speed 7"),
        ("LFE5UM-45F-7BG554C", "--um-45k --package CABGA554 --speed 7"),
        ("LFE5UM5G-85F-8BG756C", "--um5g-85k --package CABGA756 --speed 8"),
        ("LFE5UM5G-25F", "--um5g-25k --package CABGA381 --speed 8"),
        ("lfe5u-45f", "--45k --package CABGA381 --speed 6"),
        ("iCE40UP5K-SG48", "--up5k --package sg48"),
        ("iCE40-UP5K-SG48", "--up5k --package sg48"),
        ("iCE40HX8K-CT256", "--hx8k --package ct256"),
        ("ice40-HX1K-TQ144", "--hx1k --package tq144"),
        ("iCE40LP384", "--lp384 --package qn32"),
        ("iCE40LP1K-CM121", "--lp1k --package cm121"),
    ],
)
def test_device_of_a_part_name(part, expected):
    assert " ".join(nextpnr.device_arguments(find_part(part))) == expected


def test_command_lines():
    assert nextpnr.arguments(find_part(ECP5), 5, 7, "netlist.json", None) == [
        "--85k", "--package", "CABGA381", "--speed", "6", "--json", "netlist.json", "--freq", "200", "--seed", "7",
        "--timing-allow-fail", "--report", "nextpnr.json", "--out-of-context"]
    assert nextpnr.arguments(find_part(ICE40), 30, 1, "n.json", "pins.pcf") == [
        "--up5k", "--package", "sg48", "--json", "n.json", "--freq", "33.3333", "--seed", "1",
        "--timing-allow-fail", "--report", "nextpnr.json", "--pcf", "pins.pcf", "--asc", "design.config"]
    assert nextpnr.arguments(find_part(ECP5), 5, 1, "n.json", "pins.lpf")[-4:] == [
        "--lpf", "pins.lpf", "--textcfg", "design.config"]
    assert "--pcf" not in nextpnr.arguments(find_part(ICE40), 5, 1, "n.json", None)


def test_families_that_cannot_be_placed():
    part = find_part("xc7a100tcsg324-1")
    assert not nextpnr.supports(part) and nextpnr.supports(find_part(ECP5))
    with pytest.raises(StageError, match=r"not for xc7a100tcsg324-1 .*; set Synthesis\.place_and_route to false"):
        nextpnr.family_of(part)


# -- fake ones -----------------------------------------------------------------------

NEXTPNR = """
if '--version' in argv:
    print('"nextpnr-ecp5" -- Next Generation Place and Route (Version nextpnr-0.7-13-gabc)', file=sys.stderr)
else:
    shutil.copy(DATA / 'nextpnr_report.json', argv[argv.index('--report') + 1])
    for option in ('--textcfg', '--asc'):
        if option in argv: open(argv[argv.index(option) + 1], 'w').write('configuration')
"""
PACKER = "open(argv[1], 'w').write('bits of ' + open(argv[0]).read())"


def test_placed_without_pins(fake, tmp_path):
    fake("nextpnr-ecp5", NEXTPNR)
    report = place(tmp_path)
    assert (report.tool, report.version, report.source) == ("nextpnr-ecp5", "0.7-13-gabc", "nextpnr")
    assert report.resources == Resources(1740, 372, 3, 4, {"lut": 83640, "ff": 83640, "dsp": 156, "bram": 208})
    assert report.timing == Timing(112.5, 10, True)  # of 100 MHz; the other clock is further above its goal
    assert report.bitstream is None
    assert report.notes == (nextpnr.ECP5.note,)


def test_flip_flops_of_ice40_are_those_of_the_netlist(fake, tmp_path):
    fake("nextpnr-ice40", NEXTPNR)
    report = place(tmp_path, ICE40)
    assert report.resources == Resources(900, 300, 2, 1, {"lut": 5280, "ff": 5280, "dsp": 8, "bram": 30})


@pytest.mark.parametrize(("part", "packer"), [(ECP5, "ecppack"), (ICE40, "icepack")])
def test_pins_make_a_bitstream(fake, tmp_path, part, packer):
    fake(f"nextpnr-{'ecp5' if part == ECP5 else 'ice40'}", NEXTPNR)
    fake(packer, PACKER)
    pins = tmp_path / "my pins.txt"
    pins.write_text("pins")
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "netlist.json").write_text("{}")
    report = nextpnr.place_and_route(synthesized(part), find_part(part), workdir=tmp_path / "work", constraints=pins,
                                     netlist=tmp_path / "work" / "netlist.json", project=tmp_path)
    assert report.bitstream == "work/design.bit"
    assert (tmp_path / report.bitstream).read_text() == "bits of configuration"
    assert (tmp_path / "work" / f"pins.{'lpf' if part == ECP5 else 'pcf'}").read_text() == "pins"


@pytest.mark.parametrize(("achieved", "met"), [(100.0, True), (99.99, False)])
def test_the_worst_clock_decides(tmp_path, achieved, met):
    document = json.loads(REPORT.read_text())
    document["fmax"]["$glbnet$clk"]["achieved"] = achieved
    (tmp_path / "r.json").write_text(json.dumps(document))
    report = nextpnr.read_report(tmp_path / "r.json", nextpnr.ECP5, synthesized(ECP5), find_part(ECP5))
    assert report.timing == Timing(achieved, 10, met)


def test_no_clock_no_fmax_and_a_part_too_small(tmp_path):
    document = json.loads(REPORT.read_text())
    document["fmax"] = {}
    document["utilization"]["MULT18X18D"]["used"] = 157
    (tmp_path / "r.json").write_text(json.dumps(document))
    before = synthesized(ECP5, notes=("kept", "does not fit: 700 LUT of the 1 that x has"))
    report = nextpnr.read_report(tmp_path / "r.json", nextpnr.ECP5, before, find_part(ECP5))
    assert report.timing == Timing(None, 10, None)
    assert report.notes == ("kept", f"does not fit: 157 DSP of the 156 that {ECP5} has")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("print('Info: x\\nERROR: Unable to place cell, no BELs remaining\\n0 warnings, 1 error'); sys.exit(1)",
         r"failed \(exit code 1\):\n  ERROR: Unable to place cell, no BELs remaining\n  log: nextpnr\.log"),
        ("os.kill(os.getpid(), 6)", "was ended by SIGABRT"),
        ("time.sleep(99)", r"still running after 0\.5 s"),
        ("pass", r"nextpnr\.json: No such file or directory; expected what nextpnr's --report writes"),
        ("open('nextpnr.json', 'w').write((DATA / 'nextpnr_report.json').read_text()[:200])", "is damaged"),
        ("open('nextpnr.json', 'w').write('{\"fmax\": {}, \"utilization\": {}}')", "is damaged"),
        ("open('nextpnr.json', 'w').write('{\"fmax\": [], \"utilization\": null}')", "is damaged"),
        ("open('nextpnr.json', 'wb').write(os.urandom(100))", "is damaged"),
    ],
)
def test_failures(fake, tmp_path, body, message):
    fake("nextpnr-ecp5", body)
    (tmp_path / "nextpnr.json").write_text(REPORT.read_text())  # of an earlier run: it must not count
    with pytest.raises(StageError, match=message):
        place(tmp_path, timeout=0.5 if "sleep" in body else None)


def test_missing_packer_is_found_out_before_hours_of_routing(fake, tmp_path, monkeypatch):
    path = fake("nextpnr-ecp5", NEXTPNR)
    monkeypatch.setenv("PATH", str(path.parent))
    monkeypatch.setattr("kbuild.tools.process._from_wheel", lambda _: None)
    (tmp_path / "pins.lpf").write_text("")
    with pytest.raises(MissingTool, match=r"ecppack is not on this machine .* pip install \"kbuild\[pnr\]\""):
        place(tmp_path, constraints=tmp_path / "pins.lpf")
    assert not (path.parent / "calls.txt").exists()


# -- the real ones -------------------------------------------------------------------

BLINK = """\
module blink (input wire clk, output wire led);
  reg [7:0] count = 0;
  always @(posedge clk) count <= count + 1;
  assign led = count[7];
endmodule
"""


def blink(folder: Path, part: str, constraints: str | None) -> SynthesisReport:
    (folder / "blink.v").write_text(BLINK)
    known = find_part(part)
    report = yosys.synthesize([folder / "blink.v"], "blink", known, workdir=folder / "work", clock_period_ns=20,
                              project=folder)
    pins = None
    if constraints is not None:
        pins = folder / "pins"
        pins.write_text(constraints)
    return nextpnr.place_and_route(report, known, workdir=folder / "work", netlist=folder / "work" / "netlist.json",
                                   constraints=pins, project=folder)


def test_real_ice40_to_a_bitstream(tmp_path):
    report = blink(tmp_path, ICE40, "set_io clk 35\nset_io led 39\n")
    assert report.timing.met and report.timing.fmax_mhz > 50
    assert 8 <= report.resources.lut <= 16 and report.resources.ff == 8
    assert report.bitstream == "work/design.bit"
    assert (tmp_path / report.bitstream).stat().st_size > 10_000


def test_real_ice40_with_a_wrong_pin(tmp_path):
    with pytest.raises(StageError, match=r"ERROR: .*99"):
        blink(tmp_path, ICE40, "set_io clk 99\nset_io led 39\n")


def test_real_ice40_without_pins(tmp_path):
    report = blink(tmp_path, "iCE40HX8K-CT256", None)
    assert report.timing.met and report.notes == (nextpnr.ICE40.note,)


@pytest.mark.slow
def test_real_ecp5_out_of_context_and_to_a_bitstream(tmp_path):
    report = blink(tmp_path, ECP5, None)
    assert report.timing.met and report.resources.ff == 8 and report.bitstream is None
    pins = "\n".join(f'LOCATE COMP "{name}" SITE "{site}";\nIOBUF PORT "{name}" IO_TYPE=LVCMOS33;'
                     for name, site in (("clk", "P3"), ("led", "E16")))
    report = blink(tmp_path, ECP5, pins)
    assert report.timing.met and (tmp_path / report.bitstream).stat().st_size > 100_000
