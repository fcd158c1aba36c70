"""Vitis HLS, Vivado HLS and Vivado: fake programs that succeed, fail, hang, vanish or leave bad reports."""

import json
from pathlib import Path

import pytest

from kbuild.errors import MissingTool, StageError
from kbuild.report.records import Resources, Timing
from kbuild.tools import vitis_hls, vivado
from kbuild.tools.process import find, run, version
from kbuild.tools.vitis_hls import Steps

DATA = Path(__file__).parent / "data"
VU13P = {"lut": 1728000, "ff": 3456000, "dsp": 12288, "bram": 5376}

HLS = """
if '-version' in argv:
    print('Vitis HLS - High-Level Synthesis from C, C++ and OpenCL v2023.1 (64-bit)')
    sys.exit()
report = pathlib.Path('myproject_prj/solution1/syn/report/myproject_csynth.xml')
report.parent.mkdir(parents=True, exist_ok=True)
shutil.copy(DATA / 'csynth_vitis.xml', report)
"""
VIVADO = """
if '-version' in argv:
    print('vivado v2023.1 (64-bit)')
    sys.exit()
shutil.copy(DATA / 'utilization_ultrascale.rpt', 'vivado_synth.rpt')
shutil.copy(DATA / 'timing_met.rpt', 'vivado_timing.rpt')
"""


def last_call(folder: Path) -> list[str]:
    return json.loads((folder / "bin" / "calls.txt").read_text().splitlines()[-1])


# -- C synthesis ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("backend", "name", "expected"),
    [
        ("Vitis", "vitis_hls", ["-f", "run_build.tcl"]),
        ("Vitis", "vitis-run", ["--mode", "hls", "--tcl", "run_build.tcl"]),
        ("Vivado", "vivado_hls", ["-f", "run_build.tcl"]),
    ],
)
def test_command_lines(fake, backend, name, expected):
    path = fake(name)
    program = vitis_hls.hls(backend)
    assert program.command == (str(path),)
    assert vitis_hls.arguments(program, "run_build.tcl") == expected


def test_options_are_passed_by_a_script():
    assert vitis_hls.run_script(Steps()) == (
        "set argv {csim=0 synth=1 cosim=0 export=0 reset=1}\nsource build_prj.tcl\n")
    assert vitis_hls.run_script(Steps(csim=True, cosim=True, export=True, reset=False)) == (
        "set argv {csim=1 synth=1 cosim=1 export=1 reset=0}\nsource build_prj.tcl\n")


def test_options_are_those_that_the_script_knows():
    from kbuild.resources import resource

    known = next(line for line in resource("backends", "hls", "project", "build_prj.tcl").read_text().splitlines()
                 if line.startswith("array set wanted"))
    assert all(word.split("=")[0] in known for word in Steps().words())


def test_a_good_run_of_vitis(fake, tmp_path):
    fake("vitis_hls", HLS)
    report = vitis_hls.build("Vitis", "myproject", folder=tmp_path)
    assert (report.tool, report.version, report.source, report.part) == (
        "vitis_hls", "2023.1", "vitis_hls", "xcvu13p-flga2577-2-e")
    assert report.resources == Resources(lut=14023, ff=2811, dsp=127, bram=4, available=VU13P)
    assert report.timing == Timing(pytest.approx(1000 / 3.625), 5.0, True)
    assert (report.latency_cycles, report.interval_cycles) == (12, 1)
    assert (tmp_path / "run_build.tcl").read_text() == vitis_hls.run_script(Steps())


def test_report_of_vivado_hls_with_unknown_latency_and_missed_clock():
    report = vitis_hls.read_csynth(DATA / "csynth_vivado.xml", tool="vivado_hls", tool_version="2019.2")
    assert report.resources.dsp == 127
    assert (report.latency_cycles, report.interval_cycles) == (None, None)
    assert report.timing.met is False  # 3.751 ns + 1.35 ns of uncertainty is more than 5 ns


