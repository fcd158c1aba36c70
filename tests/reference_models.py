"""Two networks of the size of MLPerf Tiny, as Keras 3 archives, with images: a residual network and a MobileNet.

    python tests/reference_models.py FOLDER

Nothing is trained and Keras is not needed. The images are of classes that differ in colours, orientation and fineness
of stripes; kernels are random, the statistics of each BatchNormalization are those of its input on the images, so that
no value vanishes or grows, and the last layer is the ridge regression of the classes on the features before it. So the
outputs are decisions about the image, as those of a trained network are.
"""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from kbuild.fixed import FloatArray
from kbuild.frontend.keras import read_model
from kbuild.ops.affine import Affine
from kbuild.ops.dense import Dense

IMAGES = 192  # the statistics and the regression are of two thirds of them
VERSION = "3.15.1"
_FOLDERS = {  # of the weights, by class
    "Conv2D": "conv2d",
    "DepthwiseConv2D": "depthwise_conv2d",
    "BatchNormalization": "batch_normalization",
    "Dense": "dense",
}
EPSILON = 1e-3
Arrays = list[FloatArray]


@dataclass(frozen=True)
class Reference:
    """A model's archive, images [samples, height, width, 3] with values on the grid of 1/256, and their classes."""

    path: Path
    images: FloatArray
    labels: FloatArray


def resnet8(folder: Path) -> Reference:
    """The residual network for images of 32 x 32 in ten classes: 78 650 weights. Writes `resnet8.keras`."""
    return _made(folder / "resnet8.keras", _resnet8, 32, 10)


def mobilenet(folder: Path) -> Reference:
    """MobileNetV1 of width 0.25 for images of 96 x 96 in two classes: 219 058 weights. Writes `mobilenet.keras`."""
    return _made(folder / "mobilenet.keras", _mobilenet, 96, 2)


# ---- architectures -----------------------------------------------------------------------------------------------


