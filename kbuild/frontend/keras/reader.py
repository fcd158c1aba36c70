"""Model files → `ModelSpec` → graph. h5py and json only: no code from a file is ever run."""

from __future__ import annotations

from pathlib import Path

from kbuild.errors import UnsupportedModel
from kbuild.frontend.keras.build import build_graph
from kbuild.frontend.keras.graph_config import read_config
from kbuild.frontend.keras.hdf5 import opened
from kbuild.frontend.keras.problems import check_supported
from kbuild.frontend.keras.safety import MAX_JSON_BYTES, located, parse_json
from kbuild.frontend.keras.spec import ModelSpec
from kbuild.frontend.keras.weights import with_weights
from kbuild.ir import Graph


def read_model(json: Path | None, h5: Path | None, archive: Path | None, name: str) -> Graph:
    """The float graph of a saved Keras model, verified; `name` becomes the graph's.

    Either `archive` (`.keras`), or `h5` alone (saved with `model.save`), or `json` (the text of `model.to_json()`)
    with `h5` (weights). Raises UnsupportedModel when a file is unreadable, the files do not belong together, or the
    model holds something that cannot become hardware.
    """
    spec = read_spec(json, h5, archive)
    with located(archive or json or h5 or Path()):
        return build_graph(spec, name)


def read_spec(json: Path | None, h5: Path | None, archive: Path | None) -> ModelSpec:
    """The same as `read_model`, before the graph is built."""
    if archive is not None and json is None and h5 is None:
        return _from_archive(archive)
    if archive is None and json is not None and h5 is not None:
        with located(json):
            model = _checked(_read_bytes(json))
        with located(h5), opened(h5) as root:
            return with_weights(model, root)
    if archive is None and h5 is not None:
        with located(h5), opened(h5) as root:
            config = root.text("model_config")
            if config is None:
                raise UnsupportedModel(
                    "it holds weights but no model; give the architecture too (KerasJson), or save with model.save"
                )
            return with_weights(_checked(config), root)
    raise ValueError("give an archive, or an HDF5 file, or a JSON file and an HDF5 file")


def _from_archive(archive: Path) -> ModelSpec:
    from kbuild.frontend.keras.archive import ARCHIVE_CONFIG, ARCHIVE_WEIGHTS, read_members

    with located(archive):
        members = read_members(archive)
        model = _checked(members[ARCHIVE_CONFIG])
        with opened(members[ARCHIVE_WEIGHTS]) as root:
            return with_weights(model, root)


def _checked(text: str | bytes) -> ModelSpec:
    model = read_config(parse_json(text, "the configuration"))
    check_supported(model)
    return model


def _read_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_JSON_BYTES + 1)
    except OSError as error:
        raise UnsupportedModel(f"it cannot be read: {error.strerror}") from error
