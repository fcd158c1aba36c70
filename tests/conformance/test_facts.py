"""The documents say what `kbuild layers` says, and the run has every layer and documents every refusal."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conformance.catalog import KERAS, QUANTIZED, CaseId, all_layers, draw, generators
from conformance.refusals import reason_of, refusals
from kbuild.cli import layers, support
from kbuild.frontend.keras import supported_layers

ROOT = Path(__file__).parents[2]


def test_the_run_has_every_layer() -> None:
    assert list(support.recorded().layers) == all_layers()
    assert support.recorded().cases >= 1000
    assert [facts.name for facts in support.recorded().layers.values() if facts.failed] == []


def test_layers_document() -> None:
    """Made by `kbuild layers --markdown > docs/layers.md`."""
    assert (ROOT / "docs" / "layers.md").read_text(encoding="utf-8") == layers.markdown()


def test_table_of_the_readme() -> None:
    """Made by `kbuild layers --summary`, between the marks."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- kbuild layers --summary -->\n(.*?)<!-- end -->", text, re.DOTALL)
    assert found is not None and found[1] == layers.summary()


def test_refusals_are_documented() -> None:
    """docs/conformance.md has every reason with its explanation, in the order of the file."""
    text = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")
    listed = [line for line in text.splitlines() if line.startswith("- **")]
    assert listed == [f"- **{refusal.reason}**: {refusal.why}" for refusal in refusals()]
    assert len({refusal.reason for refusal in refusals()}) == len(refusals())


def test_an_undocumented_refusal_is_none() -> None:
    assert reason_of('"x" (Lambda): its code is not in the file') == "Lambda"
    assert reason_of('one layer cannot become hardware:\n"x" (Lambda): its code is not in the file') == "Lambda"
    assert reason_of('"x" (Dense): something new') is None
    assert reason_of('"x" (Lambda): its code is not in the file\n"y" (Dense): something new') is None


def test_every_class_that_is_read_is_listed() -> None:
    listed = {support._key(name) for name in support.recorded().layers} | set(map(support._key, support.others()))
    assert {support._key(name) for name in supported_layers()} <= listed


def test_cases_have_names() -> None:
    drawn = list(draw(400, 3))
    assert drawn == list(draw(400, 3)) and drawn != list(draw(400, 4))
    assert len(set(map(str, drawn))) == 400
    assert [CaseId.parse(str(case)) for case in drawn] == drawn
    assert {(c.layer, c.answered_by) for c in drawn} == {(n, of) for of in KERAS for n in generators(of)}
    quantized = list(draw(200, 3, QUANTIZED))
    assert {(c.layer, c.answered_by) for c in quantized} == {(n, of) for of in QUANTIZED for n in generators(of)}
    with pytest.raises(ValueError, match="no case is called"):
        CaseId.parse("Dense/keras4/1")
