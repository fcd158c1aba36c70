"""`kbuild build`: lines, exit codes, options."""

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kbuild.flow import fast_path
from kbuild.flow.names import STAGE_NAMES

Kbuild = Callable[..., Any]


def test_a_line_for_each_stage(kbuild: Kbuild, recipe: Path) -> None:
    done = kbuild("build", recipe)
    assert done.code == 0 and done.err == ""
    shown = done.out.splitlines()
    lines = [line for line in shown if not line.startswith("simulate: against ")]
    assert len(shown) == len(lines) + 1
    stages = [line.split(":")[0] for line in lines]
    assert sorted(stages) == sorted(STAGE_NAMES) and stages[:4] == list(STAGE_NAMES[:4]) and stages[-1] == "report"
    assert all(re.fullmatch(r"\w+: (done in \d+\.\d\d s|skipped: .*vitis_hls.*)", line) for line in lines), done.out


def test_the_second_time_nothing_is_looked_at(kbuild: Kbuild, recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kbuild("build", recipe).code == 0
    monkeypatch.setattr("kbuild.cli.build._build", lambda *_: pytest.fail("a full build for nothing"))
    done = kbuild("build", recipe)
    lines = done.out.splitlines()
    assert done.code == 0 and len(lines) == 7
    assert all(line.endswith(": up to date") or line.startswith("synthesize: skipped: ") for line in lines)


def test_what_a_build_with_nothing_to_do_imports(kbuild: Kbuild, recipe: Path) -> None:
    assert kbuild("build", recipe).code == 0
    code = (
        "import sys; from kbuild.cli import main; main(['build', 'recipe.yml']);"
        "print(*sorted({'numpy', 'h5py', 'yaml', 'doit', 'rich', 'jsonschema', 'kbuild.config'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "" and "up to date" in done.stdout


def test_what_a_cold_build_to_emit_imports(recipe: Path) -> None:
    """Half of a short build is imports: what this network and these stages do not need stays out."""
    unneeded = {
        "jsonschema", "doit", "rich", "concurrent.futures", "queue", "subprocess", "tempfile", "dataclasses", "inspect",
        "da4ml", "kbuild.report.records", "kbuild.flow.comparison", "kbuild.engines", "kbuild.tools", "kbuild.api",
        "kbuild.ops.lstm", "kbuild.ops.gru", "kbuild.ops.normalize", "kbuild.ops.pad", "kbuild.ops.repeat",
        "kbuild.ops.interpolate", "kbuild.frontend.keras.layers.recurrent", "kbuild.frontend.keras.layers.convolution",
        "kbuild.emit.hls.stream", "kbuild.emit.hls.recurrent", "kbuild.emit.adders", "kbuild.emit.verilog",
    }  # fmt: skip
    code = (
        "import sys, argparse, h5py, numpy, yaml; given = set(sys.modules)\n"  # and what these import themselves
        "from kbuild.cli import main; main(['build', 'recipe.yml', '--to', 'emit'])\n"
        f"print(*sorted({unneeded!r} & (set(sys.modules) - given)))\n"
        "print(sum(name.startswith('kbuild') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *lines, found, modules = done.stdout.splitlines()
    assert found == "" and lines[-1].startswith("emit: done")
    assert int(modules) <= 164


@pytest.mark.parametrize("changed", ["recipe.yml", "model.keras", "x_test.npy", "out/firmware/digits.cpp"])
def test_a_change_is_seen(kbuild: Kbuild, recipe: Path, changed: str) -> None:
    assert kbuild("build", recipe, "--to", "simulate").code == 0
    path = recipe.parent / changed
    if changed == "recipe.yml":
        path.write_text(path.read_text() + "ClockPeriod: 3\n")
    elif changed == "x_test.npy":
        content = bytearray(path.read_bytes())
        content[-4:] = b"\0\0\0\x3f"  # 0.5
        path.write_bytes(content)
    elif changed == "model.keras":
        path.write_bytes(path.read_bytes()[:-40])
    else:
        path.write_text("edited")
    assert fast_path.unchanged(recipe, [], "simulate") is None
    done = kbuild("build", recipe, "--to", "simulate")
    assert done.code == (2 if changed == "model.keras" else 0), done.err
    if changed.startswith("out"):
        assert path.read_text() != "edited"


def test_an_output_that_is_gone_is_seen(kbuild: Kbuild, recipe: Path) -> None:
    assert kbuild("build", recipe, "--to", "emit").code == 0
    assert kbuild("clean", recipe).code == 0
    done = kbuild("build", recipe, "--to", "emit")
    assert "emit: from cache" in done.out and (recipe.parent / "out" / "firmware").is_dir()


def test_json(kbuild: Kbuild, recipe: Path) -> None:
    for expected in ("done", "up to date"):
        done = kbuild("build", recipe, "--to", "optimize", "--json")
        document = json.loads(done.out)
        assert [(s["stage"], s["status"]) for s in document["stages"]] == [
            ("validate", expected), ("parse", expected), ("optimize", expected),
        ]  # fmt: skip
    done = kbuild("build", recipe, "--json", "--set", "Synthesis.run=true")
    document = json.loads(done.out)
    assert done.code == 3 and "vitis_hls" in document["errors"][0]["error"]


def test_set(kbuild: Kbuild, recipe: Path) -> None:
    assert kbuild("build", recipe, "--to", "optimize", "--set", "HLSConfig.Model.Precision=fixed<11,3>").code == 0
    assert "fixed<11,3>" in (recipe.parent / "out" / "reports" / "optimize.json").read_text()
    done = kbuild("build", recipe, "--set", "ClockPeriodd=3")
    assert done.code == 2 and "did you mean ClockPeriod?" in done.err


def test_several_recipes_and_documents(kbuild: Kbuild, recipe: Path) -> None:
    other = recipe.with_name("other.yml")
    text = recipe.read_text()
    other.write_text(text.replace("out", "out1") + "---\n" + text.replace("out", "out2").replace("Vitis", "Vivado"))
    done = kbuild("build", recipe, other, "--to", "emit", "-n", "2")
    assert done.code == 0
    names = {line.rsplit(": ", 1)[0] for line in done.out.splitlines()}
    assert names >= {"emit:digits", "emit:other-1", "emit:other-2"}
    assert all((recipe.parent / name / "recipe.lock.yml").is_file() for name in ("out", "out1", "out2"))
    again = kbuild("build", recipe, other, "--to", "emit")
    assert all(line.endswith("up to date") for line in again.out.splitlines())


def test_one_wrong_recipe_of_two(kbuild: Kbuild, recipe: Path) -> None:
    other = recipe.with_name("other.yml")
    other.write_text(recipe.read_text().replace("out", "out1") + "Validation: {Minimum: 1}\n"
                     "HLSConfig: {Model: {Precision: 'fixed<5,2>'}}\n")  # fmt: skip
    done = kbuild("build", recipe, other, "--to", "simulate")
    assert done.code == 1
    assert done.err.startswith("other: validation: argmax_agreement is ")
    assert (recipe.parent / "out" / "reports" / "simulate.json").is_file()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["nowhere.yml"], 2, "nowhere.yml: there is no such file"),
        (["recipe.yml", "--to", "nowhere"], 2, "invalid choice: 'nowhere'"),
        (["recipe.yml", "-n", "0"], 2, "'0' is not a number of jobs"),
        ([], 2, "the following arguments are required"),
        (["recipe.yml", "--set", "Backend=Vitiss"], 2, "did you mean Vitis?"),
        (["recipe.yml", "--set", "Synthesis.run=true"], 3, "vitis_hls"),
        (["recipe.yml", "--set", "Budget.LUT=1", "--set", "Backend=Quartus"], 2, "Quartus"),
    ],
)
def test_exit_codes(kbuild: Kbuild, recipe: Path, words: list[str], code: int, message: str) -> None:
    done = kbuild("build", *words)
    assert (done.code, "Traceback" in done.err) == (code, False), done.err
    assert message in done.err
    if code == 2:
        assert not (recipe.parent / "out").exists()


