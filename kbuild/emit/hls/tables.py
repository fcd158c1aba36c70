"""The tables through which the library of a C simulation knows its design: `backends/csim/library.h`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kbuild.emit.hls.design import Constant


def table(of: str, name: str, entries: Iterable[object]) -> list[str]:
    """A C++ array, which is never empty."""
    return [f"static const {of} {name}[] = {{", *(f"    {entry}," for entry in list(entries) or ["{}"]), "};"]


def array(struct: str, member: str) -> str:
    """Where an array lies in a struct."""
    return f"{{offsetof({struct}, {member}), sizeof({struct}::{member})}}"


def constants_struct(constants: Sequence[Constant]) -> list[str]:
    """The struct of weights and tables."""
    return ["struct Constants {", *(f"    {c.spell()} {c.name}[{c.size}];" for c in constants), "};"]


def constants_table(constants: Sequence[Constant]) -> list[str]:
    """Where each of them is."""
    return [
        *table("kbuild::array", "constants", (array("Constants", c.name) for c in constants)),
        "const kbuild::constants_table kbuild::constants = {sizeof(Constants), ::constants};",
    ]
