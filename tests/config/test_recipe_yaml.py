"""The YAML reader: data equal to PyYAML's, places of everything, and nothing that can hurt."""

import math
import string
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kbuild.config import load_recipe
from kbuild.config.places import KeyPath, Problem
from kbuild.config.yaml_positions import MAX_BYTES, MAX_DEPTH, Document, parse_documents, plain_scalar
from kbuild.errors import RecipeError

NAMES = st.text(string.ascii_letters + string.digits + "_", min_size=1, max_size=8)
ANY_TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x85\u2028\u2029\ufeff"), max_size=12)
TEXTS = ANY_TEXT.filter(lambda text: not isinstance(plain_scalar(text), float))  # PyYAML leaves "1e3" unquoted
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | FLOATS | TEXTS
DATA = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=25,
)


def parse(text: str) -> tuple[list[Document], list[str]]:
    problems: list[Problem] = []
    documents = parse_documents(text, "r.yml", problems)
    return documents, [problem.line() for problem in problems]


@given(st.dictionaries(NAMES, DATA, min_size=1, max_size=5), st.booleans(), st.booleans())
def test_reads_what_yaml_wrote(data: dict[str, object], flow: bool, any_letters: bool) -> None:
    text = yaml.safe_dump(data, default_flow_style=flow, allow_unicode=any_letters)
    documents, problems = parse(text)
    assert problems == []
    assert documents[0].data == data


