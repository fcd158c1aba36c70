"""The rules of docs/architecture.md that a program can check, read off the sources with `ast`."""

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path

import pytest

import kbuild

PACKAGE = Path(kbuild.__file__).parent
FILES = sorted(path for path in PACKAGE.rglob("*.py") if "_share" not in path.parts)
TREES = {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in FILES}

# A room may import itself and the rooms of the rows above its own. Rooms of one row do not know one another.
ROWS = (
    ("errors", "resources", "parallel", "dataclass"),
    ("fixed", "plugins"),
    ("ir", "config"),
    ("ops",),
    ("emulate",),
    ("frontend", "passes", "emit"),
    ("report",),
    ("tools",),
    ("engines",),
    ("reference",),
    ("flow",),
    ("api", "cli"),
    ("converters", "utils", "model"),
    ("__init__", "__main__"),
)
RANK = {room: rank for rank, rooms in enumerate(ROWS) for room in rooms}

TRAINING = {"keras", "tensorflow", "tf_keras", "torch", "qkeras", "hgq", "jax"}
TRAINING_ALLOWED = {"frontend/keras/live.py", "reference.py"}

DISTRIBUTIONS = {"yaml": "pyyaml"}  # where the name to import is not the name to install
MAX_MODULE_LINES = 450
MAX_FUNCTION_LINES = 60


def room_of(file: str) -> str:
    """`ops/dense.py` → `ops`; `fixed.py` → `fixed`; `__init__.py` → `__init__`."""
    return file.split("/")[0].removesuffix(".py")


def imports_of(file: str) -> Iterator[tuple[int, str]]:
    """(line, absolute dotted name) of everything that the file imports, inside functions too."""
    package = ["kbuild", *file.split("/")[:-1]]
    for node in ast.walk(TREES[file]):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base += node.module.split(".") if node.module else []
            if base == ["kbuild"]:
                yield from ((node.lineno, f"kbuild.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, ".".join(base)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = ast.unparse(node.func)
            if called in ("importlib.import_module", "import_module", "__import__"):
                yield node.lineno, str(node.args[0].value)


def target_room(name: str) -> str:
    """`kbuild.ops.dense` → `ops`; a name that `kbuild/__init__.py` itself defines → `__init__`."""
    room = name.split(".")[1] if "." in name else "__init__"
    return room if room in RANK or (PACKAGE / room).is_dir() or (PACKAGE / f"{room}.py").is_file() else "__init__"


@pytest.mark.parametrize("file", TREES)
def test_imports_go_one_way(file: str) -> None:
    room = room_of(file)
    assert room in RANK, f"{file}: the room {room!r} has no row in the architecture"
    wrong = []
    for line, name in imports_of(file):
        if name.split(".")[0] != "kbuild" or name == "kbuild.__version__":
            continue
        other = target_room(name)
        if other != room and RANK[other] >= RANK[room]:
            wrong.append(f"{file}:{line}: {room} must not import {other} ({name})")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("file", TREES)
def test_training_frameworks_stay_at_the_door(file: str) -> None:
    found = [f"{file}:{line}: {name}" for line, name in imports_of(file) if name.split(".")[0] in TRAINING]
    assert file in TRAINING_ALLOWED or not found, "\n".join(found)


def test_third_party_imports_are_declared() -> None:
    declared = {re.split(r"[^\w.-]", requirement)[0].lower() for requirement in requires("kbuild") or ()}
    wrong = []
    for file in TREES:
        for line, name in imports_of(file):
            top = name.split(".")[0]
            if top == "kbuild" or top in sys.stdlib_module_names or file in TRAINING_ALLOWED:
                continue
            if DISTRIBUTIONS.get(top, top).replace("_", "-").lower() not in declared:
                wrong.append(f"{file}:{line}: {top} is not a dependency in pyproject.toml")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("file", [file for file in TREES if file not in TRAINING_ALLOWED and file != "__main__.py"])
def test_every_module_imports(file: str) -> None:
    name = "kbuild." + file.removesuffix(".py").replace("/", ".")
    importlib.import_module(name.removesuffix(".__init__"))


@pytest.mark.parametrize("file", TREES)
def test_sizes(file: str) -> None:
    lines = len((PACKAGE / file).read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_MODULE_LINES, f"{file}: {lines} lines; is it one thing?"
    long = [
        f"{file}:{node.lineno}: {node.name} is {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(TREES[file])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno >= MAX_FUNCTION_LINES
    ]
    assert not long, "\n".join(long)


@pytest.mark.parametrize("file", TREES)
def test_fields_are_typed_not_looked_up(file: str) -> None:
    """No getattr or setattr with a literal name, no eval or exec, no pickle."""
    wrong = []
    for node in ast.walk(TREES[file]):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            continue
        literal = len(node.args) > 1 and isinstance(node.args[1], ast.Constant)
        if node.func.id in ("eval", "exec") or (node.func.id in ("getattr", "setattr") and literal):
            wrong.append(f"{file}:{node.lineno}: {ast.unparse(node)}")
    wrong += [f"{file}:{line}: {name}" for line, name in imports_of(file) if name in ("pickle", "marshal", "shelve")]
    assert not wrong, "\n".join(wrong)


def test_dataclasses_are_the_light_ones() -> None:
    """See kbuild/dataclass.py: what the standard decorator compiles for each class would be a fifth of a build."""
    found = [f"{file}:{line}" for file in TREES for line, name in imports_of(file) if name == "dataclasses"]
    wrong = [place for place in found if not place.startswith("dataclass.py:")]
    assert not wrong, f"from kbuild.dataclass import dataclass, field, replace: {', '.join(wrong)}"


def test_the_command_starts_light() -> None:
    """What a build with nothing to do must not pay for."""
    heavy = TRAINING | {"h5py", "da4ml", "jsonschema", "matplotlib"}
    code = f"import sys, kbuild.cli; print(*sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
