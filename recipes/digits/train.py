"""Trains the digits model and writes `model.keras`, `x_test.npy` and `y_test.npy` beside this file.

    pip install -r requirements.txt && python train.py

Data: the 1797 handwritten digits (8 x 8 pixels of 0 to 16) that ship with scikit-learn, from the UCI set
"Optical Recognition of Handwritten Digits"; one fifth, stratified, is held out and never trained on.

The hardware is one multiplier-free circuit, so a weight costs about an adder for each non-zero digit of its
canonical signed-digit form. Training therefore sees what the hardware computes: weights on a coarse grid and
rounded activations (straight-through estimator, Bengio et al. 2013, arXiv:1308.3432), and the smallest weights
are removed step by step (Zhu and Gupta 2017, arXiv:1710.01878). What is saved is a plain Keras model whose
float weights lie on that grid; `recipe.yml` names the same types, but gives the second ReLU a bit more, so that
nothing saturates.
"""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # its summation order depends on the processor

import keras
import numpy as np
from keras import ops
from scipy.ndimage import affine_transform
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

HERE = Path(__file__).resolve().parent
SEED = 1
EPOCHS, BATCH, SMOOTHING = 120, 128, 0.1
COPIES, ANGLE, SCALE, SHIFT = 15, 0.12, 0.08, 0.5  # of the distorted copies; radians, relative, pixels
UNITS = (32, 32, 10)
KEEP = (0.22, 0.30, 0.55)  # share of each layer's weights that stays
WEIGHT_STEP, WEIGHT_MIN, WEIGHT_MAX = 1 / 8, -1.0, 7 / 8  # fixed<4,1>
BIAS_STEP, BIAS_MIN, BIAS_MAX = 1 / 16, -2.0, 2 - 1 / 16  # fixed<6,2>
RELU_STEP, RELU_MAX = 1 / 8, 4 - 1 / 8  # ufixed<5,2>


def straight_through(exact: object, rounded: object) -> object:
    """`rounded` in the forward pass, the gradient of `exact` in the backward pass."""
    return exact + ops.stop_gradient(rounded - exact)


def to_grid(value: object, step: float, low: float, high: float) -> object:
    """Nearest multiple of `step`, half upwards, limited to [low, high]."""
    limited = ops.clip(value, low, high)
    return straight_through(limited, ops.clip(ops.floor(limited / step + 0.5) * step, low, high))


class HardwareDense(keras.layers.Dense):
    """Dense whose forward pass uses the masked weights on their grid."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        super().build(input_shape)
        self.mask = self.add_weight(name="mask", shape=self.kernel.shape, initializer="ones", trainable=False)

    def hardware_kernel(self) -> object:
        return to_grid(self.kernel, WEIGHT_STEP, WEIGHT_MIN, WEIGHT_MAX) * self.mask

    def hardware_bias(self) -> object:
        return to_grid(self.bias, BIAS_STEP, BIAS_MIN, BIAS_MAX)

    def call(self, inputs: object) -> object:
        return ops.matmul(inputs, self.hardware_kernel()) + self.hardware_bias()

    def prune(self, keep: float) -> None:
        """Masks all but the share `keep` of the weights with the largest magnitude."""
        magnitude = np.abs(ops.convert_to_numpy(self.kernel)) * ops.convert_to_numpy(self.mask)
        limit = np.sort(magnitude, axis=None)[round((1 - keep) * magnitude.size)]
        self.mask.assign((magnitude >= limit).astype("float32"))


class HardwareReLU(keras.layers.Layer):
    def call(self, inputs: object) -> object:
        return to_grid(inputs, RELU_STEP, 0.0, RELU_MAX)


class GradualPruning(keras.callbacks.Callback):
    """Lowers the share of kept weights over the middle of the training, fast first, then slowly."""

    def __init__(self, dense: list[HardwareDense], begin: int, end: int) -> None:
        super().__init__()
        self.dense, self.begin, self.end = dense, begin, end

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        done = min(max((epoch - self.begin) / (self.end - self.begin), 0.0), 1.0)
        if done > 0.0 and epoch <= self.end:
            for layer, keep in zip(self.dense, KEEP, strict=True):
                layer.prune(keep + (1 - keep) * (1 - done) ** 3)


def distorted(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The images and COPIES of each, a little turned, scaled and moved."""
    random = np.random.default_rng(SEED)
    copies = [images]
    for _ in range(COPIES):
        for image in images.reshape(-1, 8, 8):
            angle, scale = random.normal(0, ANGLE), random.normal(1, SCALE, 2)
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * scale
            offset = 3.5 - turn @ [3.5, 3.5] + random.normal(0, SHIFT, 2)
            moved = affine_transform(image, turn, offset, order=1)
            copies.append(np.round(moved * 16).reshape(1, 64) / 16)
    return np.concatenate(copies).astype("float32"), np.tile(labels, COPIES + 1)


def train(images: np.ndarray, labels: np.ndarray) -> list[HardwareDense]:
    dense = [HardwareDense(units, name=f"dense_{i}") for i, units in enumerate(UNITS, 1)]
    model = keras.Sequential([keras.Input((64,)), dense[0], HardwareReLU(), dense[1], HardwareReLU(), dense[2]])
    images, labels = distorted(images, labels)
    classes = keras.utils.to_categorical(labels)
    steps = EPOCHS * -(-len(images) // BATCH)
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(3e-3, steps)),
        keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=SMOOTHING),
    )
    pruning = GradualPruning(dense, begin=EPOCHS // 8, end=EPOCHS * 5 // 8)
    model.fit(images, classes, batch_size=BATCH, epochs=EPOCHS, callbacks=[pruning], verbose=0)
    return dense


def plain_model(trained: list[HardwareDense]) -> keras.Model:
    """The same network in Keras' own layers, with the weights as the hardware has them."""
    layers: list[keras.layers.Layer] = [keras.Input((64,), name="pixels")]
    for i, units in enumerate(UNITS, 1):
        layers.append(keras.layers.Dense(units, name=f"dense_{i}" if i < len(UNITS) else "logits"))
        layers.append(keras.layers.ReLU(name=f"relu_{i}") if i < len(UNITS) else keras.layers.Softmax(name="digit"))
    model = keras.Sequential(layers, name="digits")
    plain = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    for ours, theirs in zip(trained, plain, strict=True):
        theirs.set_weights([ops.convert_to_numpy(ours.hardware_kernel()), ops.convert_to_numpy(ours.hardware_bias())])
    return model


def main() -> None:
    keras.utils.set_random_seed(SEED)
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype("float32")
    x_train, x_test, y_train, y_test = train_test_split(
        images, labels, test_size=0.2, random_state=0, stratify=labels
    )
    model = plain_model(train(x_train, y_train))
    model.save(HERE / "model.keras")
    np.save(HERE / "x_test.npy", x_test)
    np.save(HERE / "y_test.npy", y_test.astype(np.uint8))

    right = model.predict(x_test, verbose=0).argmax(axis=1) == y_test
    print(f"accuracy on the {len(y_test)} held-out digits: {right.mean():.4f}")
    for layer in model.layers:
        for weight in layer.weights:
            value = ops.convert_to_numpy(weight)
            print(f"{weight.path}: {np.count_nonzero(value)} of {value.size} non-zero")


if __name__ == "__main__":
    main()
