"""recipe.lock.yml: every setting resolved, with where it came from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from kbuild.config.recipe import Recipe, Setting
from kbuild.config.settings import LayerSettings

SCHEMA = "kbuild/recipe.lock/1"

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.]*")


def lock_text(recipe: Recipe, layers: Mapping[str, LayerSettings]) -> str:
    """The lock file as YAML; a precision that is derived is `auto` here. Depends on recipe and model alone."""
    lines = [f"schema: {SCHEMA}", f"name: {_yaml(recipe.name)}", "settings:"]
    lines += _entries(recipe.settings.items(), "  ")
    lines.append("layers:" if layers else "layers: {}")
    for name, settings in layers.items():
        lines.append(f"  {_key(name)}:")
        lines += _entries(settings.items(), "    ")
    return "\n".join(lines) + "\n"


def _entries(settings: Iterable[tuple[str, Setting[Any]]], indent: str) -> list[str]:
    return [
        f"{indent}{_key(key)}: {{value: {_yaml(setting.value)}, from: {_yaml(setting.origin)}}}"
        for key, setting in settings
    ]


def _key(name: str) -> str:
    """A key as YAML; quoted unless it can be nothing but text."""
    words = ("true", "false", "yes", "no", "on", "off", "null", "y", "n")
    return name if _PLAIN.fullmatch(name) and name.lower() not in words else _yaml(name)


def _yaml(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True)  # JSON is YAML
