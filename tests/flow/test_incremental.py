"""What runs again after a change, and what does not."""

import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import jsonschema
import numpy as np
import pytest
import yaml

from kbuild.config import load_recipe
from kbuild.errors import RecipeError, StageError, UnsupportedModel
from kbuild.flow import scheduler
from kbuild.flow.build import Build, Event
from kbuild.resources import resource

FIXED = "{Model: {Precision: 'fixed<16,6>'}}"
Make = Callable[..., Path]


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Grows by one with every run of the C++ compiler for a C simulation."""
    import kbuild.engines.csim as csim

    real, calls = csim.compile_shared, []

    def counted(sources: Any, output: Path, **options: Any) -> Path:
        calls.append(output)
        return real(sources, output, **options)

    monkeypatch.setattr(csim, "compile_shared", counted)
    return calls


def build(recipe: Path, to: str = "simulate", fails: bool = False, jobs: int = 1, **keys: str) -> dict[str, str]:
    """Run the stages; their statuses. An error of the only failing stage is raised unless it is expected."""
    events: list[Event] = []
    overrides = [f"{key}={value}" for key, value in keys.items()]
    builds = [Build(one, listener=events.append) for one in load_recipe(recipe, overrides)]
    failures = scheduler.run(builds, scheduler.plan(to), jobs)
    if failures and not fails:
        raise failures[0].error
    return {event.stage: event.status for event in events if event.status is not None}


def reports(recipe: Path) -> dict[str, Any]:
    return {path.stem: json.loads(path.read_text()) for path in (recipe.parent / "out" / "reports").glob("*.json")}


def tree(recipe: Path) -> dict[str, bytes]:
    """OutputDir, without what differs from run to run: how long things took and where they came from."""
    found = {}
    for path in sorted((recipe.parent / "out").rglob("*")):
        if path.is_file() and ".kbuild" not in path.parts:
            content = path.read_bytes()
            if path.suffix == ".json":
                content = json.dumps(_timeless(json.loads(content))).encode()
            found[path.relative_to(recipe.parent).as_posix()] = content
    return found


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(item) for key, item in value.items() if key not in ("seconds", "status")}
    return [_timeless(item) for item in value] if isinstance(value, list) else value


def change_weights(archive: Path) -> None:
    """Other weights of the same shapes and range."""
    with zipfile.ZipFile(archive) as old:
        members = {name: old.read(name) for name in old.namelist()}
    (name,) = (name for name in members if name.endswith(".h5"))
    body = io.BytesIO(members[name])
    with h5py.File(body, "r+") as file:
        file.visititems(lambda _, item: item.__setitem__(..., item[...] * 0.75) if hasattr(item, "shape") else None)
    members[name] = body.getvalue()
    with zipfile.ZipFile(archive, "w") as new:
        for member, content in members.items():
            new.writestr(member, content)


def test_nothing_changed_nothing_runs(project: Make, compiled: list[Path]) -> None:
    recipe = project()
    first = build(recipe)
    assert set(first.values()) == {"done"}
    before = tree(recipe)
    stats = {path: path.stat().st_mtime_ns for path in (recipe.parent / "out").rglob("*")}
    assert set(build(recipe).values()) == {"up to date"}
    assert len(compiled) == 1 and tree(recipe) == before
    assert stats == {path: path.stat().st_mtime_ns for path in (recipe.parent / "out").rglob("*")}


def test_new_weights_do_not_compile(project: Make, compiled: list[Path]) -> None:
    recipe = project(HLSConfig=FIXED)
    build(recipe)
    old = tree(recipe)
    change_weights(recipe.parent / "model.keras")
    statuses = build(recipe)
    assert statuses["parse"] == statuses["simulate"] == "done"
    assert len(compiled) == 1
    assert tree(recipe) != old


def test_another_clock_does_not_parse_optimise_or_compile(project: Make, compiled: list[Path]) -> None:
    recipe = project()
    build(recipe)
    statuses = build(recipe, ClockPeriod="4")
    assert statuses["parse"] == "up to date" and statuses["emit"] == "done"
    assert statuses["optimize"] == "from cache"  # its recipe.lock.yml tells the new clock
    assert len(compiled) == 1
    assert "4" in tree(recipe)["out/build_prj.tcl"].decode() or any(
        b"4" in content for name, content in tree(recipe).items() if name.endswith(".tcl")
    )


def test_another_minimum_only_judges_again(project: Make, compiled: list[Path]) -> None:
    recipe = project(Validation="{Labels: y_test.npy, Metric: accuracy, Minimum: 0.5}")
    build(recipe)
    statuses = build(recipe, **{"Validation.Minimum": "0.6"})
    assert statuses["simulate"] == "from cache" and statuses["emit"] == "up to date"
    assert reports(recipe)["simulate"]["validation"]["minimum"] == 0.6
    with pytest.raises(StageError, match=r"accuracy is 0\.98\d*, below Validation.Minimum 0.999"):
        build(recipe, **{"Validation.Minimum": "0.999"})
    assert reports(recipe)["simulate"]["validation"]["met"] is False
    with pytest.raises(StageError, match=r"below Validation\.Minimum"):  # a failure stays one
        build(recipe, **{"Validation.Minimum": "0.999"})
    assert build(recipe, **{"Validation.Minimum": "0.6"})["simulate"] == "from cache"
    assert len(compiled) == 1


def test_another_folder_takes_all_from_the_cache(project: Make, compiled: list[Path]) -> None:
    one, two = project("one"), project("two")
    build(one)
    statuses = build(two)
    assert {name: status for name, status in statuses.items() if name != "validate"} == {
        "parse": "from cache", "optimize": "from cache", "emit": "from cache", "simulate": "from cache",
    }  # fmt: skip
    assert tree(one) == tree(two) and len(compiled) == 1


def test_the_same_model_under_another_name_is_not_parsed_again(project: Make) -> None:
    one = project("one")
    build(one, to="parse")
    two = project("two", ProjectName="other", KerasModel="renamed.keras", ClockPeriod="7")
    (two.parent / "model.keras").rename(two.parent / "renamed.keras")
    assert build(two, to="parse")["parse"] == "from cache"
    assert reports(two)["parse"]["files"] == ["renamed.keras"]


def test_a_build_without_a_cache_is_the_same(project: Make, own_cache: Path) -> None:
    recipe = project()
    build(recipe)
    before = tree(recipe)
    shutil.rmtree(own_cache)
    shutil.rmtree(recipe.parent / "out")
    assert set(build(recipe, jobs=2).values()) == {"done"}
    assert tree(recipe) == before


def test_an_output_that_was_edited_is_put_right(project: Make) -> None:
    recipe = project()
    build(recipe)
    before = tree(recipe)
    victim = next((recipe.parent / "out" / "firmware").glob("*.cpp"))
    victim.write_text("edited")
    (recipe.parent / "out" / "reports" / "simulate.json").unlink()
    statuses = build(recipe)
    assert statuses["emit"] == statuses["simulate"] == "from cache" and statuses["parse"] == "up to date"
    assert tree(recipe) == before


def test_a_damaged_cache_is_put_right(project: Make, own_cache: Path) -> None:
    recipe = project()
    build(recipe)
    before = tree(recipe)
    for path in own_cache.rglob("*.npy"):
        path.write_bytes(b"garbage")
    shutil.rmtree(recipe.parent / "out")
    statuses = build(recipe)
    assert statuses["parse"] == statuses["optimize"] == "done"
    assert tree(recipe) == before


def test_a_smaller_build_leaves_no_results_of_the_larger_one(project: Make) -> None:
    recipe = project()
    build(recipe)
    build(recipe, to="emit", **{"HLSConfig.Model.Precision": "fixed<12,6>"})
    assert set(reports(recipe)) == {"parse", "optimize"}


def test_reports_and_lock_obey_their_schemas(project: Make) -> None:
    recipe = project(Validation="{Labels: y_test.npy, Metric: accuracy, Minimum: 0.9}", Budget="{LUT: 100000}")
    build(recipe, to="report")
    found = reports(recipe)
    assert set(found) == {"parse", "optimize", "simulate", "build"}
    for name, document in found.items():
        assert document["schema"] == f"kbuild/{name}/1"
        jsonschema.validate(document, json.loads(resource("schemas", f"{name}.schema.json").read_text()))
    lock = yaml.safe_load((recipe.parent / "out" / "recipe.lock.yml").read_text())
    jsonschema.validate(lock, json.loads(resource("schemas", "recipe.lock.schema.json").read_text()))
    stages = {stage["name"]: stage["status"] for stage in found["build"]["stages"]}
    assert stages["synthesize"] == "skipped" and stages["simulate"] == "done"
    assert found["build"]["budget"] == [{"key": "LUT", "limit": 100000.0, "value": None, "met": None}]


@pytest.mark.parametrize(
    "keys",
    [
        {"HLSConfig": "{LayerName: {dense_9: {ReuseFactor: 2}}}"},
        {"InputData": "y_test.npy"},
        {"Validation": "{Reference: y_test.npy}"},
        {"Validation": "{Metric: accuracy, Minimum: 0.5}"},
        {"Calibration": "{Ranges: {other: [0, 1]}}"},
    ],
)
def test_a_wrong_recipe_writes_nothing(project: Make, keys: dict[str, str]) -> None:
    recipe = project(**keys)
    with pytest.raises((RecipeError, UnsupportedModel), match=r"recipe\.yml:\d+:\d+: "):
        build(recipe)
    assert not (recipe.parent / "out").exists()


def test_a_mismatch_fails_the_build_and_is_reported(project: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from kbuild.engines.csim import CSim

    real = CSim.run

    def spoiled(self: CSim, inputs: Any, keep: Any = None) -> Any:
        values = real(self, inputs, keep)
        name = next(node.name for node in self.graph if node.layer.name == "relu_1")
        values[name] = values[name].copy()
        values[name][3, 5] += 1
        return values

    monkeypatch.setattr(CSim, "run", spoiled)
    recipe = project()
    with pytest.raises(StageError, match=r"csim differs .* in the layer relu_1, sample 3, element \[5\]"):
        build(recipe)
    assert reports(recipe)["simulate"]["engines"]["csim"]["mismatches"] == 1


def test_random_inputs_are_named(project: Make) -> None:
    recipe = project(InputData="", Calibration="{Ranges: [0, 1]}")
    build(recipe)
    report = reports(recipe)["simulate"]
    assert report["dataset"]["source"] == "random" and report["notes"] == [report["dataset"]["note"]]
    note = "the inputs are random, from 0 to 1: give InputData for figures that mean something"
    assert report["dataset"]["note"] == note
    assert report["reference"]["samples"] == report["engines"]["csim"]["samples"] == 1000


def test_a_reference_from_a_file(project: Make) -> None:
    recipe = project(Validation="{Reference: ref.npy, Minimum: 0.99}")
    labels = np.load(recipe.parent / "y_test.npy")
    np.save(recipe.parent / "ref.npy", np.eye(10)[labels])
    with pytest.raises(StageError, match=r"argmax_agreement is 0\.98"):
        build(recipe)
    report = reports(recipe)["simulate"]
    assert report["reference"]["source"] == "file"
    np.save(recipe.parent / "ref.npy", np.eye(10)[labels][:-1])
    with pytest.raises(RecipeError, match=r"Validation.Reference: ref.npy has 359 samples, the inputs have 360"):
        build(recipe)


@pytest.mark.parametrize("data", ["x_test.npy", ""])
def test_an_overflow_is_told_with_what_would_be_enough(data: str, project: Make) -> None:
    recipe = project(HLSConfig="{Model: {Precision: 'fixed<10,3>'}}", InputData=data)
    events: list[Event] = []
    scheduler.run([Build(one, listener=events.append) for one in load_recipe(recipe)], scheduler.plan("simulate"))
    first, overflowing, *rest = [event.detail or "" for event in events if event.lasting]
    on = "360 inputs" if data else "1000 random inputs"
    assert first.startswith(f"against the model in floating point, on {on}: argmax equal for ")
    layer = next(layer for layer in reports(recipe)["simulate"]["layers"] if layer["overflows"])
    assert overflowing.startswith(
        f"values overflow in {layer['name']} {layer['overflows']} times in {layer['type']} "
        f"({layer['enough_integer_bits']} integer bits are enough)"
    )
    assert rest == ([] if data else [
        "the inputs are random, from -4 to 3.99: give InputData for figures that mean something, as your data may "
        "overflow less; Precision: auto gives types that fit them"
    ])  # fmt: skip
