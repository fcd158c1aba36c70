"""Where data folders are: `backends/`, `schemas/`, `recipes/` in the wheel or the checkout, and the user's cache."""

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_SHARE = _PACKAGE / "_share"
ROOT = _SHARE if _SHARE.is_dir() else _PACKAGE.parent


def resource(*parts: str) -> Path:
    """Path of a file under `backends/`, `schemas/` or `recipes/`, e.g. `resource("schemas", "x.json")`."""
    path = ROOT.joinpath(*parts)
    if not path.exists():
        raise FileNotFoundError(f"kbuild's own file {'/'.join(parts)} is missing; reinstall kbuild")
    return path


def user_cache() -> Path:
    """The user's cache folder of kbuild: `$KBUILD_CACHE`, else `kbuild` in `$XDG_CACHE_HOME` or `~/.cache`.

    It may not exist yet. Everything in it can be removed at any time.
    """
    own = os.environ.get("KBUILD_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kbuild"
