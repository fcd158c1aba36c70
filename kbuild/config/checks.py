"""What the schema cannot say: files, parts, combinations of keys."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kbuild.config.build import output_dir
from kbuild.config.parts import part_problem
from kbuild.config.places import KeyPath, Place, Problem
from kbuild.config.schema import default_of, properties, recipe_schema, resolved
from kbuild.config.suggestions import nearest
from kbuild.config.sweep import sweep_problems
from kbuild.config.yaml_positions import Document

_ARRAYS = (".npy", ".npz", ".dat")
_DATA_KEYS = {"InputData", "OutputPredictions", "Data", "Reference", "Labels"}


def semantic_problems(document: Document, base_dir: Path, wrong: set[KeyPath], live: bool) -> list[Problem]:
    """Problems beyond the schema; values that the schema already refused (`wrong`) are left alone."""
    checks = _Checks(document, base_dir, wrong)
    return [
        *checks.model(live),
        *checks.files(),
        *checks.part(),
        *checks.output(),
        *checks.ranges(),
        *checks.labels(),
        *checks.strategy(),
        *sweep_problems(document, wrong),
    ]


class _Checks:
    def __init__(self, document: Document, base_dir: Path, wrong: set[KeyPath]) -> None:
        self._document = document
        self._base_dir = base_dir
        self._wrong = wrong

    def _value(self, *path: str) -> Any:
        """The value at a path, or None where there is none or the schema refused it."""
        value: Any = self._document.data
        for length, part in enumerate(path, 1):
            if path[:length] in self._wrong or not isinstance(value, dict):
                return None
            value = value.get(part)
        return value

    def _problem(self, path: KeyPath, message: str, at_key: bool = False) -> Problem:
        place = self._document.key_place(path) if at_key else self._document.place(path)
        return Problem(place, self._document.key(path), message)

    def model(self, live: bool) -> Iterator[Problem]:
        """Exactly one model, said in one of the three ways."""
        given = self._document.data
        has = {key: given.get(key) is not None for key in ("KerasH5", "KerasJson", "KerasModel")}
        has["KerasModel"] |= live
        if has["KerasModel"] and (has["KerasH5"] or has["KerasJson"]):
            other = "KerasH5" if has["KerasH5"] else "KerasJson"
            yield self._problem((other,), f"{other} and KerasModel are two models; delete one of the two", True)
        elif has["KerasJson"] and not has["KerasH5"]:
            message = "the weights are missing; add KerasH5 with the file of the weights"
            yield self._problem(("KerasJson",), message, True)
        elif not any(has.values()) and not any((key,) in self._wrong for key in has):
            message = "no model is given; add KerasH5, KerasJson with KerasH5, or KerasModel"
            yield Problem(self._document.start, "", message)

    def files(self) -> Iterator[Problem]:
        """Every file that is read has to be there and of a kind that the key takes."""
        yield from self._files(self._document.data, resolved(recipe_schema()), ())

    def _files(self, data: dict[str, Any], schema: Any, path: KeyPath) -> Iterator[Problem]:
        for name, value in data.items():
            if name not in properties(schema) or (here := (*path, name)) in self._wrong:
                continue
            sub = resolved(properties(schema)[name])
            if isinstance(value, dict):
                yield from self._files(value, sub, here)
            elif isinstance(value, str) and sub.get("format") == "path" and name != "OutputDir":
                message = self._file_message(name, value)
                if message is not None:
                    yield self._problem(here, message)

    def _file_message(self, name: str, value: str) -> str | None:
        path = self._base_dir / value
        suffix = path.suffix.lower()
        if name in _DATA_KEYS and suffix not in _ARRAYS:
            return f'"{value}" is no data file; write a {", ".join(_ARRAYS[:-1])} or {_ARRAYS[-1]} file'
        if name == "KerasH5" and suffix == ".keras":
            return f'"{value}" is a .keras archive; write KerasModel instead of KerasH5'
        if name == "KerasModel" and suffix != ".keras":
            remedy = "write KerasH5 instead of KerasModel" if suffix in (".h5", ".hdf5") else "save the model as .keras"
            return f'"{value}" is no .keras archive; {remedy}'
        try:
            if path.is_file():
                return None
            if path.is_dir():
                return f'"{value}" is a folder; write the path of a file'
        except (OSError, ValueError):
            return f'"{value}" is no usable path; write the path of a file'
        return f'there is no file "{value}"; {self._file_remedy(path)}'

    def _file_remedy(self, path: Path) -> str:
        """The most similar file beside the missing one, else where paths begin."""
        try:
            with os.scandir(path.parent) as entries:
                siblings = sorted(entry.name for entry in entries if entry.is_file())
        except OSError:
            siblings = []
        match = nearest(path.name, siblings)
        if match is not None:
            return f"did you mean {os.path.relpath(path.parent / match, self._base_dir)}?"
        return "paths are relative to the recipe's folder"

    def part(self) -> Iterator[Problem]:
        """The part exists and the backend can target it."""
        if ("Backend",) in self._wrong or ("Part",) in self._wrong:
            return
        name, backend = self._value("Part"), self._value("Backend") or default_of("Backend", "")
        if name is not None and (message := part_problem(name, backend)) is not None:
            yield self._problem(("Part",), message)

    def output(self) -> Iterator[Problem]:
        """OutputDir is a folder of its own: cleaning it must not delete the recipe or the model."""
        if ("OutputDir",) in self._wrong or ("ProjectName",) in self._wrong:
            return
        folder = output_dir(self._document.data, self._base_dir)
        if folder == self._base_dir or folder in self._base_dir.parents:
            message = "the build would lie over the recipe's own folder; write a folder inside it, such as build"
            yield self._problem(("OutputDir",), message)
        elif folder.exists() and not folder.is_dir():
            yield self._problem(("OutputDir",), "this is a file; write the path of a folder")

    def ranges(self) -> Iterator[Problem]:
        """Each range goes upwards."""
        ranges = self._value("Calibration", "Ranges")
        path: KeyPath = ("Calibration", "Ranges")
        named = ranges.items() if isinstance(ranges, dict) else [(None, ranges)] if ranges else []
        for name, pair in named:
            here = path if name is None else (*path, name)
            if not any(bad[: len(here)] == here for bad in self._wrong) and pair[0] > pair[1]:
                message = f"{pair[0]} is larger than {pair[1]}; write the smallest value first"
                yield self._problem(here, message)

    def labels(self) -> Iterator[Problem]:
        """Accuracy needs labels."""
        if self._value("Validation", "Metric") == "accuracy" and self._value("Validation", "Labels") is None:
            message = "accuracy needs the true classes; add Validation.Labels, or write argmax_agreement"
            yield self._problem(("Validation", "Metric"), message)

    def strategy(self) -> Iterator[Problem]:
        """A softmax's implementation is no strategy of a whole model."""
        word = self._value("HLSConfig", "Model", "Strategy")
        if word in ("Stable", "Argmax", "Legacy"):
            message = f"{word} is an implementation of softmax; write Implementation: {word.lower()}"
            yield self._problem(("HLSConfig", "Model", "Strategy"), message)


def shared_output_problems(documents: list[tuple[Document, Path]]) -> list[Problem]:
    """Recipes of one file must not build over each other."""
    first: dict[Path, Place] = {}
    problems = []
    for document, folder in documents:
        if folder in first:
            message = f"the recipe in line {first[folder].line} builds there too; give each its own OutputDir"
            problems.append(Problem(document.place(("OutputDir",)), "OutputDir", message))
        first.setdefault(folder, document.start)
    return problems