@dataclass
class _Network:
    """Layers of a Functional configuration of Keras 3, and their weights by name."""

    rng: np.random.Generator
    layers: list[dict[str, object]] = field(default_factory=list)
    weights: dict[str, Arrays] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def add(self, class_name: str, shape: tuple[int, ...], *inputs: str, weights: Arrays = [], **config: object) -> str:  # noqa: B006
        """A layer called once on the inputs; returns its name."""
        name = f"{class_name.lower()}_{len(self.layers)}"
        tensors = [
            {"class_name": "__keras_tensor__",
             "config": {"shape": [None, *self.shapes[x]], "dtype": "float32", "keras_history": [x, 0, 0]}}
            for x in inputs
        ]  # fmt: skip
        call = {"args": [tensors if len(tensors) > 1 else tensors[0]], "kwargs": {}} if inputs else None
        self.layers.append({
            "module": "keras.layers", "class_name": class_name, "registered_name": None, "name": name,
            "config": {"name": name, "dtype": "float32", **config}, "inbound_nodes": [call] if call else [],
        })  # fmt: skip
        self.shapes[name] = shape
        self.weights[name] = weights
        return name

    def input(self, size: int) -> str:
        return self.add("InputLayer", (size, size, 3), batch_shape=[None, size, size, 3])

    def conv(self, x: str, filters: int, size: int, stride: int = 1, bias: bool = False) -> str:
        """Scaled so that the output varies as the input does."""
        height, width, channels = self.shapes[x]
        kernel = self.rng.normal(0, np.sqrt(2 / (size * size * channels)), (size, size, channels, filters))
        return self.add(
            "Conv2D", (-(-height // stride), -(-width // stride), filters), x, filters=filters,
            kernel_size=[size, size], strides=[stride, stride], padding="same", use_bias=bias, activation="linear",
            weights=[kernel, *([self.rng.normal(0, 0.1, filters)] if bias else [])],
        )  # fmt: skip

    def depthwise(self, x: str, stride: int) -> str:
        height, width, channels = self.shapes[x]
        return self.add(
            "DepthwiseConv2D", (-(-height // stride), -(-width // stride), channels), x, kernel_size=[3, 3],
            strides=[stride, stride], padding="same", use_bias=False, activation="linear",
            weights=[self.rng.normal(0, 0.47, (3, 3, channels, 1))],
        )  # fmt: skip

    def normalized(self, x: str) -> str:
        """Gamma, beta, and statistics that are yet to be measured."""
        n = self.shapes[x][-1]
        weights = [self.rng.uniform(0.7, 1.3, n), self.rng.normal(0, 0.3, n), np.zeros(n), np.ones(n)]
        return self.add("BatchNormalization", self.shapes[x], x, axis=-1, epsilon=EPSILON, weights=weights)

    def relu(self, x: str) -> str:
        return self.add("Activation", self.shapes[x], x, activation="relu")

    def classes(self, x: str, count: int) -> str:
        """The mean over all positions, as a pooling of their size, and a dense layer that is yet to be fitted."""
        height, width, channels = self.shapes[x]
        x = self.add("AveragePooling2D", (1, 1, channels), x, pool_size=[height, width], padding="valid")
        x = self.add("Flatten", (channels,), x)
        weights = [np.zeros((channels, count)), np.zeros(count)]
        return self.add("Dense", (count,), x, units=count, activation="softmax", use_bias=True, weights=weights)

    def config(self, name: str) -> dict[str, object]:
        ends = {"input_layers": [self.layers[0]["name"], 0, 0], "output_layers": [self.layers[-1]["name"], 0, 0]}
        config = {"name": name, "trainable": True, "layers": self.layers, **ends}
        module = "keras.src.models.functional"
        return {"module": module, "class_name": "Functional", "config": config, "registered_name": "Functional"}


def _resnet8(net: _Network, size: int, classes: int) -> None:
    """Three stacks of two convolutions; the second and third halve the image, with a convolution as their shortcut."""
    x = net.relu(net.normalized(net.conv(net.input(size), 16, 3)))
    for filters, stride in ((16, 1), (32, 2), (64, 2)):
        y = net.relu(net.normalized(net.conv(x, filters, 3, stride, bias=True)))
        y = net.normalized(net.conv(y, filters, 3, bias=True))
        short = x if stride == 1 else net.conv(x, filters, 1, stride, bias=True)
        x = net.relu(net.add("Add", net.shapes[y], short, y))
    net.classes(x, classes)


def _mobilenet(net: _Network, size: int, classes: int) -> None:
    """Depthwise and pointwise convolutions in turn."""
    x = net.relu(net.normalized(net.conv(net.input(size), 8, 3, 2)))
    blocks = [(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *[(128, 1)] * 5, (256, 2), (256, 1)]
    for filters, stride in blocks:
        x = net.relu(net.normalized(net.depthwise(x, stride)))
        x = net.relu(net.normalized(net.conv(x, filters, 1)))
    net.classes(x, classes)


# ---- images and what is fitted to them ---------------------------------------------------------------------------


def images(size: int, classes: int, count: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """Stripes whose colour, angle and fineness depend on the class, over noise; values k / 256 below one."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    colours = np.random.default_rng(seed + 1).uniform(0.1, 0.4, (classes, 3))
    across, down = np.meshgrid(np.arange(size), np.arange(size))
    found = np.empty((count, size, size, 3))
    for image, k in zip(found, labels, strict=True):
        angle = np.pi * (k + rng.normal(0, 0.15)) / classes
        waves = 2 * np.pi * (3 + 4 * (k % 3) + rng.normal(0, 0.3)) / size
        phase = waves * (across * np.cos(angle) + down * np.sin(angle)) + rng.uniform(0, 2 * np.pi)
        shade = 0.5 + rng.uniform(0.4, 1.0) * np.sin(phase)[..., None] * colours[k]
        image[...] = shade + rng.normal(0, 0.08, (size, size, 3)) + rng.normal(0, 0.05)
    return np.clip(np.floor(found * 256), 0, 255) / 256, labels


def _made(path: Path, build: Callable[[_Network, int, int], None], size: int, classes: int) -> Reference:
    net = _Network(np.random.default_rng(7))
    build(net, size, classes)
    x, labels = images(size, classes, IMAGES, 11)
    _write(path, net)
    chosen = slice(0, IMAGES * 2 // 3)
    _fit(path, net, x[chosen], labels[chosen])
    _write(path, net)
    return Reference(path, x, labels)


def _fit(path: Path, net: _Network, x: FloatArray, labels: FloatArray) -> None:
    """Measure the statistics in the order of the layers, then the regression for the last one."""
    graph = read_model(None, None, path, "reference")
    values: dict[str, FloatArray] = {}
    users = {name: node.name for node in graph for name in node.inputs}
    for node in graph:
        arguments = [values[name] for name in node.inputs]
        weights = net.weights.get(node.layer.name, [])
        op = node.op
        if isinstance(op, Affine):
            axes = tuple(range(arguments[0].ndim - 1))
            weights[2:] = [np.float32(arguments[0].mean(axes)), np.float32(arguments[0].var(axes))]
            scale = weights[0] / np.sqrt(weights[3] + EPSILON)
            values[node.name] = (arguments[0] - weights[2]) * scale + weights[1]
        elif isinstance(op, Dense):
            weights[:] = _regression(arguments[0], labels, op.outputs)
            break
        else:
            blocks = [x] if node.op.kind == "input" else [
                op.eval_float([a[i : i + 16] for a in arguments]) for i in range(0, len(x), 16)
            ]  # fmt: skip
            values[node.name] = np.concatenate(blocks)
        for name in node.inputs:
            if users[name] == node.name:
                values.pop(name, None)


def _regression(features: FloatArray, labels: FloatArray, classes: int) -> Arrays:
    """Weights and bias whose outputs are large for the class and small for the others."""
    middle, spread = features.mean(0), features.std(0) + 1e-6
    z = (features - middle) / spread
    target = np.eye(classes)[labels] - 1 / classes
    ridge = z.T @ z + 0.1 * len(z) * np.eye(z.shape[1])
    weight = 12 * np.linalg.solve(ridge, z.T @ target) / spread[:, None]
    return [weight, -middle @ weight]


def _write(path: Path, net: _Network) -> None:
    """The archive, with weights in float32, the same bytes every time."""
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        used: dict[str, int] = {}
        for layer in net.layers:
            if not net.weights[str(layer["name"])]:
                continue
            stem = _FOLDERS[str(layer["class_name"])]
            number = used[stem] = used.get(stem, -1) + 1
            group = file.create_group(f"layers/{stem}_{number}/vars" if number else f"layers/{stem}/vars")
            for index, values in enumerate(net.weights[str(layer["name"])]):
                group.create_dataset(str(index), data=np.asarray(values, np.float32))
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in (
            ("metadata.json", json.dumps({"keras_version": VERSION})),
            ("config.json", json.dumps(net.config(path.stem))),
            ("model.weights.h5", memory.getvalue()),
        ):
            archive.writestr(zipfile.ZipInfo(name), data)


if __name__ == "__main__":
    for made in (resnet8(Path(sys.argv[1])), mobilenet(Path(sys.argv[1]))):
        np.save(made.path.with_suffix(".npy"), made.images)
