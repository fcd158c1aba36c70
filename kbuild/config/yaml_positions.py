"""YAML text → plain data, with the place of every key and value.

Built from the parser's events rather than from its loader: nothing but mappings, lists, text, numbers, booleans and
null can come out, the depth and the number of values (aliases count each time they are used) are bounded, and a
duplicate key is seen. Plain scalars are read as in YAML 1.1's booleans (`yes`, `on`) and YAML 1.2's numbers, so that
`1e-3` is a number while `010` and `1:30` are not silently 8 and 90.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kbuild.config.places import KeyPath, Place, Problem, key_text, raise_problems
from kbuild.dataclass import dataclass, field

if TYPE_CHECKING:
    import yaml

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_VALUES = 100_000

Data = dict[str, Any]

_TAG = "tag:yaml.org,2002:"
_INTEGER = re.compile(r"(?=.{1,40}$)([-+]?(0|[1-9][0-9]*(_[0-9]+)*)|0x[0-9a-fA-F]+)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]{1,4})?|[-+]?[0-9]+[eE][-+]?[0-9]{1,4}")
_PLAIN = re.compile("[\t\n\r -~]*")
_CONTROL = "[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"  # YAML 1.1, 5.1; 10 ms to compile
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("true", "yes", "on"), True),
    **dict.fromkeys(("false", "no", "off"), False),
    **dict.fromkeys(("null", "~", ""), None),
}


@dataclass
class _Node:
    place: Place
    scalar: Any = None
    items: list[_Node] | None = None
    pairs: list[tuple[_Node, _Node]] | None = None
    merge: bool = False
    open: bool = False


@dataclass
class Document:
    """One YAML document: its data, and for every key path the place of the key and of the value.

    `written` maps a path to the path as the user typed it, where an accepted other spelling was replaced.
    """

    label: str
    data: Data
    start: Place
    keys: dict[KeyPath, Place] = field(default_factory=dict)
    values: dict[KeyPath, Place] = field(default_factory=dict)
    written: dict[KeyPath, KeyPath] = field(default_factory=dict)

    def place(self, path: KeyPath) -> Place:
        """Place of the value at `path`; of the nearest enclosing value when nothing stands there."""
        for length in range(len(path), 0, -1):
            if (place := self.values.get(path[:length])) is not None:
                return place
        return self.start

    def key_place(self, path: KeyPath) -> Place:
        """Place of the key at `path`, or of the value where there is no key (items of a list)."""
        return self.keys.get(path) or self.place(path)

    def key(self, path: KeyPath) -> str:
        """The key path as the user typed it."""
        for length in range(len(path), 0, -1):
            if (typed := self.written.get(path[:length])) is not None:
                return key_text(typed + path[length:])
        return key_text(path)


def read_text(raw: bytes, label: str) -> str:
    """Decode a recipe file, bounded in size; UTF-8 with or without a byte order mark."""
    if len(raw) > MAX_BYTES:
        message = f"the file is larger than {MAX_BYTES} bytes; a recipe is a short text, data goes into files beside it"
        raise_problems([Problem(Place(label, 1, 1), "", message)])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8", "replace")
        column = len(before) - (before.rfind("\n") + 1) + 1
        message = f"byte 0x{raw[error.start]:02x} is not UTF-8 text; save the file as UTF-8"
        raise_problems([Problem(Place(label, before.count("\n") + 1, column), "", message)])
        raise AssertionError from error


def parse_documents(text: str, label: str, problems: list[Problem]) -> list[Document]:
    """All documents of a YAML text; empty ones are left out. Duplicate keys and the like go into `problems`.

    Raises `RecipeError` when the text is not YAML at all.
    """
    documents = []
    for root in _compose(text, label):
        if root.scalar is None and root.pairs is None and root.items is None:
            continue
        document = Document(label, {}, root.place)
        if root.pairs is None:
            message = "the document is not a mapping; a recipe is lines of `key: value`"
            problems.append(Problem(root.place, "", message))
            continue
        flatten = _Flatten(document, problems)
        document.data = flatten.mapping(root, ())
        documents.append(document)
    if not documents and not problems:
        message = "the file is empty; a recipe needs at least KerasH5 or KerasModel"
        problems.append(Problem(Place(label, 1, 1), "", message))
    return documents


def parse_value(text: str, label: str, problems: list[Problem]) -> tuple[Any, Place]:
    """One YAML value as typed after `--set key=`; its place has no line."""
    roots = list(_compose(text, label, positions=False))
    if not roots:
        return None, Place(label, text="")
    if len(roots) > 1:
        problems.append(Problem(Place(label), "", f'"{text}" is more than one YAML document; write one value'))
    document = Document(label, {}, roots[0].place)
    return _Flatten(document, problems).value(roots[0], ()), roots[0].place


def _compose(text: str, label: str, positions: bool = True) -> Iterator[_Node]:
    """Node trees of all documents, from the parser's events."""
    import yaml

    if not _PLAIN.fullmatch(text) and (control := re.search(_CONTROL, text)) is not None:
        before = text[: control.start()]
        column = len(before) - (before.rfind("\n") + 1) + 1
        place = Place(label, before.count("\n") + 1, column) if positions else Place(label)
        raise_problems([Problem(place, "", "a control character cannot stand in YAML text; delete it")])
    loader: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
    try:
        yield from _Composer(label, positions).documents(yaml.parse(text, Loader=loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(label, mark.line + 1, mark.column + 1) if mark and positions else Place(label)
        raise_problems([Problem(place, "", _syntax_message(error, text))])


def _syntax_message(error: yaml.MarkedYAMLError, text: str) -> str:
    mark = error.problem_mark
    lines = text.splitlines()
    line = lines[mark.line] if mark and mark.line < len(lines) else ""
    at_mark = line[mark.column : mark.column + 1] if mark else ""
    if at_mark == "\t" or "\t" in line[: len(line) - len(line.lstrip())]:
        return "a tab cannot indent YAML; use blanks"
    what = ", ".join(part for part in (error.problem, error.context) if part)
    return f"this is not YAML ({what}); check the indentation, quotes and brackets here and in the line before"


class _Composer:
    """Turns parser events into node trees without recursion."""

    def __init__(self, label: str, positions: bool) -> None:
        self._label = label
        self._positions = positions
        self._anchors: dict[str, _Node] = {}
        self._stack: list[_Node] = []
        self._pending_key: list[_Node | None] = []

    def documents(self, events: Iterator[yaml.Event]) -> Iterator[_Node]:
        import yaml

        root: _Node | None = None
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                self._anchors.clear()
                root = None
            elif isinstance(event, yaml.DocumentEndEvent):
                if root is not None:
                    yield root
            elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
                self._stack.pop().open = False
                self._pending_key.pop()
            elif isinstance(event, yaml.NodeEvent):
                node = self._node(event)
                if self._stack:
                    self._attach(node)
                else:
                    root = node
                if node.open and not isinstance(event, yaml.AliasEvent):
                    self._stack.append(node)
                    self._pending_key.append(None)
                    if len(self._stack) > MAX_DEPTH:
                        self._fail(node.place, f"values are nested more than {MAX_DEPTH} deep; a recipe needs 6")

    def _attach(self, node: _Node) -> None:
        parent = self._stack[-1]
        if parent.items is not None:
            parent.items.append(node)
        elif (key := self._pending_key[-1]) is None:
            self._pending_key[-1] = node
        else:
            assert parent.pairs is not None
            parent.pairs.append((key, node))
            self._pending_key[-1] = None

    def _node(self, event: yaml.NodeEvent) -> _Node:
        import yaml

        mark = event.start_mark
        at_line = self._positions and mark is not None
        place = Place(self._label, mark.line + 1, mark.column + 1) if mark and at_line else Place(self._label)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(str(event.anchor), place)
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event, place)
        else:
            assert isinstance(event, yaml.CollectionStartEvent)
            self._check_tag(event.tag, ("map", "seq"), place)
            node = _Node(place, open=True)
            if isinstance(event, yaml.MappingStartEvent):
                node.pairs = []
            else:
                node.items = []
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, anchor: str, place: Place) -> _Node:
        target = self._anchors.get(anchor)
        if target is None:
            self._fail(place, f"the alias *{anchor} has no anchor; write &{anchor} before it")
        elif target.open:
            self._fail(place, f"the alias *{anchor} contains itself; a recipe cannot be endless")
        assert target is not None
        return target

    def _scalar(self, event: yaml.ScalarEvent, place: Place) -> _Node:
        plain = event.style is None or event.style == ""
        text: str = event.value
        place = Place(place.label, place.line, place.column, text)
        self._check_tag(event.tag, ("str", "int", "float", "bool", "null"), place)
        if event.tag == _TAG + "str" or not plain:
            return _Node(place, text)
        return _Node(place, plain_scalar(text), merge=text == "<<")

    def _check_tag(self, tag: str | None, allowed: tuple[str, ...], place: Place) -> None:
        if tag is not None and tag != "!" and tag.removeprefix(_TAG) not in allowed:
            shown = "!!" + tag.removeprefix(_TAG) if tag.startswith(_TAG) else tag
            self._fail(place, f"the tag {shown} is not allowed; a recipe is plain data: delete the tag")

    @staticmethod
    def _fail(place: Place, message: str) -> None:
        raise_problems([Problem(place, "", message)])


