"""Arrays of users: read in every format, refused with a sentence when they do not fit."""

from pathlib import Path

import numpy as np
import pytest

from kbuild.errors import RecipeError
from kbuild.fixed import FixedType, Overflow, Quantization
from kbuild.flow.data import Source, load_labels, load_values, random_values
from kbuild.ir import Graph, Layer, Node, Tensor
from kbuild.ops.gather import Gather
from kbuild.ops.input import Input


def port(name: str, *shape: int) -> Node:
    return Node(f"n_{name}", Input(shape), (), shape, Layer(name, "InputLayer"), FixedType(8, 3))


def source(path: Path) -> Source:
    return Source(path, "recipe.yml:3:12: InputData")


X = np.arange(24, dtype=np.float32).reshape(4, 6) / 8


def test_npy(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    found = load_values(source(tmp_path / "x.npy"), [port("a", 2, 3)], "input")
    assert found["n_a"].shape == (4, 2, 3) and found["n_a"].dtype == np.float64
    assert (found["n_a"].reshape(4, 6) == X).all()


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a"), ("arr_0", "arr_1")])
def test_npz_by_name_else_in_order(tmp_path: Path, names: tuple[str, str]) -> None:
    arrays = {"a": X[:, :2], "b": X[:, 2:], "arr_0": X[:, :2], "arr_1": X[:, 2:]}
    np.savez(tmp_path / "x.npz", **{name: arrays[name] for name in names})
    found = load_values(source(tmp_path / "x.npz"), [port("a", 2), port("b", 4)], "input")
    assert (found["n_a"] == X[:, :2]).all() and (found["n_b"] == X[:, 2:]).all()


@pytest.mark.parametrize("separator", [" ", ",", ", ", "\t"])
def test_text(tmp_path: Path, separator: str) -> None:
    text = "\n".join(separator.join(map(str, row)) for row in X.tolist()) + "\n\n"
    (tmp_path / "x.dat").write_text(text)
    found = load_values(source(tmp_path / "x.dat"), [port("a", 2), port("b", 4)], "input")
    assert (found["n_a"] == X[:, :2]).all() and (found["n_b"] == X[:, 2:]).all()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.npy", b"not an array", "is not a readable .npy file"),
        ("x.npy", b"", "is not a readable .npy file"),
        ("x.npz", b"PK\x03\x04 broken", "is not a readable .npz file"),
        ("x.dat", b"1 2 3\n1 2\n", "line 2 has 2 values, the first has 3"),
        ("x.dat", b"1 2 x\n", "line 1: could not convert string to float: 'x'"),
        ("x.dat", b"", "is empty"),
        ("x.dat", b"\xff\xfe\x00", "is neither .npy, .npz nor text"),
        ("x.dat", b"1 2\n", "has 2 values a line; the inputs have 6 a sample"),
        ("x.dat", b"1 2 3 4 5 nan\n", "holds NaN or infinity for the input a, first in sample 0"),
    ],
)
def test_a_file_that_is_not_data(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RecipeError, match=r"^recipe.yml:3:12: InputData: x\.\w+ ") as caught:
        load_values(source(tmp_path / name), [port("a", 6)], "input")
    assert message in str(caught.value)


def test_objects_are_not_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(RecipeError, match=r"is not a readable \.npy file"):
        load_values(source(tmp_path / "x.npy"), [port("a", 1)], "input")


@pytest.mark.parametrize("array", [np.zeros((4, 5)), np.zeros(6), np.zeros((0, 6)), np.float64(1), np.zeros((4, 7))])
def test_a_wrong_shape(tmp_path: Path, array: np.ndarray) -> None:  # type: ignore[type-arg]
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(RecipeError, match=r"for the input a; it should be \(samples, 2, 3\)"):
        load_values(source(tmp_path / "x.npy"), [port("a", 2, 3)], "input")


def test_words_are_no_numbers(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array(["a", "b"]))
    with pytest.raises(RecipeError, match="does not hold numbers"):
        load_values(source(tmp_path / "x.npy"), [port("a", 1)], "input")


def test_one_array_for_two_inputs(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    with pytest.raises(RecipeError, match=r"holds one array, the model has 2 inputs; give a \.npz"):
        load_values(source(tmp_path / "x.npy"), [port("a", 2), port("b", 4)], "input")


def test_arrays_of_other_names_and_number(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", c=X)
    with pytest.raises(RecipeError, match="holds the arrays c; the model's inputs are a, b"):
        load_values(source(tmp_path / "x.npz"), [port("a", 2), port("b", 4)], "input")


def test_different_numbers_of_samples(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=X[:, :2], b=X[:3, 2:])
    with pytest.raises(RecipeError, match="different numbers of samples: a 4, b 3"):
        load_values(source(tmp_path / "x.npz"), [port("a", 2), port("b", 4)], "input")


@pytest.mark.parametrize("labels", [[0, 2, 1], [[0], [2], [1]], [[1, 0, 0], [0, 0, 1], [0, 1, 0]]])
def test_labels(tmp_path: Path, labels: list[object]) -> None:
    np.save(tmp_path / "y.npy", np.array(labels))
    assert load_labels(source(tmp_path / "y.npy"), 3, 3).tolist() == [0, 2, 1]


@pytest.mark.parametrize("labels", [[0, 3, 1], [0, -1, 1], [0.5, 1, 1], [0, 1], [[0, 1], [1, 0], [1, 0]]])
def test_labels_that_are_none(tmp_path: Path, labels: list[object]) -> None:
    np.save(tmp_path / "y.npy", np.array(labels))
    with pytest.raises(RecipeError, match="labels"):
        load_labels(source(tmp_path / "y.npy"), 3, 3)


def test_random_indices_are_rows_of_the_table() -> None:
    of = FixedType(6, 6, False, Quantization.TRN_ZERO, Overflow.SAT)
    layer = Layer("i", "InputLayer")
    table = Gather(Tensor(np.arange(50.0)[:, np.newaxis]))
    nodes = (Node("i", Input((3,)), (), (3,), layer, of), Node("e", table, ("i",), (3, 1), layer, FixedType(8, 8)))
    found = random_values(Graph("g", nodes, ("e",)), {})["i"]
    assert set(found.ravel()) == set(range(50))


def test_random_values_are_seeded_and_inside_the_range() -> None:
    graph = Graph("g", (port("a", 2), port("b", 4)), ("n_b",))
    one, two = random_values(graph, {"a": (-0.5, 0.25)}), random_values(graph, {"a": (-0.5, 0.25)})
    assert all((one[name] == two[name]).all() for name in one)
    assert one["n_a"].shape == (1000, 2) and one["n_b"].shape == (1000, 4)
    assert -0.5 <= one["n_a"].min() < -0.49 and 0.24 < one["n_a"].max() <= 0.25
    assert -4 <= one["n_b"].min() < -3.9 and 3.9 < one["n_b"].max() < 4
