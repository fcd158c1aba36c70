"""What a backend can do, as it declares it in `backends/<name>/target.yml`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from kbuild.dataclass import dataclass
from kbuild.resources import resource


@dataclass(frozen=True)
class Backend:
    """The capability table of a backend and its defaults."""

    name: str  # as in the recipe
    tool: str  # the synthesis tool, by its name in kbuild.tools
    language: str  # what is printed for it: "hls" or "verilog"
    dialect: str  # spelling of types in C++: "ap" or "ac"
    default_part: str
    clock_uncertainty: float  # fraction of the clock period
    io_types: tuple[str, ...]
    strategies: Mapping[str, tuple[str, ...]]  # by op kind
    ops: Mapping[str, tuple[str, ...]]  # io types by op kind
    reuse_factor: str  # "any", or "1" where only a reuse factor of one is printed
    limits: Mapping[str, int]
    folder: str  # under backends/

    def supports(self, kind: str, io_type: str) -> bool:
        """Whether an op can be printed with an io type."""
        return io_type in self.ops.get(kind, ())


def all_backends() -> dict[str, Backend]:
    """Every backend by its name in the recipe: each folder of `backends/` that has a `target.yml`."""
    found = [_read(file.parent.name) for file in sorted(resource("backends").glob("*/target.yml"))]
    return {backend.name: backend for backend in found}


def find_backend(name: str) -> Backend | None:
    """The backend of a name in the recipe, in the folder of that name in small letters; None where there is none."""
    folder = name.lower()
    if not (resource("backends") / folder / "target.yml").is_file():
        return None
    found = _read(folder)
    return found if found.name == name else None


def load_backend(name: str) -> Backend:
    """As `find_backend`. Raises KeyError, naming those there are."""
    found = find_backend(name)
    if found is None:
        raise KeyError(f"no backend is called {name}; there are {', '.join(all_backends())}")
    return found


@cache
def _read(folder: str) -> Backend:
    import yaml

    text = resource("backends", folder, "target.yml").read_text(encoding="utf-8")
    loader: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
    data: dict[str, Any] = yaml.load(text, Loader=loader)
    known = {
        "name",
        "tool",
        "language",
        "dialect",
        "default_part",
        "clock_uncertainty",
        "io_types",
        "strategies",
        "ops",
        "reuse_factor",
        "limits",
    }
    missing = known - set(data)
    if missing:
        raise ValueError(f"backends/{folder}/target.yml lacks {', '.join(sorted(missing))}")
    return Backend(
        name=data["name"],
        tool=data["tool"],
        language=data["language"],
        dialect=data["dialect"],
        default_part=data["default_part"],
        clock_uncertainty=float(data["clock_uncertainty"]),
        io_types=tuple(data["io_types"]),
        strategies={kind: tuple(names) for kind, names in data["strategies"].items()},
        ops={kind: tuple(names) for kind, names in data["ops"].items()},
        reuse_factor=str(data["reuse_factor"]),
        limits={key: int(value) for key, value in data["limits"].items()},
        folder=folder,
    )
