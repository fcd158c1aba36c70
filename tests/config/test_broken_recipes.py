"""Every recipe in broken/ gives exactly the lines that stand in its `# expect:` comments."""

import re
from pathlib import Path

import pytest

from kbuild.config import load_recipe
from kbuild.errors import RecipeError

BROKEN = sorted((Path(__file__).parent / "broken").glob("*.yml"))
EXPECT = "# expect: "


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files that the recipes may name."""
    for name in ("model.h5", "model.json", "model.keras", "x.npy", "x.csv"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "data").mkdir()
    return tmp_path


def messages(folder: Path, text: str | bytes, *overrides: str) -> list[str]:
    """The error's lines, with the folder cut off."""
    path = folder / "r.yml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(RecipeError) as caught:
        load_recipe(path, overrides)
    assert caught.value.exit_code == 2
    return [line.removeprefix(f"{folder}/") for line in str(caught.value).split("\n")]


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_broken_recipe(folder: Path, path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    expected = [line.removeprefix(EXPECT) for line in text.splitlines() if line.startswith(EXPECT)]
    assert expected, "the file says nothing about what to expect"
    assert messages(folder, text) == expected


def test_there_are_many() -> None:
    assert len(BROKEN) >= 45


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_every_message_says_what_is_wrong_and_what_would_be_right(folder: Path, path: Path) -> None:
    for line in messages(folder, path.read_bytes()):
        assert re.fullmatch(r"r\.yml:\d+:\d+: ([^;]+: )?[^;]+; .+", line), line
