"""Figures of matplotlib: ranges of weights and activations beside those of their types, and differences to Keras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kbuild.api.ranges import Range, activation_ranges, differences, layer_values, weight_ranges
from kbuild.errors import MissingTool, RecipeError
from kbuild.fixed import FloatArray
from kbuild.frontend.keras.live import read_live

if TYPE_CHECKING:
    from kbuild.api.model import HlsModel

_KINDS = ("boxplot", "violinplot", "histogram")
_DIFFERENCES = ("dist_diff", "norm_diff")
_SMALLEST = 2.0**-64


def get_ymodel_keras(keras_model: Any, X: Any) -> dict[str, FloatArray]:
    """What each layer of a live model makes of X, by its name: arrays of shape (samples, ...), float64.

    A fused activation is a layer of its own, `<layer>_<activation>`. X is what `model.predict` takes.
    """
    return layer_values(keras_model, X)


def numerical(
    model: Any = None, hls_model: HlsModel | None = None, X: Any = None, plot: str = "boxplot"
) -> tuple[Any, Any, Any, Any]:
    """Four figures: weights of the model as read and as built, then activations of the two for inputs X.

    model: a live Keras model; hls_model: a converted one, whose types are shown as bars behind the values; plot:
    `boxplot`, `violinplot` or `histogram`, of magnitudes on a scale of powers of two. A figure is None where what it
    shows is not given. Raises RecipeError for another plot, MissingTool without matplotlib.
    """
    _check(plot, _KINDS, "plot")
    if model is not None:
        read = read_live(model).graph("model")
    elif hls_model is not None:
        read = hls_model.float_graph
    else:
        raise RecipeError("numerical: give a Keras model, a converted one, or both")
    built = None if hls_model is None else hls_model.fixed_graph
    made: list[Any] = [_ranges_figure(weight_ranges(read), plot, "Weights of the model")]
    made.append(None if built is None else _ranges_figure(weight_ranges(built), plot, "Weights as built"))
    if X is None:
        return made[0], made[1], None, None
    made.append(_ranges_figure(activation_ranges(read, X), plot, "Activations of the model"))
    made.append(None if built is None else _ranges_figure(activation_ranges(built, X), plot, "Activations as built"))
    return made[0], made[1], made[2], made[3]


def compare(keras_model: Any, hls_model: HlsModel, X: Any, plot_type: str = "dist_diff") -> Any:
    """One figure: how far every layer of the converted model is from Keras for inputs X.

    plot_type: `dist_diff` shows the distribution of the differences of each layer's elements, relative to Keras' where
    that is not zero; `norm_diff` the Euclidean norm of all differences of a layer. Raises RecipeError, MissingTool.
    """
    _check(plot_type, _DIFFERENCES, "plot_type")
    found = differences(keras_model, hls_model, X)
    if not found:
        raise RecipeError("compare: the models have no layer in common; is the one the conversion of the other?")
    figure, axes = _new_figure(len(found))
    names = list(found)
    if plot_type == "norm_diff":
        axes.plot(names, [float(np.linalg.norm(theirs - ours)) for theirs, ours in found.values()], marker="o")
        axes.set_ylabel("norm of the difference")
    else:
        axes.boxplot([_relative(*pair) for pair in found.values()], sym="")
        axes.set_xticks(range(1, len(names) + 1), names)
        axes.set_ylabel("relative difference")
    axes.tick_params(axis="x", labelrotation=90)
    axes.set_title("Keras and hardware, layer by layer")
    figure.tight_layout()
    return figure


def _relative(theirs: FloatArray, ours: FloatArray) -> FloatArray:
    difference = np.abs(theirs - ours)
    return np.asarray(np.divide(difference, np.abs(theirs), out=difference.copy(), where=theirs != 0)).ravel()


def _check(word: str, known: Sequence[str], name: str) -> None:
    if word not in known:
        raise RecipeError(f'{name}: "{word}" is unknown; write one of {", ".join(known)}')


def _new_figure(entries: int) -> tuple[Any, Any]:
    """A figure and its axes; pyplot and its window are left alone."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingTool("matplotlib, which draws figures, is not installed: pip install 'kbuild[plot]'") from error
    figure = Figure(figsize=(8, 2 + 0.4 * max(entries, 4)))
    return figure, figure.add_subplot()


def _ranges_figure(ranges: Sequence[Range], plot: str, title: str) -> Any:
    """The magnitudes of each entry, and as a bar behind them what its type holds."""
    shown = [entry for entry in ranges if entry.magnitudes.size or entry.type is not None]
    figure, axes = _new_figure(len(shown))
    powers = [np.log2(np.maximum(entry.magnitudes, _SMALLEST)) for entry in shown]
    for place, entry in enumerate(shown, 1):
        if entry.powers is not None:
            low, high = entry.powers
            axes.barh(place, high - low, left=low, height=0.8, color="lightgrey", zorder=0)
    filled: Mapping[int, FloatArray] = {place: values for place, values in enumerate(powers, 1) if values.size}
    if filled and plot == "boxplot":
        axes.boxplot(list(filled.values()), positions=list(filled), orientation="horizontal", sym="")
    elif filled and plot == "violinplot":
        axes.violinplot(list(filled.values()), positions=list(filled), orientation="horizontal")
    else:
        for place, values in filled.items():
            counts, edges = np.histogram(values, bins=40)
            axes.stairs(place + 0.8 * counts / max(counts.max(), 1), edges, baseline=place)
    axes.set_yticks(range(1, len(shown) + 1), [entry.name for entry in shown])
    axes.set_xlabel("magnitude, as a power of two")
    axes.set_title(title)
    figure.tight_layout()
    return figure
