"""`kbuild init --from-hls4ml`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from kbuild.config import load_recipe

OLD = """\
KerasModel: model.keras
OutputDir: my-hls-test
ProjectName: digits
XilinxPart: xcku115-flvb2104-2-i
ClockPeriod: 5
Backend: Vivado
IOType: io_paralel
Stamp: 8a7f3c
HLSConfig:
  Model:
    Precision: ap_fixed<16,6>
    ReuseFactor: 1
    Strateggy: Latency
  LayerType:
    Softmax: {exp_table_t: "ap_fixed<18,8>", Precision: "fixed<16>"}
"""


def test_an_old_configuration(recipe: Path, kbuild: Callable[..., Any]) -> None:
    Path("old.yml").write_text(OLD)
    Path("new").mkdir()
    done = kbuild("init", "--from-hls4ml", "old.yml", "-o", "new/recipe.yml")
    assert done.code == 0, done.err
    for remark in (
        "XilinxPart is written Part",
        'old.yml:7:9: IOType: "io_paralel" is unknown; did you mean io_parallel? (left out)',
        "old.yml:13:5: HLSConfig.Model.Strateggy: unknown key; did you mean Strategy? (left out)",
    ):
        assert remark in done.out
    data = yaml.safe_load(Path("new/recipe.yml").read_text())
    assert data["KerasModel"] == "../model.keras" and data["Part"] == "xcku115-flvb2104-2-i"
    assert "Stamp" not in data and "IOType" not in data
    assert data["HLSConfig"]["LayerType"]["Softmax"]["Precision"] == {"exp_table": "ap_fixed<18,8>"}
    assert load_recipe(Path("new/recipe.yml"))[0].project_name == "digits"
    assert kbuild("check", "new/recipe.yml").code == 0


def test_either_a_model_or_a_configuration(recipe: Path, kbuild: Callable[..., Any]) -> None:
    assert kbuild("init", "-o", "new.yml").code == 2
    assert kbuild("init", "model.keras", "--from-hls4ml", "recipe.yml", "-o", "new.yml").code == 2
    assert kbuild("init", "--from-hls4ml", "nothing.yml", "-o", "new.yml").code == 2
    assert not Path("new.yml").exists()
