"""Passes on graphs in text form: before, after."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path

import pytest

from kbuild.config import LayerSettings, load_recipe, resolve_settings
from kbuild.errors import RecipeError
from kbuild.ir import Graph, verify
from kbuild.ir.text import parse, tensors, to_text
from kbuild.ops import op_class
from kbuild.ops.affine import Affine
from kbuild.ops.multipliers import legal_reuse_factors
from kbuild.ops.softmax import Softmax
from kbuild.passes import dead_code, drop_identity, fold_batchnorm, fold_constants, masked_softmax, resolve_strategy
from kbuild.passes.context import Context, layer_infos

BN = """
    graph "g" {
      %x = input() {shape = (2)} : float[2] @ "x" "InputLayer"
      %fc = dense(%x)
        {weight = tensor float[2,2] (1.0, 2.0, 3.0, 4.0), bias = tensor float[2] (1.0, -1.0)}
        : float[2] @ "fc" "Dense"
      %bn = affine(%fc)
        {scale = tensor float[2] (2.0, 10.0), bias = tensor float[2] (0.5, 0.25)}
        : float[2] @ "bn" "BatchNormalization"
      return %bn
    }
"""


def graph_of(text: str) -> Graph:
    return verify(parse(textwrap.dedent(text), {}, op_class))


def settings_of(graph: Graph, tmp_path: Path, hls_config: str) -> Mapping[str, LayerSettings]:
    (tmp_path / "m.h5").write_bytes(b"")
    text = "KerasH5: m.h5\nHLSConfig:\n" + textwrap.indent(textwrap.dedent(hls_config), "  ")
    (tmp_path / "recipe.yml").write_text(text)
    (recipe,) = load_recipe(tmp_path / "recipe.yml")
    return resolve_settings(recipe, layer_infos(graph))


def same(graph: Graph, text: str) -> None:
    wanted = graph_of(text)
    assert verify(graph) == wanted, to_text(graph) + to_text(wanted)


def test_batch_normalization_folds_into_dense() -> None:
    same(
        fold_batchnorm.run(graph_of(BN), Context()),
        """
        graph "g" {
          %x = input() {shape = (2)} : float[2] @ "x" "InputLayer"
          %bn = dense(%x)
            {weight = tensor float[2,2] (2.0, 20.0, 6.0, 40.0), bias = tensor float[2] (2.5, -9.75)}
            : float[2] @ "bn" "BatchNormalization"
          return %bn
        }
        """,
    )


@pytest.mark.parametrize(
    "hls_config",
    [
        "Model: {Precision: 'fixed<16,6>'}",
        "LayerName: {fc: {Precision: {result: 'fixed<16,6>'}}}",
        "LayerName: {fc: {Precision: {weight: 'fixed<16,6>'}}}",
        "LayerName: {bn: {Precision: {scale: 'fixed<16,6>'}}}",
        "LayerType: {BatchNormalization: {Precision: {result: 'fixed<16,6>'}}}",
    ],
)
def test_explicit_types_forbid_folding(hls_config: str, tmp_path: Path) -> None:
    graph = graph_of(BN)
    assert fold_batchnorm.run(graph, Context(settings_of(graph, tmp_path, hls_config))) == graph


def test_normalization_of_a_value_used_twice_or_returned_stays() -> None:
    twice = BN.replace("return %bn", '%s = merge(%fc, %bn) {operation = "add"} : float[2] @ "s" "Add"\n return %s')
    for text in (twice, BN.replace("return %bn", "return %bn, %fc")):
        assert fold_batchnorm.run(graph_of(text), Context()) == graph_of(text)


def test_normalization_over_another_axis_stays() -> None:
    text = """
        graph "g" {
          %x = input() {shape = (2,1)} : float[2,1] @ "x" "InputLayer"
          %fc = dense(%x) {weight = tensor float[1,1] (3.0)} : float[2,1] @ "fc" "Dense"
          %bn = affine(%fc)
            {scale = tensor float[2,1] (2.0, 10.0), bias = tensor float[2,1] (0.5, 0.25)}
            : float[2,1] @ "bn" "BatchNormalization"
          return %bn
        }
    """
    assert fold_batchnorm.run(graph_of(text), Context()) == graph_of(text)


IDENTITIES = """
    graph "g" {
      %x = input() {shape = (2)} : float[2] @ "x" "InputLayer"
      %drop = identity(%x) : float[2] @ "drop" "Dropout"
      %flat = reshape(%drop) {shape = (2)} : float[2] @ "flat" "Flatten"
      %act = identity(%flat) : float[2] @ "act" "Activation"
      return %act, %drop
    }