def plain_scalar(text: str) -> bool | int | float | str | None:
    """Value of an unquoted YAML scalar."""
    if text.casefold() in _WORDS:
        return _WORDS[text.casefold()]
    if _INTEGER.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return text


class _Flatten:
    """Node tree → data with places; counts every value, so that aliases cannot blow it up."""

    def __init__(self, document: Document, problems: list[Problem]) -> None:
        self._document = document
        self._problems = problems
        self._count = 0

    def value(self, node: _Node, path: KeyPath) -> Any:
        self._count += 1
        if self._count > MAX_VALUES:
            message = f"aliases expand the file to more than {MAX_VALUES} values; write a smaller recipe"
            raise_problems([Problem(node.place, "", message)])
        self._check_depth(len(path), node.place)
        if path:
            self._document.values[path] = node.place
        if node.pairs is not None:
            return self.mapping(node, path)
        if node.items is not None:
            return [self.value(item, (*path, index)) for index, item in enumerate(node.items)]
        return node.scalar

    def mapping(self, node: _Node, path: KeyPath) -> Data:
        data: Data = {}
        own: dict[str, Place] = {}
        merged: list[_Node] = []
        assert node.pairs is not None
        for key, value in node.pairs:
            if key.merge:
                merged += self._merge_sources(key, value, path)
                continue
            if key.place.text is None:
                message = "a mapping or list cannot be a key; write a name"
                self._problems.append(Problem(key.place, key_text(path), message))
                continue
            name = key.place.text  # the text, never the value: a layer may be called `on` or `1`
            here = (*path, name)
            if (first := own.get(name)) is not None:
                message = f"duplicate key, first given in line {first.line}; delete one of the two"
                self._problems.append(Problem(key.place, key_text(here), message))
                continue
            own[name] = key.place
            self._document.keys[here] = key.place
            data[name] = self.value(value, here)
        for source in merged:
            self._merge(source, data, path, len(path) + 1)
        return data

    @staticmethod
    def _check_depth(depth: int, place: Place) -> None:
        if depth > MAX_DEPTH:
            message = f"aliases nest values more than {MAX_DEPTH} deep; write a simpler recipe"
            raise_problems([Problem(place, "", message)])

    def _merge_sources(self, key: _Node, value: _Node, path: KeyPath) -> list[_Node]:
        sources = value.items if value.items is not None else [value]
        if any(source.pairs is None for source in sources):
            message = "<< merges mappings only; write <<: *anchor of a mapping, or a list of such"
            self._problems.append(Problem(key.place, key_text((*path, "<<")), message))
        return [source for source in sources if source.pairs is not None]

    def _merge(self, source: _Node, data: Data, path: KeyPath, depth: int) -> None:
        """Add the keys of `source` that are not there yet (the mapping's own keys, then earlier sources win)."""
        self._check_depth(depth, source.place)
        inner: list[_Node] = []
        seen: set[str] = set()
        for key, value in source.pairs or ():
            if key.merge:
                inner += self._merge_sources(key, value, path)
            elif (name := key.place.text) is not None and name not in data and name not in seen:
                seen.add(name)
                here = (*path, name)
                self._document.keys[here] = key.place
                data[name] = self.value(value, here)
        for deeper in inner:
            self._merge(deeper, data, path, depth + 1)
