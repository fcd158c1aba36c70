"""docs/api.md is what the docstrings say."""

from pathlib import Path

from kbuild.api.reference import page

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_up_to_date() -> None:
    assert (DOCS / "api.md").read_text(encoding="utf-8") == page(), "python -m kbuild.api.reference > docs/api.md"
