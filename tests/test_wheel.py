"""The wheel holds the package and all of its data, and nothing else."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DATA = ("backends", "schemas", "recipes")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names in a wheel built from this checkout, without network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(folder), str(ROOT)], check=True)
    (path,) = folder.glob("kbuild-*.whl")
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


def tracked(*folders: str) -> set[str]:
    listing = subprocess.run(["git", "ls-files", *folders], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(listing.stdout.splitlines())


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a checkout: what belongs in the wheel is what git has")
def test_everything_tracked_is_in_the_wheel(wheel: set[str]) -> None:
    expected = tracked("kbuild") | {f"kbuild/_share/{name}" for name in tracked(*DATA)}
    assert expected - wheel == set()


def test_nothing_built_is_in_the_wheel(wheel: set[str]) -> None:
    top = {name.split("/")[0] for name in wheel}
    assert {name for name in top if not name.endswith(".dist-info")} == {"kbuild"}
    built = [name for name in wheel if name.startswith("kbuild/_share/recipes/") and "/build/" in name]
    assert built + [name for name in wheel if "__pycache__" in name] == []


def test_license_is_in_the_wheel(wheel: set[str]) -> None:
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel)
