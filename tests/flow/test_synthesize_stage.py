"""The synthesize stage: skipped, refused, run with stand-ins for the vendors' tools, and with Yosys itself."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from kbuild.config import load_recipe
from kbuild.errors import MissingTool, StageError
from kbuild.flow import scheduler
from kbuild.flow.build import Build, Event
from kbuild.resources import resource

CSYNTH = Path(__file__).parent.parent / "tools" / "data" / "csynth_vitis.xml"
Make = Callable[..., Path]

FAKE = """#!{python}
import pathlib, shutil, sys
if "-version" in sys.argv:
    print("Vitis HLS - High-Level Synthesis v2023.1 (64-bit)")
    raise SystemExit
open("{calls}", "a").write("run\\n")
assert pathlib.Path("build_prj.tcl").is_file() and pathlib.Path("firmware/digits.cpp").is_file()
{body}
"""
REPORTS = """
folder = pathlib.Path("digits_prj/solution1/syn/report")
folder.mkdir(parents=True)
shutil.copy("{csynth}", folder / "digits_csynth.xml")
"""


@pytest.fixture
def vitis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Puts a `vitis_hls` with a body on PATH; returns the file that gets a line for each run."""

    def make(body: str = REPORTS.format(csynth=CSYNTH)) -> Path:
        folder, calls = tmp_path / "bin", tmp_path / "calls"
        folder.mkdir(exist_ok=True)
        (folder / "vitis_hls").write_text(FAKE.format(python=sys.executable, calls=calls, body=body))
        (folder / "vitis_hls").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        return calls

    return make


def build(recipe: Path, *overrides: str) -> dict[str, Event]:
    events: dict[str, Event] = {}

    def listen(event: Event) -> None:
        if event.status is not None:
            events[event.stage] = event

    builds = [Build(one, listener=listen) for one in load_recipe(recipe, overrides)]
    for failure in scheduler.run(builds, ("validate", "parse", "optimize", "emit", "synthesize", "report")):
        raise failure.error
    return events


def report(recipe: Path, name: str = "synthesize") -> Any:
    document = json.loads((recipe.parent / "out" / "reports" / f"{name}.json").read_text())
    jsonschema.validate(document, json.loads(resource("schemas", f"{name}.schema.json").read_text()))
    return document


def test_without_the_tool_it_is_skipped_and_says_so(project: Make) -> None:
    event = build(project())["synthesize"]
    assert event.status == "skipped" and "vitis_hls is not on this machine" in str(event.detail)


def test_false_means_no(project: Make, vitis: Callable[..., Path]) -> None:
    calls = vitis()
    event = build(project(Synthesis="{run: false}"))["synthesize"]
    assert event.status == "skipped" and "Synthesis.run: false" in str(event.detail) and not calls.exists()


def test_true_without_the_tool_is_an_error(project: Make) -> None:
    with pytest.raises(MissingTool, match="vitis_hls"):
        build(project(Synthesis="{run: true}"))


def test_with_the_tool(project: Make, vitis: Callable[..., Path]) -> None:
    calls = vitis()
    recipe = project()
    assert build(recipe)["synthesize"].status == "done"
    found = report(recipe)
    assert found["source"] == "vitis_hls" and found["version"] == "2023.1" and found["resources"]["lut"] > 0
    assert report(recipe, "build")["resources"] == found["resources"]
    assert (recipe.parent / "out" / "synthesis" / "digits_csynth.xml").is_file()
    assert not (recipe.parent / "out" / "digits_prj").exists()
    assert build(recipe)["synthesize"].status == "up to date"
    assert calls.read_text() == "run\n"


def test_a_tool_that_was_not_there_and_now_is(project: Make, vitis: Callable[..., Path]) -> None:
    recipe = project()
    assert build(recipe)["synthesize"].status == "skipped"
    vitis()
    assert build(recipe)["synthesize"].status == "done"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("print('ERROR: [HLS 200-70] no license')\nraise SystemExit(1)", "ERROR: \\[HLS 200-70\\] no license"),
        ("pass", "ended without an error but left no .*digits_csynth.xml"),
    ],
)
def test_a_tool_that_fails(project: Make, vitis: Callable[..., Path], body: str, message: str) -> None:
    vitis(body)
    recipe = project()
    for _ in range(2):  # a failure is not remembered as a result
        with pytest.raises(StageError, match=message):
            build(recipe)
    assert not (recipe.parent / "out" / "reports" / "synthesize.json").exists()
    vitis()
    assert build(recipe)["synthesize"].status == "done"


def test_over_budget(project: Make, vitis: Callable[..., Path]) -> None:
    calls = vitis()
    recipe = project()
    with pytest.raises(StageError, match=r"over its Budget: LUT is \d+, the limit is 1; Fmax is .*the least is 5000"):
        build(recipe, "Budget={LUT: 1, Fmax: 5000, DSP: 100000}")
    assert report(recipe)["resources"]["lut"] > 1  # the report is there to look at
    assert build(recipe, "Budget={LUT: 1000000}")["synthesize"].status == "from cache"
    assert calls.read_text() == "run\n"
    (line,) = report(recipe, "build")["budget"]
    assert line["key"] == "LUT" and line["met"] is True


@pytest.mark.slow
def test_yosys_and_nextpnr(tmp_path: Path) -> None:
    """The iris recipe as it is shipped: three engines, a placed design, a bitstream."""
    import shutil

    folder = tmp_path / "iris"
    shutil.copytree(resource("recipes", "iris-ice40"), folder, ignore=shutil.ignore_patterns("build"))
    recipe = folder / "recipe.yml"
    builds = [Build(one) for one in load_recipe(recipe, ["OutputDir=out"])]
    assert scheduler.run(builds, scheduler.plan("report"), 2) == []
    found, simulated = report(folder / "recipe.yml"), report(folder / "recipe.yml", "simulate")
    assert found["source"] == "nextpnr" and found["timing"]["met"] is True
    assert (folder / "out" / found["bitstream"]).stat().st_size > 10_000
    assert {name: run["mismatches"] for name, run in simulated["engines"].items()} == {
        "emulate": 0, "csim": 0, "rtl": 0,
    }  # fmt: skip
    assert simulated["latency_cycles"] == found["latency_cycles"] and simulated["interval_cycles"] == 1
    again = [Build(one) for one in load_recipe(recipe, ["OutputDir=out"])]
    assert all(again[0].is_current(stage) for stage in scheduler.plan("report"))
    reseeded = [Build(one) for one in load_recipe(recipe, ["OutputDir=out", "Synthesis.seed=2"])]
    netlists = builds[0].cache.usage()
    assert scheduler.run(reseeded, scheduler.plan("report"), 2) == []
    kept = {usage.kind: usage.artifacts for usage in reseeded[0].cache.usage()}
    assert kept["netlist"] == next(usage.artifacts for usage in netlists if usage.kind == "netlist") == 1
