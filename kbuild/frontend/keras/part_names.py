"""The variables of a layer's quantizers in a file by name: `fc/fc_iq/fixed_point_quantizer_kif_1/f`.

In files by number the same one is `iq/quantizer/0`, and so it is called here. The numbers in the names of parts count
all parts of the model, so that it is the order that tells them apart; it is that of the files by number.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

_QUANTIZER = re.compile(r"fixed_point_quantizer_(kif|kbi)(_\d+)?")
_SEVERAL = re.compile(r"multiple_quantizers(_\d+)?")
_ONE_OF_SEVERAL = re.compile(r"quantizer(_\d+)?")


def by_number(layer: str, stored: Sequence[str]) -> dict[str, str] | None:
    """The dataset of each variable by path and number; None where a part has a name of no quantizer or table."""
    found: dict[str, str] = {}
    counts: dict[str, int] = {}
    several: dict[str, list[str]] = {}
    for dataset in stored:
        names = dataset.removesuffix(":0").split("/")
        path = _path(names[names.index(layer) :], several) if layer in names else None
        if path is None:
            return None
        number = counts[path] = counts.get(path, -1) + 1
        found[f"{path}/{number}" if path else str(number)] = dataset
    return found


def _path(names: list[str], several: dict[str, list[str]]) -> str | None:
    """The path of the part that has a variable; names begin with that of the layer and end with the variable's."""
    path: list[str] = []
    for above, name in pairwise(names[:-1]):
        if name.startswith(f"{above}_"):  # iq, kq, exp_table: called by the layer's own name
            path.append(name.removeprefix(f"{above}_"))
        elif _QUANTIZER.fullmatch(name):
            path.append("quantizer")
        elif _SEVERAL.fullmatch(name):
            path += ["iq", "quantizers"]
        elif _SEVERAL.fullmatch(above) and _ONE_OF_SEVERAL.fullmatch(name):
            known = several.setdefault(above, [])
            if name not in known:
                known.append(name)
            number = known.index(name)
            path.append(f"quantizer_{number}" if number else "quantizer")
        else:
            return None
    return "/".join(path)