class Writer:
    """Writes block YAML with random indentation, blank lines and comments, and notes where everything stands."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.lines: list[str] = []
        self.keys: dict[KeyPath, tuple[int, int]] = {}
        self.values: dict[KeyPath, tuple[int, int]] = {}

    def mapping(self, data: dict[str, object], path: KeyPath, indent: int) -> None:
        for name, value in data.items():
            for _ in range(self.draw(st.integers(0, 2))):
                self.lines.append(self.draw(st.sampled_from(["", "# größer: 3", "   # x"])))
            here = (*path, name)
            head = " " * indent + f"{name}:" + " " * self.draw(st.integers(1, 3))
            self.keys[here] = (len(self.lines) + 1, indent + 1)
            if isinstance(value, dict) and value:
                self.lines.append(head.rstrip())
                deeper = indent + self.draw(st.integers(1, 4))
                first = len(self.lines)
                self.mapping(value, here, deeper)
                line = next(n for n in range(first, len(self.lines)) if self.lines[n].strip()[:1] not in ("", "#"))
                self.values[here] = (line + 1, deeper + 1)
            elif isinstance(value, list):
                self.values[here] = (len(self.lines) + 1, len(head) + 1)
                text = head + "["
                for index, item in enumerate(value):
                    self.values[(*here, index)] = (len(self.lines) + 1, len(text) + 1)
                    text += f"{item}, "
                self.lines.append(text.removesuffix(", ") + "]")
            else:
                self.values[here] = (len(self.lines) + 1, len(head) + 1)
                self.lines.append(head + ("{}" if isinstance(value, dict) else str(value)) + "  # ü")


LEAVES = st.integers(0, 99) | st.lists(st.integers(0, 9), max_size=3)
TREES = st.recursive(LEAVES, lambda inner: st.dictionaries(NAMES, inner, max_size=3), max_leaves=20)


@settings(max_examples=80)
@given(st.data(), st.dictionaries(NAMES, TREES, min_size=1, max_size=4))
def test_places_of_keys_and_values(data: st.DataObject, tree: dict[str, object]) -> None:
    writer = Writer(data.draw)
    writer.mapping(tree, (), 0)
    documents, problems = parse("\n".join(writer.lines) + "\n")
    assert problems == []
    assert {path: (place.line, place.column) for path, place in documents[0].keys.items()} == writer.keys
    assert {path: (place.line, place.column) for path, place in documents[0].values.items()} == writer.values


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True),
        ("Off", False),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-3", -3),
        ("1_000", 1000),
        ("0x1F", 31),
        ("1e-3", 0.001),
        ("1.", 1.0),
        (".5", 0.5),
        ("010", "010"),
        ("1:30", "1:30"),
        ("1__0", "1__0"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("1e999", "1e999"),
        ("9" * 50, "9" * 50),
        ("2024-01-01", "2024-01-01"),
        ("27%", "27%"),
        ("ap_fixed<16,6>", "ap_fixed<16,6>"),
    ],
)
def test_plain_scalars(text: str, value: object) -> None:
    read = plain_scalar(text)
    assert read == value
    assert type(read) is type(value)


@given(st.text(string.digits + "+-._eExX:ainf", max_size=12))
def test_any_plain_scalar_is_read(text: str) -> None:
    value = plain_scalar(text)
    assert not isinstance(value, float) or math.isfinite(value)


def test_keys_are_always_text() -> None:
    documents, problems = parse("on: 1\n1: 2\n~: 3\n2024-01-01: 4\n")
    assert problems == []
    assert documents[0].data == {"on": 1, "1": 2, "~": 3, "2024-01-01": 4}


def test_merge_keys() -> None:
    documents, problems = parse(
        "a: &a {x: 1, y: 1}\n"
        "b: &b {<<: *a, y: 2, z: 2}\n"
        "c:\n"
        "  <<: [*b, {z: 3, w: 3}]\n"
        "  x: 9\n"
    )  # fmt: skip
    assert problems == []
    assert documents[0].data["b"] == {"x": 1, "y": 2, "z": 2}
    assert documents[0].data["c"] == {"x": 9, "y": 2, "z": 2, "w": 3}
    assert (documents[0].values[("c", "w")].line, documents[0].values[("c", "w")].column) == (4, 22)
    assert documents[0].values[("c", "y")].line == 2
    loaded = yaml.safe_load("a: &a {x: 1, y: 1}\nb: &b {<<: *a, y: 2, z: 2}\nc:\n  <<: [*b, {z: 3, w: 3}]\n  x: 9\n")
    assert documents[0].data == loaded


def test_quoted_merge_key_is_a_key() -> None:
    documents, _ = parse('"<<": {a: 1}\n')
    assert documents[0].data == {"<<": {"a": 1}}


def refused(tmp_path: Path, raw: bytes) -> str:
    path = tmp_path / "r.yml"
    path.write_bytes(raw)
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    return str(caught.value).replace(f"{tmp_path}/", "")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "r.yml:1:1: the file is empty; a recipe needs at least KerasH5 or KerasModel"),
        (b"---\n---\n", "r.yml:1:1: the file is empty; a recipe needs at least KerasH5 or KerasModel"),
        (
            "Größe: 1\nProjectName: a\xff\n".encode("latin-1"),
            "r.yml:1:3: byte 0xf6 is not UTF-8 text; save the file as UTF-8",
        ),
        (
            "KerasH5: größe".encode() + b"\n  # \xc3\x28\n",
            "r.yml:2:5: byte 0xc3 is not UTF-8 text; save the file as UTF-8",
        ),
        ("KerasH5: m.h5\n".encode("utf-16"), "r.yml:1:1: byte 0xff is not UTF-8 text; save the file as UTF-8"),
        (
            "KerasH5: ü\nBackend: a\0b\n".encode(),
            "r.yml:2:11: a control character cannot stand in YAML text; delete it",
        ),
        (
            b"a: " + b"[" * 5000 + b"]" * 5000,
            f"r.yml:1:{4 + MAX_DEPTH - 1}: values are nested more than {MAX_DEPTH} deep; a recipe needs 6",
        ),
        (
            b"#" * (MAX_BYTES + 1),
            f"r.yml:1:1: the file is larger than {MAX_BYTES} bytes; "
            "a recipe is a short text, data goes into files beside it",
        ),
    ],
    ids=["empty", "empty documents", "latin-1", "bad byte", "utf-16", "nul", "deep", "large"],
)
def test_bytes_that_are_no_recipe(tmp_path: Path, raw: bytes, message: str) -> None:
    assert refused(tmp_path, raw) == message


def test_billion_laughs(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 10) + "]" for n in range(1, 12)]
    assert "aliases expand the file to more than 100000 values" in refused(tmp_path, "\n".join(lines).encode())


def test_a_long_chain_of_aliases(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 2000)]
    assert f"aliases nest values more than {MAX_DEPTH} deep" in refused(tmp_path, "\n".join(lines).encode())
    lines = ["a0: &a0 {x: 1}"] + [f"a{n}: &a{n} {{<<: *a{n - 1}}}" for n in range(1, 2000)]
    assert f"aliases nest values more than {MAX_DEPTH} deep" in refused(tmp_path, "\n".join(lines).encode())


def test_a_long_key_and_control_characters_do_not_reach_the_terminal(tmp_path: Path) -> None:
    message = refused(tmp_path, b'KerasH5: "a\\e[2Jb.h5"\n"' + b"k" * 900 + b'\\e[31m": 1\n')
    assert "\x1b" not in message
    assert max(map(len, message.split("\n"))) < 1500


@given(st.binary(max_size=200) | ANY_TEXT.map(str.encode))
def test_any_bytes_give_a_recipe_error_or_data(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yml"
    path.write_bytes(raw)
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert all(line.startswith(f"{path}:") for line in str(caught.value).split("\n"))


def test_byte_order_mark(tmp_path: Path) -> None:
    assert refused(tmp_path, b"\xef\xbb\xbfBackend: Vitiss\n").split("\n")[1].startswith("r.yml:1:10: Backend:")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"no\.yml: there is no such file; write the path of a recipe"):
        load_recipe(tmp_path / "no.yml")
    with pytest.raises(RecipeError, match="this is a folder; write the path of the recipe in it"):
        load_recipe(tmp_path)
