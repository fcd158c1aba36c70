"""The models and recipes that the benchmark builds, written into a scratch folder."""

import io
import json
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import yaml

REPOSITORY = Path(__file__).resolve().parent.parent
PRECISION = "ap_fixed<16,6>"
WIDE = [512, 2048, 2048, 2048, 512]  # 10.5 million weights


@dataclass(frozen=True)
class Keras:
    """A network as Keras 2 stores it, and an `.npz` with its inputs, `x0`."""

    architecture: Path
    weights: Path
    data: Path


def published_mlp(models: Path) -> Keras:
    """`KERAS_3layer`: a 16-64-32-32-5 jet tagger."""
    folder = models / "KERAS_3layer"
    return Keras(folder / "KERAS_3layer.json", folder / "KERAS_3layer_weights.h5", folder / "golden.npz")


def published_hgq(models: Path, folder: Path, part: str) -> tuple[Path, Path, np.ndarray]:
    """`hgq_jet_classifier` for a part: its recipe, its inputs, and what Keras predicts for them."""
    source = models / "hgq_jet_classifier"
    data = folder / "x.npy"
    recipe = write_recipe(
        folder, KerasH5=source / "hgq_jet_classifier.h5", ProjectName="jet", OutputDir="build", Backend="Yosys",
        Part=part, ClockPeriod=10, InputData=data, HLSConfig={"Model": {"Precision": "auto", "ReuseFactor": 1}},
    )  # fmt: skip
    with np.load(source / "golden.npz") as golden:
        np.save(data, golden["x0"])
        return recipe, data, golden["y0"]


def keras_network(folder: Path, name: str) -> Keras:
    """One of the networks that `peer_models.py` has made in a folder."""
    return Keras(*(folder / f"{name}.{suffix}" for suffix in ("json", "h5", "npz")))


def row_at_a_time(network: Keras) -> dict[str, int]:
    """Reuse factors, by layer, with which each step takes one row of the layer's weights: one input for all outputs."""
    found: dict[str, int] = {}

    def see(path: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset) and path.endswith("/kernel:0"):
            found[path.split("/")[-2]] = int(np.prod(item.shape[:-1]))

    with h5py.File(network.weights) as file:
        file.visititems(see)
    return found


def other_weights(mlp: Keras, folder: Path) -> Path:
    """The weights file with every weight changed a little."""
    path = folder / "other_weights.h5"
    shutil.copyfile(mlp.weights, path)
    random = np.random.default_rng(1)

    def change(_: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            item[...] = item[()] * random.uniform(0.9, 1.1, item.shape)

    with h5py.File(path, "r+") as file:
        file.visititems(change)
    return path


def write_recipe(folder: Path, **keys: object) -> Path:
    """A recipe in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    recipe = {
        "OutputDir": "out",
        "Backend": "Vitis",
        "HLSConfig": {"Model": {"Precision": PRECISION, "ReuseFactor": 1}},
        **{key: str(value) if isinstance(value, Path) else value for key, value in keys.items()},
    }
    path = folder / "recipe.yml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    return path


def digits_without_softmax(folder: Path) -> Path:
    """`recipes/digits` up to its logits."""
    shutil.copytree(REPOSITORY / "recipes" / "digits", folder, ignore=shutil.ignore_patterns("build"))
    with zipfile.ZipFile(folder / "model.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    layers = config["config"]["layers"]
    softmax = layers.pop()
    assert softmax["class_name"] == "Softmax", softmax["class_name"]
    members["config.json"] = json.dumps(config).encode()
    weights = io.BytesIO(members["model.weights.h5"])
    with h5py.File(weights, "r+") as file:
        del file["layers/softmax"]
    members["model.weights.h5"] = weights.getvalue()
    with zipfile.ZipFile(folder / "model.keras", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    path = folder / "recipe.yml"
    recipe = yaml.safe_load(path.read_text())
    del recipe["HLSConfig"]["LayerName"][softmax["config"]["name"]]
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    return path