"""


def test_identities_are_dropped() -> None:
    same(
        drop_identity.run(graph_of(IDENTITIES), Context()),
        """
        graph "g" {
          %x = input() {shape = (2)} : float[2] @ "x" "InputLayer"
          return %x, %x
        }
        """,
    )


def test_an_identity_with_a_precision_is_a_cast(tmp_path: Path) -> None:
    graph = graph_of(IDENTITIES)
    settings = settings_of(graph, tmp_path, "LayerName: {act: {Precision: 'fixed<8,4>'}}")
    same(
        drop_identity.run(graph, Context(settings)),
        """
        graph "g" {
          %x = input() {shape = (2)} : float[2] @ "x" "InputLayer"
          %act = identity(%x) : float[2] @ "act" "Activation"
          return %act, %x
        }
        """,
    )


def test_constants_are_computed() -> None:
    same(
        dead_code.run(
            fold_constants.run(
                graph_of(
                    """
                    graph "g" {
                      %x = input() {shape = (2)} : float[2] @ "x" "InputLayer"
                      %a = constant() {value = tensor float[2] (1.0, -2.0)} : float[2] @ "a" "Op"
                      %b = relu(%a) : float[2] @ "b" "ReLU"
                      %c = merge(%a, %b) {operation = "add"} : float[2] @ "c" "Add"
                      %d = merge(%x, %c) {operation = "multiply"} : float[2] @ "d" "Multiply"
                      return %d
                    }
                    """
                ),
                Context(),
            ),
            Context(),
        ),
        """
        graph "g" {
          %x = input() {shape = (2)} : float[2] @ "x" "InputLayer"
          %c = constant() {value = tensor float[2] (2.0, -2.0)} : float[2] @ "c" "Add"
          %d = merge(%x, %c) {operation = "multiply"} : float[2] @ "d" "Multiply"
          return %d
        }
        """,
    )


def test_dead_code_keeps_inputs() -> None:
    same(
        dead_code.run(
            graph_of(
                """
                graph "g" {
                  %x = input() {shape = (2)} : float[2] @ "x" "InputLayer"
                  %y = input() {shape = (3)} : float[3] @ "y" "InputLayer"
                  %unused = relu(%y) : float[3] @ "unused" "ReLU"
                  %used = relu(%x) : float[2] @ "used" "ReLU"
                  return %used
                }
                """
            ),
            Context(),
        ),
        """
        graph "g" {
          %x = input() {shape = (2)} : float[2] @ "x" "InputLayer"
          %y = input() {shape = (3)} : float[3] @ "y" "InputLayer"
          %used = relu(%x) : float[2] @ "used" "ReLU"
          return %used
        }
        """,
    )


def test_strategy_and_reuse_factor_are_written_into_the_op(tmp_path: Path) -> None:
    graph = graph_of(BN)
    settings = settings_of(graph, tmp_path, "Model: {Strategy: Resource, ReuseFactor: 2}")
    resolved = resolve_strategy.run(graph, Context(settings))
    assert 'strategy = "resource", reuse_factor = 2' in to_text(resolved)
    assert tensors(resolved) == tensors(graph)


def test_illegal_reuse_factor_lists_the_legal_ones(tmp_path: Path) -> None:
    graph = graph_of(BN)
    settings = settings_of(graph, tmp_path, "LayerName:\n  fc:\n    ReuseFactor: 3")
    with pytest.raises(RecipeError) as caught:
        resolve_strategy.run(graph, Context(settings))
    assert str(caught.value) == (
        f"{tmp_path}/recipe.yml:5:20: HLSConfig.LayerName.fc.ReuseFactor: a reuse factor of 3 does not fit "
        "the layer fc (2 x 2, strategy Latency); legal ones near it are 1, 2, 4"
    )


@pytest.mark.parametrize(
    ("strategy", "inputs", "outputs", "legal"),
    [
        ("latency", 4, 3, [1, 2, 3, 4, 6, 12]),
        ("unrolled", 4, 3, [1, 2, 3, 4, 6, 12]),
        ("resource", 4, 3, [1, 2, 4, 12]),
        ("resource", 6, 4, [1, 2, 3, 6, 12, 24]),
        ("distributed_arithmetic", 4, 3, [1]),
    ],
)
def test_legal_reuse_factors(strategy: str, inputs: int, outputs: int, legal: list[int]) -> None:
    assert legal_reuse_factors(strategy, inputs, outputs) == legal


def test_spatial_layers_that_change_nothing_are_dropped() -> None:
    idle = """
        graph "g" {
          %x = input() {shape = (2,2,1)} : float[2,2,1] @ "x" "InputLayer"
          %a = transpose(%x) {axes = (0,1,2)} : float[2,2,1] @ "a" "Permute"
          %b = pad(%a) {padding = ((0,0),(0,0),(0,0))} : float[2,2,1] @ "b" "Cropping2D"
          %c = repeat(%b) {factors = (1,1,1)} : float[2,2,1] @ "c" "UpSampling2D"
          %d = interpolate(%c) {factors = (1,1,1)} : float[2,2,1] @ "d" "UpSampling2D"
          %e = pool(%d) {operation = "max", size = (1,1), strides = (1,1), padding = ((0,0),(0,0))} : float[2,2,1] @
            "e" "MaxPooling2D"
          return %e
        }
        """
    same(
        drop_identity.run(graph_of(idle), Context()),
        """
        graph "g" {
          %x = input() {shape = (2,2,1)} : float[2,2,1] @ "x" "InputLayer"
          return %x
        }
        """,
    )
    for kind, change in (("transpose", "(1,0,2)"), ("repeat", "(1,2,1)"), ("pad", "((0,0),(0,1),(0,-1))")):
        field = {"transpose": "axes", "repeat": "factors", "pad": "padding"}[kind]
        shape = {"transpose": "2,2,2", "repeat": "2,4,2", "pad": "2,3,1"}[kind]
        kept = f"""
            graph "g" {{
              %x = input() {{shape = (2,2,2)}} : float[2,2,2] @ "x" "InputLayer"
              %a = {kind}(%x) {{{field} = {change}}} : float[{shape}] @ "a" "Layer"
              return %a
            }}
            """
        same(drop_identity.run(graph_of(kept), Context()), kept)


SCORES = """
    graph "g" {
      %%x = input() {shape = (2, 3)} : float[2,3] @ "x" "InputLayer"
      %%m = affine(%%x)
        {scale = tensor float[1,1] (1.0), bias = tensor float[%s] (%s)} : float[2,3] @ "m" "Add"
      %%s = softmax(%%m) {implementation = "stable"} : float[2,3] @ "s" "Softmax"
      return %%s%s
    }