def test_a_failing_run_shows_the_first_error(fake, tmp_path):
    fake("vitis_hls", "print((DATA / 'vitis_error.log').read_text()); sys.exit(1)")
    with pytest.raises(StageError) as error:
        vitis_hls.build("Vitis", "myproject", folder=tmp_path)
    assert str(error.value) == (
        "vitis_hls failed (exit code 1):\n"
        "  ERROR: [HLS 207-3771] no member named 'lut' in namespace 'kernels' (firmware/myproject.cpp:12:13)\n"
        "  log: build_prj.log"
    )


def test_a_hanging_run(fake, tmp_path):
    fake("vitis_hls", "time.sleep(99)")
    with pytest.raises(StageError, match=r"vitis_hls was still running after 0\.5 s"):
        vitis_hls.build("Vitis", "myproject", folder=tmp_path, timeout=0.5)


def test_a_program_that_vanishes(fake, tmp_path, monkeypatch):
    path = fake("vitis_hls", HLS)
    program = vitis_hls.hls("Vitis")
    monkeypatch.setattr(vitis_hls, "hls", lambda _: program)
    path.unlink()
    with pytest.raises(MissingTool, match="is gone or cannot be started now"):
        vitis_hls.build("Vitis", "myproject", folder=tmp_path)


@pytest.mark.parametrize("backend", ["Vitis", "Vivado"])
def test_missing(empty_path, tmp_path, backend):
    with pytest.raises(MissingTool, match=f"needed for synthesis with the backend {backend}.*AMD's download site"):
        vitis_hls.build(backend, "myproject", folder=tmp_path)


def leave(text: str) -> str:
    """A fake that leaves this as its report."""
    return HLS.replace("shutil.copy(DATA / 'csynth_vitis.xml', report)", f"report.write_text({text!r})")


GOOD = (DATA / "csynth_vitis.xml").read_text()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("pass", r"left no myproject_prj/solution1/syn/report/myproject_csynth\.xml \(No such file"),
        (leave(""), r"myproject_csynth\.xml of vitis_hls is damaged: no element found"),
        (leave(GOOD[:900]), r"is damaged: .*; expected XML with PerformanceEstimates"),
        (leave("\x00\x01 garbage"), "is damaged"),
        (leave("<html/>"), "is damaged: it has no UserAssignments/TargetClockPeriod"),
        (leave(GOOD.replace("<LUT>14023</LUT>", "")), "is damaged: it has no AreaEstimates/Resources/LUT"),
        (leave(GOOD.replace("3.625", "fast")), r"is damaged: .*EstimatedClockPeriod is 'fast', not a number"),
        (leave(GOOD.replace(">2811<", ">nan<")), "is damaged: AreaEstimates/Resources/FF is 'nan', not a number"),
    ],
)
def test_bad_reports(fake, tmp_path, body, message):
    fake("vitis_hls", body)
    stale = vitis_hls.report_path(tmp_path, "myproject")
    stale.parent.mkdir(parents=True)
    stale.write_text(GOOD)  # of an earlier run: it must not count
    with pytest.raises(StageError, match=message):
        vitis_hls.build("Vitis", "myproject", folder=tmp_path)


# -- logic synthesis -----------------------------------------------------------------


def after_hls():
    return vitis_hls.read_csynth(DATA / "csynth_vitis.xml", tool="vitis_hls", tool_version="2023.1")


def test_a_good_run_of_vivado(fake, tmp_path):
    fake("vivado", VIVADO)
    report = vivado.synthesize(after_hls(), folder=tmp_path)
    assert (report.tool, report.version, report.source, report.part) == (
        "vivado", "2023.1", "vivado", "xcvu13p-flga2577-2-e")
    assert report.resources == Resources(lut=9876, ff=2345, dsp=33, bram=5, available=VU13P)
    assert report.timing == Timing(250.0, 5.0, True)
    assert report.latency_cycles == 12


