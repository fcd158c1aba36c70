"""The schema itself, its reference page, parts and names, and what importing the package costs."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import kbuild
from kbuild.config import find_part, known_parts
from kbuild.config.identifiers import check_identifier
from kbuild.config.reference import reference
from kbuild.config.schema import default_of, percent, recipe_schema, resolved, schema_at, validation_errors

PAGE = Path(kbuild.__file__).parent.parent / "docs" / "recipe.md"

# Keywords that messages.py turns into sentences, or that carry no rule.
EXPLAINED = {"type", "enum", "format", "pattern", "minimum", "maximum", "exclusiveMinimum", "minItems", "maxItems"}
EXPLAINED |= {"minProperties", "minLength", "maxLength", "uniqueItems", "additionalProperties"}
STRUCTURE = {"properties", "items", "$ref", "propertyNames", "$defs", "$schema", "$id", "$comment", "title"}
NOTES = {"description", "examples", "default", "deprecated", "x-means", "x-anyCase", "x-spellings"}
NOTES |= {"x-default", "x-defaultByBackend"}


def subschemas(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield path, schema
    for keyword in ("properties", "$defs"):
        for name, inner in schema.get(keyword, {}).items():
            yield from subschemas(inner, f"{path}/{name}")
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            yield from subschemas(schema[keyword], f"{path}/{keyword}")


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(recipe_schema())


def test_every_key_is_described_and_every_keyword_has_a_message() -> None:
    for path, schema in subschemas(recipe_schema()):
        assert set(schema) <= EXPLAINED | STRUCTURE | NOTES, path
        if "items" not in path.split("/")[-1:] and "additionalProperties" not in path.split("/")[-1:]:
            assert resolved(schema).get("description"), path
        if "minimum" in schema or "exclusiveMinimum" in schema:
            assert "maximum" in schema, path
        if "properties" in schema:
            assert schema["additionalProperties"] is False, path


def test_every_default_and_example_is_valid() -> None:
    for path, schema in subschemas(recipe_schema()):
        values = list(schema.get("examples", ())) + list(schema.get("x-defaultByBackend", {}).values())
        values += [schema["default"]] if "default" in schema else []
        flat = {**schema, "$defs": recipe_schema()["$defs"]}
        for value in values:
            assert Draft202012Validator(flat).is_valid(value), (path, value)


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), "run python -m kbuild.config.reference > docs/recipe.md"


def test_the_page_links_to_its_own_headings() -> None:
    text = reference()
    headings = re.findall(r"^##? (.+)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9_-]", "", heading.lower().replace(" ", "-")) for heading in headings}
    assert set(re.findall(r"\(#([^)]+)\)", text)) <= anchors


def test_a_valid_recipe_has_no_errors() -> None:
    assert list(validation_errors({"KerasH5": "m.h5", "HLSConfig": {"Model": {"Precision": "auto"}}})) == []


def test_schema_at() -> None:
    reuse = schema_at(("HLSConfig", "LayerName", "anything", "ReuseFactor"))
    assert reuse is not None
    assert reuse["minimum"] == 1
    assert schema_at(("HLSConfig", "Model", "Nothing")) is None
    assert schema_at(("Imports", 0)) is not None


@pytest.mark.parametrize("backend", recipe_schema()["properties"]["Backend"]["enum"])
def test_the_default_part_belongs_to_its_backend(backend: str) -> None:
    assert backend in find_part(default_of("Part", backend)).backends


@pytest.mark.parametrize("name", known_parts())
def test_known_parts_are_found(name: str) -> None:
    part = find_part(name)
    assert part.backends
    assert all(backend in recipe_schema()["properties"]["Backend"]["enum"] for backend in part.backends)
    assert ("Yosys" in part.backends) == bool(part.synth)
    assert name in known_parts(part.backends[0])
    if part.available:
        assert part.available.lut > 0
        assert part.available.ff > 0


@pytest.mark.parametrize(
    ("name", "family", "device", "synth", "lut"),
    [
        ("LFE5U-85F-6BG381C", "ecp5", "LFE5U-85F", "synth_ecp5", 83640),
        ("LFE5UM5G-45F-8BG554C", "ecp5", "LFE5UM5G-45F", "synth_ecp5", 43848),
        ("ice40-up5k", "ice40", "iCE40UP5K", "synth_ice40", 5280),
        ("iCE40HX8K-CT256", "ice40", "iCE40HX8K", "synth_ice40", 7680),
        ("GW1NR-LV9QN88PC6/I5", "gowin", "GW1NR-LV9", "synth_gowin", 8640),
        ("xc7a35tcpg236-1", "xilinx7", "xc7a35t", "synth_xilinx", 20800),
        ("XC7Z020CLG400-1", "xilinx7", "xc7z020", "synth_xilinx", 53200),
        ("xcku115-flvb2104-2-i", "ultrascale", "xcku115", "synth_xilinx", 663360),
        ("xcvu9p-flga2577-2-e", "ultrascale-plus", "xcvu9p", "synth_xilinx", 1182240),
        ("xczu9eg-ffvb1156-2-e", "ultrascale-plus", "xczu9", "synth_xilinx", 274080),
        ("xczu19eg-ffvc1760-2-e", "ultrascale-plus", "xczu19", "synth_xilinx", 522720),
        ("xcku5p-ffvb676-2-e", "ultrascale-plus", "xcku5p", "synth_xilinx", 216960),
        ("xcu250-figd2104-2L-e", "ultrascale-plus", "xcu250", "synth_xilinx", 1728000),
        ("5CSEBA6U23I7", "cyclonev", "5CSEBA6", "synth_intel_alm", 83820),
        ("Arria10", "intel", "Arria10", "", 854400),
        ("xcvu31p-fsvh1924-2-e", "ultrascale-plus", "", "synth_xilinx", None),
    ],
)
def test_parts(name: str, family: str, device: str, synth: str, lut: int | None) -> None:
    part = find_part(name)
    assert (part.name, part.family, part.device) == (name, family, device)
    assert (part.synth[:1] or ("",)) == (synth,)
    assert (part.available.lut if part.available else None) == lut


@pytest.mark.parametrize("name", ["", "xc", "LFE5U-99F", "LFE5U-85F-6BG381C; ls", "ice40", "xcvu13p\n-1", "iCE40UP9K"])
def test_unknown_parts(name: str) -> None:
    with pytest.raises(ValueError, match=r"is no known part; (did you mean|known are for example) "):
        find_part(name)


@pytest.mark.parametrize("name", ["net", "_net", "my_project", "Net2", "N"])
def test_identifiers(name: str) -> None:
    check_identifier(name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "no C identifier"),
        ("2net", "no C identifier"),
        ("my net", "no C identifier"),
        ("näher", "no C identifier"),
        ("net\n", "no C identifier"),
        ("int", r"a keyword of C\+\+"),
        ("wire", "a keyword of Verilog"),
        ("ENTITY", "a keyword of VHDL"),
        ("puts", "a keyword of Tcl"),
    ],
)
def test_names_that_are_none(name: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        check_identifier(name)


def test_percentages() -> None:
    assert [percent(text) for text in ("27%", "12.5 %", " 0% ", ".5%")] == [0.27, 0.125, 0.0, 0.005]


def test_a_right_recipe_is_read_without_jsonschema(tmp_path: Path) -> None:
    (tmp_path / "model.h5").touch()
    (tmp_path / "recipe.yml").write_text("KerasH5: model.h5\nHLSConfig: {Model: {Precision: 'fixed<16,6>'}}\n")
    load = f"from kbuild.config import *; load_recipe({str(tmp_path / 'recipe.yml')!r})"
    code = f"import sys; {load}; print('jsonschema' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_importing_loads_neither_jsonschema_nor_yaml_nor_numpy() -> None:
    code = "import sys, kbuild.config; print([m for m in ('jsonschema', 'yaml', 'numpy') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
