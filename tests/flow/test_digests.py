"""Keys: equal for equal content, different for anything that matters."""

import hashlib
from pathlib import Path

import pytest

from kbuild.config import Place, Setting
from kbuild.fixed import FixedType
from kbuild.flow.digests import code_digest, value_digest
from kbuild.flow.files import file_digest, files_below


def test_equal_values_have_equal_digests() -> None:
    assert value_digest({"a": 1, "b": (1.5, None)}) == value_digest({"b": [1.5, None], "a": 1})
    assert value_digest(FixedType(16, 6)) == value_digest(FixedType(16, 6))


def test_everything_that_matters_counts() -> None:
    values: list[object] = [
        None, 0, False, 0.0, -0.0, "", "0", [], {}, [0], {"0": 0}, 1, 1.0, True, "1",
        0.1, 0.1 + 2**-54 * 4, FixedType(16, 6), FixedType(16, 7), FixedType(16, 6, signed=False), "fixed<16,6>",
    ]  # fmt: skip
    digests = [value_digest(value) for value in values]
    assert len(set(digests)) == len(digests)


def test_where_a_setting_stands_does_not_count() -> None:
    here = Setting(4, "recipe.yml:3", "HLSConfig.Model.ReuseFactor", Place("recipe.yml", 3, 5))
    there = Setting(4, "--set", "HLSConfig.LayerName.a.ReuseFactor", Place("--set"))
    assert value_digest(here) == value_digest(there) != value_digest(Setting(5, "recipe.yml:3"))


@pytest.mark.parametrize("value", [Path("x"), object(), b"x", 1j])
def test_what_is_no_content_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        value_digest([value])


def test_code_of_a_room() -> None:
    assert code_digest(("fixed",)) != code_digest(("errors",))
    assert code_digest(("fixed", "errors")) == code_digest(("errors", "fixed"))
    assert code_digest(("backends",))
    with pytest.raises(KeyError, match="no room called nowhere"):
        code_digest(("nowhere",))


def test_file_digest(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    assert file_digest(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20])
def test_digests_of_files_of_any_size(tmp_path: Path, size: int) -> None:
    path = tmp_path / "x"
    content = bytes(range(251)) * (size // 251 + 1)
    path.write_bytes(content[:size])
    assert file_digest(path) == hashlib.sha256(content[:size]).hexdigest()


def test_files_below(tmp_path: Path) -> None:
    for name in ("b", "a/c", "a/d/e", "a.x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "empty").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "b")
    assert files_below(tmp_path) == ["a.x", "a/c", "a/d/e", "b", "link"]
