"""Loops over steps in the passes: types of states, reuse factors, limits, and steps spelled out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from recurrent_models import cell, model

from kbuild import emulate
from kbuild.config import load_recipe, resolve_settings
from kbuild.errors import RecipeError
from kbuild.fixed import FixedType, FloatArray, to_float, wide
from kbuild.frontend.keras.build import build_graph
from kbuild.ir import Graph
from kbuild.ops.dense import Dense
from kbuild.ops.scan import Scan
from kbuild.passes import repeat_steps
from kbuild.passes.context import Context, layer_infos
from kbuild.passes.error_bounds import inexact
from kbuild.passes.pipeline import optimize
from kbuild.passes.resolve_strategy import as_chosen

EIGHT = "quantized_bits(8,0,1,alpha=1)"


def lstm(units: int, steps: int, **values: object) -> Graph:
    settings = {"state_quantizer": EIGHT, "activation": "quantized_tanh(8)",
                "recurrent_activation": "quantized_sigmoid(6)", **values}  # fmt: skip
    return build_graph(model("QLSTM", *cell("QLSTM", units, 3, **settings), (steps, 3)), "m")


def loop(graph: Graph) -> Scan:
    """The only one."""
    (found,) = (node.op for node in graph if isinstance(node.op, Scan))
    return found


def typed(graph: Graph, x: FloatArray, **words: object) -> Graph:
    return optimize(graph, Context(calibration={graph.inputs[0].name: x}, **words))  # type: ignore[arg-type]


def sequences(steps: int, features: int = 3, seed: int = 4) -> FloatArray:
    return np.random.default_rng(seed).integers(-16, 17, (10, steps, features)) / 8


def values(graph: Graph, x: FloatArray) -> list[FloatArray]:
    inputs = emulate.quantize_inputs(graph, {graph.inputs[0].name: x})[0]
    found = emulate.run(graph, inputs).values
    return [to_float(found[name], graph[name].fixed()) for name in graph.outputs]


# ---- types of the states


def test_states_that_are_quantized_have_one_type_however_many_steps_there_are() -> None:
    types = {loop(typed(lstm(2, steps), sequences(steps))).state_types() for steps in (3, 50)}
    ((hidden, carry),) = types
    assert hidden.width < 32 and carry.width < 32


def test_a_state_that_grows_is_exact() -> None:
    """As many steps as there are: h = 0.5 h + x has a bit more after each."""
    half, x = np.full((1, 1), 0.5), sequences(20, 1)
    settings, _ = cell("QSimpleRNN", 1, 1, use_bias=False, activation="linear")
    graph = build_graph(
        model("QSimpleRNN", settings, {"cell/kernel": half * 2 - 0.125, "cell/recurrent_kernel": half}, (20, 1)), "m"
    )
    fixed, state = typed(graph, x), 0.0
    for step in range(20):
        state = 0.5 * state + 0.875 * x[:, step]
    assert loop(fixed).state_types()[0].fraction == 6 + 19
    assert np.array_equal(values(fixed, x)[0], np.asarray(state)) and not list(inexact(graph, fixed))


def test_a_state_that_grows_beyond_all_that_is_kept_is_rounded() -> None:
    """In every step to a type of more bits than float32 has, which the report says."""
    graph, x = lstm(2, 60, state_quantizer=None), sequences(60)
    before = {}
    fixed = optimize(graph, Context(calibration={graph.inputs[0].name: x}),
                     lambda name, found: before.update({name: found}))  # fmt: skip
    carry = loop(fixed).state_types()[1]
    assert carry.width == 32
    (wanted,) = emulate.run_float(graph, {graph.inputs[0].name: x}).values()
    assert np.abs(values(fixed, x)[0] - wanted).max() < 2.0**-5  # a step of the activation where it was near a tie
    found = {one.node.op.kind: one for one in inexact(before["dead_code"], fixed)}
    assert found["scan"].reason == "its states are rounded in each step" and found["scan"].bound == float(carry.lsb) / 2


def test_a_function_whose_value_a_quantizer_of_the_state_rounds_is_as_fine_as_that_needs() -> None:
    settings, weights = cell("QSimpleRNN", 3, 3, activation="tanh", state_quantizer="quantized_bits(6,0,1,alpha=1)")
    x, state = np.concatenate([sequences(12, seed=seed) for seed in range(60)]), np.zeros((600, 3))
    for step in range(12):
        before = np.clip(np.round(state * 32), -31, 31) / 32
        state = np.tanh(x[:, step] @ weights["cell/kernel"] + weights["cell/bias"]
                        + before @ weights["cell/recurrent_kernel"])  # fmt: skip
    fixed = typed(build_graph(model("QSimpleRNN", settings, weights, (12, 3)), "m"), x)
    assert np.abs(values(fixed, x)[0] - state).max() < 2.0**-24


def test_a_type_that_the_recipe_gives_is_that_of_all_inside(tmp_path: Path) -> None:
    of = FixedType(10, 4)
    fixed = optimize(*given(lstm(2, 4), tmp_path, "Precision: {result: 'ap_fixed<10,4>'}"))
    assert {node.fixed() for node in fixed.everywhere() if node.op.kind != "input"} == {of}
    assert loop(fixed).state_types() == (of, of)


def test_both_ways_through_a_sequence_and_states_that_are_returned() -> None:
    """One computation, whose step is read once."""
    settings, weights = cell("QGRU", 2, 3, state_quantizer=EIGHT, activation="quantized_bits(5,0,alpha=1)",
                             recurrent_activation="quantized_sigmoid(4)", return_sequences=True, return_state=True)
    graph = build_graph(model("QGRU", settings, weights, (5, 3), results=2), "m")
    fixed, x = typed(graph, sequences(5)), sequences(5)
    sequence, last = values(fixed, x)
    assert np.array_equal(sequence[:, -1], last)
    first, second = (node.op for node in fixed if isinstance(node.op, Scan))
    assert isinstance(first, Scan) and isinstance(second, Scan) and first.body == second.body


# ---- reuse factors and limits


def given(graph: Graph, folder: Path, settings: str) -> tuple[Graph, Context]:
    (folder / "m.h5").write_bytes(b"")
    text = f"KerasH5: m.h5\nBackend: Vitis\nHLSConfig: {{LayerName: {{l: {{{settings}}}}}}}\n"
    (folder / "recipe.yml").write_text(text)
    (recipe,) = load_recipe(folder / "recipe.yml")
    return graph, Context(resolve_settings(recipe, layer_infos(graph)), recipe.backend, recipe.io_type)


def reused(graph: Graph) -> Mapping[tuple[int, int], tuple[str, int]]:
    """Strategy and reuse factor by the shape of the matrix."""
    inside = [node.op for node in loop(graph).body if isinstance(node.op, Dense)]
    return {op.matrix_shape: (op.strategy, op.reuse_factor) for op in inside}


def test_reuse_factors_reach_the_products_inside(tmp_path: Path) -> None:
    settings = "Strategy: Resource, ReuseFactor: 6, RecurrentReuseFactor: 4"
    found = reused(optimize(*given(lstm(2, 4), tmp_path, settings)))
    assert found == {(3, 8): ("resource", 6), (2, 8): ("resource", 4)}
    one = optimize(*given(lstm(2, 4), tmp_path, "Strategy: Resource, ReuseFactor: 1"))
    assert set(reused(one).values()) == {("resource", 1)}


def test_an_illegal_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"RecurrentReuseFactor is for, of the layer l \(2 x 8"):
        optimize(*given(lstm(2, 4), tmp_path, "Strategy: Resource, ReuseFactor: 3, RecurrentReuseFactor: 3"))


def test_a_step_that_is_too_large_to_unroll_becomes_resource(tmp_path: Path) -> None:
    graph, context = given(lstm(40, 4), tmp_path, "")
    assert reused(optimize(graph, context)) == {(3, 160): ("resource", 1), (40, 160): ("resource", 2)}
    shown = as_chosen(graph, context)["l"]
    assert (shown.strategy.value, shown.reuse_factor.value, shown.recurrent_reuse_factor.value) == ("Resource", 1, 2)
    with pytest.raises(RecipeError) as caught:
        optimize(*given(lstm(40, 4), tmp_path, "Strategy: Latency"))
    assert "40 x 160 products, 6400 of them at once" in str(caught.value)
    assert "Strategy: Resource with RecurrentReuseFactor: 2" in str(caught.value)


def test_one_cell_a_step_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="one cell computes all steps in turn; write true"):
        optimize(*given(lstm(2, 4), tmp_path, "Static: false"))


# ---- steps spelled out


@pytest.mark.parametrize("words", [{}, {"return_sequences": True}, {"return_sequences": True, "go_backwards": True}])
def test_a_backend_without_loops_has_every_step(words: dict[str, object]) -> None:
    graph, x = lstm(2, 4, **words), sequences(4)
    context = Context(backend="Yosys")
    spelled = repeat_steps.run(graph, context)
    assert not any(isinstance(node.op, Scan) for node in spelled)
    assert sum(isinstance(node.op, Dense) for node in spelled) == 2 * 4
    rolled, unrolled = typed(graph, x), typed(spelled, x)
    one, other = values(rolled, x), values(unrolled, x)
    assert len(one) == len(other) == 1 and np.array_equal(wide(one[0]), wide(other[0]))


def test_nodes_of_one_computation_share_their_steps() -> None:
    settings, weights = cell("QLSTM", 2, 3, state_quantizer=EIGHT, activation="quantized_tanh(8)",
                             recurrent_activation="quantized_sigmoid(6)", return_state=True)  # fmt: skip
    graph = build_graph(model("QLSTM", settings, weights, (3, 3), results=3), "m")
    spelled = repeat_steps.run(graph, Context(backend="Yosys"))
    assert sum(isinstance(node.op, Dense) for node in spelled) == 2 * 3
    x = sequences(3)
    pairs = zip(values(typed(graph, x), x), values(typed(spelled, x), x), strict=True)
    assert all(np.array_equal(one, other) for one, other in pairs)
