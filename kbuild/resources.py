"""Where the data folders `backends/`, `schemas/` and `recipes/` are: inside the wheel, or beside it in a checkout."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_SHARE = _PACKAGE / "_share"
ROOT = _SHARE if _SHARE.is_dir() else _PACKAGE.parent


def resource(*parts: str) -> Path:
    """Path of a file or folder under `backends/`, `schemas/` or `recipes/`, e.g. `resource("schemas", "x.json")`."""
    path = ROOT.joinpath(*parts)
    if not path.exists():
        raise FileNotFoundError(f"kbuild's own file {'/'.join(parts)} is missing; reinstall kbuild")
    return path
