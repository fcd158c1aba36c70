"""Pictures and figures."""

import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import kbuild
from kbuild.api import ranges
from kbuild.resources import resource
from kbuild.tools import graphviz
from kbuild.tools.process import locate


@pytest.fixture
def digits(own_folder: Path) -> Any:
    shutil.copy(resource("recipes", "digits", "model.keras"), own_folder)
    return kbuild.converters.convert_from_config({"KerasModel": "model.keras", "OutputDir": "out", "Backend": "Vitis"})


def inputs() -> Any:
    return np.load(resource("recipes", "digits", "x_test.npy"))[:20]


def test_a_picture_without_graphviz(digits: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    path = kbuild.utils.plot_model(digits, "model.svg", show_shapes=True, show_precision=True)
    root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    texts = [element.text for element in root.iter() if element.tag.endswith("}text")]
    for layer in digits.get_layers():
        assert f"{layer.name}: {layer.class_name}" in texts
        assert f"result: {layer.get_output_variable().type}" in texts
    lines = [element for element in root.iter() if element.tag.endswith("}line")]
    assert len(lines) == sum(len(layer.attributes["inputs"]) for layer in digits.get_layers())
    with pytest.raises(kbuild.MissingTool, match=r"Graphviz .*or write a \.svg file"):
        kbuild.utils.plot_model(digits, "model.png")
    assert not Path("model.png").exists()


def test_the_language_of_graphviz(digits: Any) -> None:
    text = kbuild.utils.plot_model(digits, "model.dot", rankdir="LR").read_text(encoding="utf-8")
    names = [layer.name for layer in digits.get_layers()]
    assert text.startswith("digraph") and "rankdir=LR" in text
    assert all(f'"{first}" -> "{second}";' in text for first, second in pairwise(names))


@pytest.mark.skipif(locate(graphviz.DOT) is None, reason="Graphviz is not on this machine")
def test_a_picture_by_graphviz(digits: Any) -> None:
    assert kbuild.utils.plot_model(digits, "model.png").read_bytes().startswith(b"\x89PNG")


def test_wrong_arguments_of_a_picture(digits: Any) -> None:
    with pytest.raises(kbuild.RecipeError, match="has no ending of a picture; write one of png, svg, pdf, dot"):
        kbuild.utils.plot_model(digits, "model.bmp")
    with pytest.raises(kbuild.RecipeError, match="rankdir"):
        kbuild.utils.plot_model(digits, "model.svg", rankdir="up")


def test_ranges_hold_what_is_computed(digits: Any) -> None:
    x = inputs()
    _, traced = digits.trace(x)
    found = {entry.name: entry for entry in ranges.activation_ranges(digits.fixed_graph, x)}
    assert set(traced) <= set(found)
    filled = [entry for entry in ranges.weight_ranges(digits.fixed_graph) if entry.magnitudes.size]  # not all of zeros
    assert len(filled) >= 4
    for entry in filled:
        assert entry.powers is not None and np.log2(entry.magnitudes.max()) <= entry.powers[1]
        assert np.log2(entry.magnitudes.min()) >= entry.powers[0]


@pytest.mark.parametrize("plot", ["boxplot", "violinplot", "histogram"])
def test_numerical_without_a_live_model(digits: Any, plot: str) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (kbuild[plot])")
    figures = kbuild.model.profiling.numerical(hls_model=digits, X=inputs(), plot=plot)
    assert all(figure is not None for figure in figures)
    axes = figures[3].axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == list(
        dict.fromkeys(node.layer.name for node in digits.fixed_graph)
    )
    figures[3].savefig("figure.png")
    with pytest.raises(kbuild.RecipeError, match="write one of boxplot, violinplot, histogram"):
        kbuild.model.profiling.numerical(hls_model=digits, plot="pie")


def small(keras: Any) -> Any:
    keras.utils.set_random_seed(5)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(8, activation="relu", name="first"),
            layers.Dropout(0.3, name="dropped"),
            layers.Dense(3, name="second"),
            layers.Softmax(name="soft"),
        ]
    )


def test_keras_layer_by_layer(keras: Any) -> None:
    model = small(keras)
    x = np.random.default_rng(2).normal(0, 1, (30, 6))
    found = kbuild.model.profiling.get_ymodel_keras(model, x)
    assert list(found) == ["first", "first_relu", "dropped", "second", "soft"]
    assert np.array_equal(np.maximum(found["first"], 0) > 0, found["first_relu"] > 0)
    kernel, bias = model.get_layer("second").get_weights()
    assert np.allclose(found["second"], found["first_relu"] @ kernel + bias, atol=1e-5)
    assert np.array_equal(found["soft"], model.predict(x.astype(np.float32), verbose=0))


def test_compare_shows_every_layer(keras: Any) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (kbuild[plot])")
    model = small(keras)
    hls = kbuild.converters.convert_from_keras_model(model, backend="Vitis")
    x = np.random.default_rng(2).normal(0, 1, (30, 6))
    for kind in ("dist_diff", "norm_diff"):
        axes = kbuild.model.profiling.compare(model, hls, x, kind).axes[0]
        names = [label.get_text() for label in axes.get_xticklabels()]
        assert names == ["first", "first_relu", "second", "soft"]
    figures = kbuild.model.profiling.numerical(model, hls, x)
    assert all(figure is not None for figure in figures)
    with pytest.raises(kbuild.RecipeError, match="write one of dist_diff, norm_diff"):
        kbuild.model.profiling.compare(model, hls, x, "diff")


def test_a_notebook_shows_the_layers(digits: Any) -> None:
    root = ElementTree.fromstring(f"<body>{digits._repr_html_()}</body>")
    rows = [[cell.text for cell in row] for row in root.iter("tr")]
    assert [row[0] for row in rows[1:]] == [layer.name for layer in digits.get_layers()]
    assert all(row[4] == str(digits.get_layer(row[0]).get_output_variable().type) for row in rows[1:])


def test_a_notebook_shows_the_graphs(digits: Any) -> None:
    for graph in (digits.fixed_graph, digits.float_graph):
        root = ElementTree.fromstring(f"<body>{graph._repr_html_()}</body>")
        rows = [[cell.text for cell in row] for row in root.iter("tr")]
        assert [row[:2] for row in rows[1:]] == [[node.name, node.op.kind] for node in graph]


def test_names_are_not_markup_in_a_notebook() -> None:
    """A layer's name comes from a model file, which anybody may have written."""
    from kbuild.ir import Graph, Layer, Node
    from kbuild.ops.input import Input

    hostile = "<img src=x onerror=alert(1)>\"'&"
    graph = Graph(hostile, (Node("x", Input((2,)), (), (2,), Layer(hostile, hostile)),), ("x",))
    text = graph._repr_html_()
    assert "<img" not in text
    cells = [cell.text for cell in ElementTree.fromstring(f"<body>{text}</body>").iter("td")]
    assert cells[-1] == f"{hostile} ({hostile})"
