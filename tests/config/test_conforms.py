"""The quick check of a recipe against jsonschema: on right, nearly right and senseless documents the same verdict."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kbuild.config.schema import Schema, conformance, recipe_schema, resolved, validator

NUMBERS = st.one_of(st.integers(-2, 5), st.sampled_from([0.0, 0.5, 4.0, 1e6, 1e7, 2.0**62, 1 << 41, 1 << 70]))
TEXTS = st.one_of(
    st.text(max_size=3),
    st.sampled_from(["auto", "ap_fixed<16,6>", "fixed<0,0>", "27%", "100%", "int", "a.b", " ", "\t", "x" * 401]),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
ANY = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3))


def values(schema: Schema) -> st.SearchStrategy[Any]:
    """Values that obey a schema, that nearly obey it, and a few that have nothing to do with it."""
    schema = resolved(schema)
    words = [*schema.get("enum", ()), *schema.get("examples", ())]
    words += [schema["default"]] if "default" in schema else []
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    choices = [st.sampled_from(words)] * 4 if words else []
    if "object" in kinds:
        choices += [mappings(schema)] * 4
    if "array" in kinds:
        choices.append(st.lists(values(schema.get("items", {})), max_size=3))
    if {"integer", "number"} & set(kinds):
        bounds = [schema[key] for key in ("minimum", "exclusiveMinimum", "maximum") if key in schema]
        choices.append(st.sampled_from([bound + step for bound in bounds for step in (-1, 0, 1)] or [0]))
    if "string" in kinds:
        choices.append(TEXTS)
    return st.one_of(*choices, SCALARS if choices else ANY)


def mappings(schema: Schema) -> st.SearchStrategy[Any]:
    known = schema.get("properties", {})
    rest = schema.get("additionalProperties")
    others = values(rest) if isinstance(rest, dict) else ANY
    few = st.lists(st.sampled_from(sorted(known)), max_size=3, unique=True) if known else st.just([])
    more = st.dictionaries(TEXTS, st.deferred(lambda: others), max_size=1 if known else 3)

    @st.composite
    def drawn(draw: st.DrawFn) -> dict[str, Any]:
        found = {name: draw(values(known[name])) for name in draw(few)}
        return {**(draw(more) if draw(st.integers(0, 9)) == 0 or not known else {}), **found}

    return drawn()


FULL = {
    "KerasH5": "m.h5", "Backend": "Vitis", "ClockPeriod": 5, "ClockUncertainty": "12.5%", "InputData": None,
    "HLSConfig": {"Model": {"Precision": {"default": "fixed<16,6>"}, "ReuseFactor": 4.0}, "LayerName": {"fc1": {}}},
    "Calibration": {"Ranges": [0, 1]}, "Synthesis": {"run": True}, "Sweep": {"ReuseFactor": [1]}, "Imports": ["a", "b"],
}  # fmt: skip


@settings(max_examples=400)
@given(values(recipe_schema()))
@example(FULL)
@example({**FULL, "Imports": ["a", "a"]})
@example({**FULL, "Imports": [1, 1.0]})
@example({**FULL, "Synthesis": {"run": 1}})
@example({**FULL, "HLSConfig": {"Model": {"ReuseFactor": True}}})
@example({**FULL, "Sweep": {}})
def test_the_verdict_is_that_of_jsonschema(data: Any) -> None:
    assert conformance().certain(data, recipe_schema()) == validator().is_valid(data)


def test_a_right_recipe_is_certain() -> None:
    assert conformance().certain(FULL, recipe_schema())


@pytest.mark.parametrize("keyword", ["const", "not", "oneOf", "patternProperties", "exclusiveMaximum", "contains"])
def test_an_unknown_keyword_is_left_to_jsonschema(keyword: str) -> None:
    assert not conformance().certain("x", {"type": "string", keyword: {}})