def test_command_line_of_vivado(fake, tmp_path):
    fake("vivado", VIVADO)
    run(find(vivado.VIVADO), vivado.arguments("x.tcl"), cwd=tmp_path, log=tmp_path / "log")
    assert last_call(tmp_path) == ["-mode", "batch", "-nojournal", "-nolog", "-notrace", "-source", "x.tcl"]


@pytest.mark.parametrize("banner", ["Vivado v2019.2 (64-bit)", "vivado v2024.1 (64-bit)\nTool Version Limit: 2024.05"])
def test_version_of_vivado(fake, banner):
    fake("vivado", f"print({banner!r})")
    assert version(find(vivado.VIVADO)) == banner.split("v20")[1].join(["20", ""]).split()[0]


def test_utilization_of_7_series():
    assert vivado.read_utilization(DATA / "utilization_7series.rpt") == Resources(
        12034, 4321, 80, 2, {"lut": 53200, "ff": 106400, "dsp": 220, "bram": 280})


def test_missed_clock():
    timing = vivado.read_timing(DATA / "timing_failed.rpt", 5.0)
    assert timing == Timing(pytest.approx(160.0), 5.0, False)


def test_design_without_a_constrained_path(tmp_path):
    text = (DATA / "timing_met.rpt").read_text().replace("      1.000  ", "         NA  ")
    (tmp_path / "t.rpt").write_text(text)
    assert vivado.read_timing(tmp_path / "t.rpt", 5.0) == Timing(None, 5.0, None)


def test_a_failing_run_of_vivado(fake, tmp_path):
    fake("vivado", "print('INFO: x\\nERROR: [Common 17-345] A valid license was not found for feature Synthesis')\n"
         "sys.exit(1)")
    with pytest.raises(StageError, match=r"ERROR: \[Common 17-345\] A valid license .*\n  log: vivado_synth\.log"):
        vivado.synthesize(after_hls(), folder=tmp_path)


def cut(file: str, end: str) -> str:
    text = (DATA / file).read_text()
    return text[: text.index(end)]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("vivado_synth.rpt", None, r"left no vivado_synth\.rpt"),
        ("vivado_synth.rpt", "", r"vivado_synth\.rpt of vivado is damaged: expected a row CLB LUTs or Slice LUTs"),
        ("vivado_synth.rpt", cut("utilization_ultrascale.rpt", "3. BLOCKRAM"), "expected a row DSPs or DSP Slices"),
        ("vivado_synth.rpt", cut("utilization_ultrascale.rpt", "1728000"), "expected a row CLB LUTs"),
        ("vivado_synth.rpt", "\x00\xff" * 99, "is damaged"),
        ("vivado_timing.rpt", None, r"left no vivado_timing\.rpt"),
        ("vivado_timing.rpt", cut("timing_met.rpt", "      1.000"), r"expected a Design Timing Summary with WNS\(ns\)"),
        ("vivado_timing.rpt", (DATA / "timing_met.rpt").read_text().replace("1.000", "what?"), r"WNS is 'what\?'"),
        ("vivado_timing.rpt", (DATA / "timing_met.rpt").read_text().replace("1.000", "7.000"), "WNS is '7.000'"),
    ],
)
def test_bad_reports_of_vivado(fake, tmp_path, name, text, message):
    change = f"os.unlink({name!r})" if text is None else f"pathlib.Path({name!r}).write_text({text!r})"
    fake("vivado", VIVADO + change)
    (tmp_path / "vivado_synth.rpt").write_text((DATA / "utilization_ultrascale.rpt").read_text())  # of an earlier run
    (tmp_path / "vivado_timing.rpt").write_text((DATA / "timing_met.rpt").read_text())
    with pytest.raises(StageError, match=message):
        vivado.synthesize(after_hls(), folder=tmp_path)
