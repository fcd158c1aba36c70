"""Models of Keras in the C simulation: every node equals the emulator, whatever the strategy of their products."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kbuild import emulate
from kbuild.config import load_recipe, resolve_settings
from kbuild.engines import csim
from kbuild.fixed import wide
from kbuild.frontend.keras import read_model
from kbuild.passes.context import Context, layer_infos
from kbuild.passes.pipeline import optimize

DATA = Path(__file__).parents[1] / "frontend" / "data"
FILES = sorted(DATA.glob("keras?_*.keras"))
STRATEGIES = ("Latency", "Resource", "Unrolled", "distributed_arithmetic")


def assert_every_node_equal(path: Path, strategy: str, folder: Path) -> None:
    (folder / "m.keras").write_bytes(b"")
    settings = f"HLSConfig: {{Model: {{Strategy: {strategy}}}}}"
    (folder / "recipe.yml").write_text(f"KerasModel: m.keras\nBackend: Vitis\n{settings}\n")
    (recipe,) = load_recipe(folder / "recipe.yml")
    graph = read_model(None, None, path, path.stem)
    with np.load(path.with_suffix(".npz")) as arrays:
        inputs = {node.name: arrays[f"x{i}"].astype(np.float64) for i, node in enumerate(graph.inputs)}
    given = Context(resolve_settings(recipe, layer_infos(graph)), "Vitis", "io_parallel", inputs)
    fixed = optimize(graph, given)
    names = [node.name for node in fixed]
    integers, _ = emulate.quantize_inputs(fixed, inputs)
    wanted = emulate.run(fixed, integers, names).values
    found = csim.CSim(csim.build(fixed, folder), fixed).run(integers, names)
    assert [name for name in names if not np.array_equal(wide(wanted[name]), wide(found[name]))] == []


@pytest.mark.parametrize("name", ["keras3_sequence_normalize_0", "keras2_sequence_embedding_0", "keras3_wrapped_0"])
def test_keras_models(name: str, tmp_path: Path) -> None:
    assert_every_node_equal(DATA / f"{name}.keras", STRATEGIES[len(name) % 4], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("index", range(len(FILES)), ids=[path.stem for path in FILES])
def test_all_keras_models(index: int, tmp_path: Path) -> None:
    assert_every_node_equal(FILES[index], STRATEGIES[index % 4], tmp_path)
