"""Whatever a file says under whatever key: a recipe or a RecipeError, never another exception; twice the same."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kbuild.config import load_recipe, recipe_from_dict
from kbuild.config.schema import properties, recipe_schema, resolved
from kbuild.errors import RecipeError

WORDS = st.sampled_from(
    ["auto", "fixed<16,6>", "ap_fixed<8,3", "model.h5", "x.npy", "xc7a35t", "27%", "Stable", ".", ""]
)
ODD = (
    st.none()
    | st.booleans()
    | st.integers(-2, 70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | WORDS
    | st.text()
)
ANY = st.recursive(
    ODD, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(), inner, max_size=3), max_leaves=6
)


def values(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Values that often obey a schema, and often not quite."""
    schema = resolved(schema)
    kinds = [ANY]
    if "enum" in schema:
        kinds += [st.sampled_from(schema["enum"])] * 3
    if "examples" in schema:
        kinds += [st.sampled_from(schema["examples"])] * 3
    if properties(schema):
        kinds += [st.fixed_dictionaries({}, optional={k: values(v) for k, v in properties(schema).items()})] * 6
    elif isinstance(schema.get("additionalProperties"), dict):
        names = st.sampled_from(
            ["fc1", "Dense", "a.b", "ReuseFactor", "HLSConfig.Model.Precision.weight", "..", "Part"]
        )
        kinds += [st.dictionaries(names, values(schema["additionalProperties"]), max_size=2)] * 4
    return st.one_of(kinds)


RECIPES = st.fixed_dictionaries(
    {}, optional={key: values(schema) for key, schema in properties(recipe_schema()).items()}
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fuzz")
    for name in ("model.h5", "x.npy"):
        (path / name).write_bytes(b"")
    return path


@settings(max_examples=80, deadline=None)
@given(RECIPES, st.booleans())
def test_any_recipe_is_judged(folder: Path, data: dict[str, Any], with_model: bool) -> None:
    if with_model:
        data = {"KerasH5": "model.h5", **{key: value for key, value in data.items() if not key.startswith("Keras")}}
    path = folder / "r.yml"
    path.write_text(yaml.safe_dump(data, allow_unicode=True, sort_keys=False), encoding="utf-8")
    try:
        (recipe,) = load_recipe(path)
    except RecipeError as error:
        first = str(error)
        assert first
        for line in first.split("\n"):
            assert line.startswith(f"{path}:")
        with pytest.raises(RecipeError) as again:
            load_recipe(path)
        assert str(again.value) == first
    else:
        assert recipe.settings["KerasH5"].origin == "r.yml:1" or not with_model


@settings(max_examples=60, deadline=None)
@given(RECIPES)
def test_any_dictionary_is_judged(folder: Path, data: dict[str, Any]) -> None:
    try:
        recipe = recipe_from_dict(data, folder)
    except RecipeError as error:
        assert all("; " in line for line in str(error).split("\n"))
    else:
        assert recipe.base_dir == folder


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=30) | st.builds("{}={}".format, st.sampled_from(["ClockPeriod", "HLSConfig.Model"]), ANY))
def test_any_override_is_judged(folder: Path, override: str) -> None:
    path = folder / "o.yml"
    path.write_text("KerasH5: model.h5\n")
    try:
        load_recipe(path, [override])
    except RecipeError as error:
        assert all(line.startswith("--set: ") for line in str(error).split("\n"))