def test_a_bug_is_called_one(kbuild: Kbuild, recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise AssertionError("impossible")

    monkeypatch.setattr("kbuild.frontend.keras.read_model", broken)
    done = kbuild("build", recipe)
    assert done.code == 1 and done.err.startswith("kbuild: AssertionError: impossible\nThis is an error in kbuild")
    with pytest.raises(AssertionError, match="impossible"):
        kbuild("build", recipe, "--debug")


def test_debug_shows_where(recipe: Path) -> None:
    words = [sys.executable, "-m", "kbuild", "build", "recipe.yml", "--set", "Backend=x", "--debug"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode != 0 and "Traceback" in done.stderr and "RecipeError" in done.stderr


def test_on_a_terminal(recipe: Path) -> None:
    """The live display ends with a line for each stage, too."""
    words = [sys.executable, "-m", "kbuild", "build", "recipe.yml", "--to", "simulate"]
    leader, follower = pty.openpty()
    process = subprocess.Popen(words, stdout=follower, stderr=follower, env={**os.environ, "TERM": "xterm"})
    os.close(follower)
    seen = b""
    while True:
        try:
            block = os.read(leader, 4096)
        except OSError:
            break
        if not block:
            break
        seen += block
    assert process.wait(60) == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode())
    for stage in ("validate", "parse", "optimize", "emit", "simulate"):
        assert re.search(rf"{stage} +done in \d", text), text
    assert re.search(r"simulate +\d\.\d s  ", text)  # while it ran


def test_a_reader_that_has_seen_enough(recipe: Path) -> None:
    done = subprocess.run(f"{sys.executable} -m kbuild layers | head -1", shell=True, capture_output=True, text=True)
    assert done.stderr == "" and done.stdout.startswith("layer")
