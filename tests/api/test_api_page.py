"""docs/api.md is what the docstrings say, and they say something of everything that is public."""

import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kbuild.api import reference

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_up_to_date() -> None:
    page = reference.page()
    assert (DOCS / "api.md").read_text(encoding="utf-8") == page, "python -m kbuild.api.reference > docs/api.md"


def public() -> Iterator[tuple[str, Any]]:
    for name in reference._MODULES:
        module = importlib.import_module(name)
        yield from ((f"{name}.{item}", vars(module)[item]) for item in module.__all__)
    for path in reference._CLASSES:
        module_name, _, name = path.rpartition(".")
        kind = vars(importlib.import_module(module_name))[name]
        yield path, kind
        yield from ((f"{path}.{key}", value) for key, value in vars(kind).items() if not key.startswith("_"))


FUNCTIONS = [(name, value) for name, value in public() if inspect.isfunction(value)]
DESCRIBED = [
    (name, value)
    for name, value in public()
    if inspect.isfunction(value) or inspect.isclass(value) or isinstance(value, property)
]


@pytest.mark.parametrize(("name", "value"), DESCRIBED, ids=[name for name, _ in DESCRIBED])
def test_everything_public_is_described(name: str, value: Any) -> None:
    inherited = [vars(base).get(name.rpartition(".")[2]) for base in inspect.getmro(owner(name))] if owner(name) else []
    assert inspect.getdoc(value) or any(inspect.getdoc(base) for base in inherited if base is not None)


def owner(name: str) -> Any:
    """The class that a method is of; None for anything else."""
    path = name.rpartition(".")[0]
    module, _, cls = path.rpartition(".")
    return vars(importlib.import_module(module))[cls] if path in reference._CLASSES else None


@pytest.mark.parametrize(("name", "value"), FUNCTIONS, ids=[name for name, _ in FUNCTIONS])
def test_everything_public_is_typed(name: str, value: Any) -> None:
    signature = inspect.signature(value)
    assert signature.return_annotation is not inspect.Signature.empty
    given = [one for one in signature.parameters.values() if one.name not in ("self", "cls")]
    missing = [one.name for one in given if one.annotation is one.empty]
    assert not missing
