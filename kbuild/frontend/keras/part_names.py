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
_CELL = re.compile(r"(qgru|q_gru|simple_rnn|q_simple_rnn)_cell(_\d+)?")
_OF_CELLS = ("sq", "kq", "rkq", "bq", "paq")  # of QSimpleRNN, whose cell does not put its own name before them
_SOFTMAX = re.compile(r"q_softmax(_\d+)?")
_FEWER_PLACES = re.compile(r"q_einsum_dense(_\d+)?")
_PROJECTIONS = {"query": "query_dense", "key": "key_dense", "value": "value_dense", "attention_output": "output_dense"}


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
    for place, (above, name) in enumerate(pairwise(names[:-1])):
        if place == 0 and (part := _of_layer(name, several)) is not None:
            path.append(part)
        elif name.startswith(f"{above}_"):  # iq, kq, exp_table: called by the layer's own name
            path.append(name.removeprefix(f"{above}_"))
        elif _QUANTIZER.fullmatch(name):
            path.append("quantizer")
        elif _SEVERAL.fullmatch(name):
            path += ["iq", "quantizers"]
        elif _SEVERAL.fullmatch(above) and _ONE_OF_SEVERAL.fullmatch(name):
            number = _number(name, several.setdefault(above, []))
            path.append(f"quantizer_{number}" if number else "quantizer")
        elif _CELL.fullmatch(above) and name in _OF_CELLS:
            path.append(name)
        else:
            return None
    return "/".join(path)


def _of_layer(name: str, several: dict[str, list[str]]) -> str | None:
    """A part of a recurrent or an attention layer, which the layer's own name is not in."""
    if _CELL.fullmatch(name):
        return "cell"
    if _SOFTMAX.fullmatch(name):
        return "softmax"
    if _FEWER_PLACES.fullmatch(name):  # the second is there only where keys and values do not share it
        return ("lin_k_proj", "lin_v_proj")[min(_number(name, several.setdefault("", [])), 1)]
    return _PROJECTIONS.get(name)


def _number(name: str, known: list[str]) -> int:
    """The place of a name among those of its kind, by the order of the file."""
    if name not in known:
        known.append(name)
    return known.index(name)