"""


def masked(shape: str, values: str, also: str = "") -> Graph:
    return masked_softmax.run(graph_of(SCORES % (shape, values, also)), Context())


def test_large_negative_constants_before_a_softmax_are_its_mask() -> None:
    graph = masked("2,3", "0.0, -1e9, 0.0, 0.0, 0.0, -1e4")
    op = graph["s"].op
    assert isinstance(op, Softmax) and op.mask is not None and op.mask.data.tolist() == [[1, 0, 1], [1, 1, 0]]
    assert graph["m"].op.kind == "identity"
    op, shift = (masked("1,3", "2.0, -1e9, 0.0")[name].op for name in ("s", "m"))
    assert isinstance(op, Softmax) and op.mask is not None and op.mask.data.tolist() == [1, 0, 1]
    assert isinstance(shift, Affine) and shift.bias.floats().tolist() == [[2.0, 0.0, 0.0]]


@pytest.mark.parametrize(
    ("shape", "values", "also"),
    [
        ("1,3", "0.0, -9999.0, 0.0", ""),  # a score may be as large
        ("2,1", "0.0, -1e9", ""),  # a row would have nothing
        ("1,3", "0.0, -1e9, 0.0", ", %m"),  # somebody else reads it
    ],
)
def test_other_constants_stay_where_they_are(shape: str, values: str, also: str) -> None:
    graph = masked(shape, values, also)
    assert graph == graph_of(SCORES % (shape, values, also))
