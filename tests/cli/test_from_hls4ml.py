"""`kbuild init --from-hls4ml`."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
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


TRAPS = [  # a line of HLSConfig.Model, LayerType, LayerName or the top; what is said of it
    ("ClockPeriod: '5'", 'ClockPeriod: the text "5" is given; write a number greater than 0'),
    ("ClockUncertainty: 12.5", "ClockUncertainty: the number 12.5 is given; write a percentage"),
    ("IOType: io_serial", 'IOType: "io_serial" is unknown'),
    ("ProjectName: my-project", 'ProjectName: "my-project" is no C identifier'),
    ("Clockperiod: 5", "Clockperiod: unknown key; did you mean ClockPeriod?"),
    ("HLSConfig: {SkipOptimizers: [x]}", "HLSConfig.SkipOptimizers: unknown key; kbuild's passes are not chosen"),
    ("HLSConfig: {Model: {FIFO_opt: 1}}", "HLSConfig.Model.FIFO_opt: unknown key; FIFOs are always as deep"),
    ("HLSConfig: {Model: {ReuseFactor: '4'}}", 'ReuseFactor: the text "4" is given; write a whole number'),
    ("HLSConfig: {Model: {Precision: ap_fixed<16>}}", "Precision: 'ap_fixed<16>': fixed needs a width and"),
    ("HLSConfig: {Model: {Precision: 'ap_fixed<16.6>'}}", "Precision: 'ap_fixed<16.6>'"),
    ("HLSConfig: {LayerName: {fc1: {Precision: {weights: 'ap_fixed<8,2>'}}}}", "weights: unknown key; did you mean w"),
    ("HLSConfig: {LayerName: {fc1: {reuse_factor: 4}}}", "fc1.reuse_factor is written HLSConfig.LayerName.fc1.ReuseF"),
    ("HLSConfig: {LayerName: {soft: {exp_table_t: 'ap_fixed<18,8>'}}}", "exp_table_t is written HLSConfig.LayerName.s"),
    ("HLSConfig: {LayerType: {Dense: {Compression: true}}}", "Dense.Compression: this is not supported yet"),
    ("ReuseFactor: 4", "ReuseFactor: unknown key; ReuseFactor belongs under HLSConfig.Model"),
    ("KerasH5: weights.h5", 'KerasH5: there is no file "weights.h5"'),
]


@pytest.mark.parametrize(("line", "remark"), TRAPS)
def test_each_trap(line: str, remark: str, recipe: Path, kbuild: Callable[..., Any]) -> None:
    Path("old.yml").write_text(f"KerasModel: model.keras\nOutputDir: out\nBackend: Vivado\n{line}\n")
    done = kbuild("init", "--from-hls4ml", "old.yml", "-o", "new.yml")
    assert done.code == 0 and remark in done.out
    assert yaml.safe_load(Path("new.yml").read_text())["KerasModel"] == "model.keras"


@pytest.mark.skipif("KBUILD_MODELS" not in os.environ, reason="KBUILD_MODELS does not name the published models")
@pytest.mark.parametrize("name", ["keras-config", "qkeras_3layer_config", "qkeras_mnist_cnn_config"])
def test_published_configurations(name: str, kbuild: Callable[..., Any], tmp_path: Path) -> None:
    models = Path(os.environ["KBUILD_MODELS"])
    (tmp_path / "keras").mkdir()
    for file in models.glob("*/*"):
        if file.suffix in (".json", ".h5"):
            shutil.copy(file, tmp_path / "keras")
    shutil.copy(models / "yaml" / f"{name}.yml", tmp_path)
    done = kbuild("init", "--from-hls4ml", str(tmp_path / f"{name}.yml"), "-o", str(tmp_path / "new.yml"))
    assert done.code == 0 and "(left out)" not in done.out and "(still so)" not in done.out, done.out
    checked = kbuild("check", str(tmp_path / "new.yml"))
    # that with a reuse factor of 16 for every layer names layers that it does not fit
    assert checked.code == 0 or (name == "qkeras_mnist_cnn_config" and "a reuse factor of 16 does not" in checked.err)
