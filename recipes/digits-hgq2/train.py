"""Trains the digits model with HGQ2 and writes `model.keras`, `x_test.npy`, `y_test.npy` and `predicted.npy` here.

    pip install --no-deps -r requirements.txt && python train.py        # Python 3.11

Data: the 1797 handwritten digits (8 x 8 pixels of 0 to 16) that ship with scikit-learn, from the UCI set
"Optical Recognition of Handwritten Digits"; one fifth, stratified, is held out and never trained on.

HGQ2 trains the number of bits of every weight and of every value together with them (arXiv:2405.00645): the loss has a
term for the bits that the multiplications would read, and what gets no bits at all is removed. A controller sets the
weight of that term so that BUDGET is reached and kept. Values are cut, not rounded, and wrap: that is free in hardware.
The targets are what a small convolutional network in floating point says of the same training images (distillation,
arXiv:1503.02531): how likely each digit is says more than its name.
`predicted.npy` holds the logits of the trained model for the test images, which the hardware computes to the bit.

`train.py --validate` trains on three quarters of the training images and says how well that does on the fourth, which
is what settings are chosen by; it writes nothing and does not look at the test images.
"""

import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # its summation order depends on the processor

import keras
import numpy as np
import tensorflow as tf
from hgq.config import LayerConfigScope, QuantizerConfig, QuantizerConfigScope
from hgq.layers import QDense
from hgq.utils import trace_minmax
from hgq.utils.sugar import BetaPID
from scipy.ndimage import affine_transform
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

HERE = Path(__file__).resolve().parent
SEED = 1
EPOCHS, BATCH, RATE = 240, 512, 6e-3
HOLD = 0.6  # share of the training before the learning rate falls
TEACHER_EPOCHS, TEACHER_BATCH, TEACHER_RATE, TEMPERATURE = 10, 256, 2e-3, 2.0
COPIES, ANGLE, SCALE, SHIFT = 15, 0.12, 0.08, 0.5  # of the distorted copies; radians, relative, pixels
UNITS = (32, 32, 10)
BUDGET = 8500  # bit operations: bits of a weight times bits of the value that it multiplies, summed up
FIRST_BETA = 2e-6  # what a bit operation costs in the loss, until the controller changes it
WEIGHT_BITS, FRACTION_BITS = 6, 4  # at the beginning


def network() -> keras.Model:
    """Dense layers whose inputs, weights and biases are quantized, each element by itself."""
    layers: list[keras.layers.Layer] = [keras.Input((64,), name="pixels")]
    with (
        QuantizerConfigScope(place="weight", overflow_mode="SAT_SYM", b0=WEIGHT_BITS),
        QuantizerConfigScope(place="datalane", default_q_type="kif", overflow_mode="WRAP", round_mode="TRN"),
        LayerConfigScope(enable_ebops=True, beta0=FIRST_BETA),
    ):
        for i, units in enumerate(UNITS, 1):
            last = i == len(UNITS)
            # A pixel is a multiple of 1/16 from 0 to 1, a ReLU never negative: training may choose fewer bits.
            bits = {"i0": 1, "f0": 4} if i == 1 else {"f0": FRACTION_BITS}
            layers.append(
                QDense(
                    units,
                    activation=None if last else "relu",
                    iq_conf=QuantizerConfig("kif", "datalane", k0=0, **bits),
                    name="logits" if last else f"dense_{i}",
                )
            )
    return keras.Sequential(layers, name="digits_hgq2")


def distorted(images: np.ndarray, labels: np.ndarray, copies: int = COPIES) -> tuple[np.ndarray, np.ndarray]:
    """The images and copies of each, a little turned, scaled and moved."""
    random = np.random.default_rng(SEED)
    found = [images]
    for _ in range(copies):
        for image in images.reshape(-1, 8, 8):
            angle, scale = random.normal(0, ANGLE), random.normal(1, SCALE, 2)
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * scale
            offset = 3.5 - turn @ [3.5, 3.5] + random.normal(0, SHIFT, 2)
            moved = affine_transform(image, turn, offset, order=1)
            found.append(np.round(moved * 16).reshape(1, 64) / 16)
    return np.concatenate(found).astype("float32"), np.tile(labels, copies + 1)


class Progress(keras.callbacks.Callback):
    """A line now and then."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if (epoch + 1) % max(EPOCHS // 8, 1) == 0 and logs is not None:
            print(f"epoch {epoch + 1}: " + ", ".join(f"{k} {v:.3g}" for k, v in logs.items()), flush=True)


def soft_targets(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How likely each digit is for each image, as the float network says that has been trained on them."""
    layers = keras.layers
    teacher = keras.Sequential([
        keras.Input((64,)), layers.Reshape((8, 8, 1)),
        layers.Conv2D(24, 3, padding="same", activation="relu"), layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(2), layers.Flatten(), layers.Dropout(0.3),
        layers.Dense(64, activation="relu"), layers.Dropout(0.3), layers.Dense(10),
    ])  # fmt: skip
    steps = TEACHER_EPOCHS * -(-len(images) // TEACHER_BATCH)
    teacher.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(TEACHER_RATE, steps)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    teacher.fit(images, labels, batch_size=TEACHER_BATCH, epochs=TEACHER_EPOCHS, verbose=0)
    logits = teacher.predict(images, verbose=0) / TEMPERATURE
    likely = np.exp(logits - logits.max(axis=1, keepdims=True))
    return likely / likely.sum(axis=1, keepdims=True)


def trained(images: np.ndarray, labels: np.ndarray) -> tuple[keras.Model, float]:
    """The model, and its bit operations."""
    keras.utils.set_random_seed(SEED)
    images, labels = distorted(images, labels)
    targets = soft_targets(images, labels)
    keras.utils.set_random_seed(SEED)
    model = network()
    steps = EPOCHS * -(-len(images) // BATCH)
    held = round(HOLD * steps)
    rate = keras.optimizers.schedules.CosineDecay(RATE, steps - held, warmup_target=RATE, warmup_steps=held)
    model.compile(keras.optimizers.Adam(rate), keras.losses.CategoricalCrossentropy(from_logits=True))
    budget = BetaPID(BUDGET, init_beta=FIRST_BETA, p=1.0, i=0.04, warmup=2)
    model.fit(images, targets, batch_size=BATCH, epochs=EPOCHS, callbacks=[budget, Progress()], verbose=0)
    operations = trace_minmax(model, images, verbose=False)  # integer bits for what these images reach
    plain = network()  # to be saved without the state of the optimizer
    plain.set_weights(model.get_weights())
    return plain, operations


def describe(model: keras.Model, operations: float) -> None:
    print(f"{operations:.0f} bit operations")
    for layer in model.layers:
        kernel = keras.ops.convert_to_numpy(layer.qkernel)
        print(f"{layer.name}: {np.count_nonzero(kernel)} of {kernel.size} weights are left")


def accuracy(model: keras.Model, images: np.ndarray, labels: np.ndarray) -> float:
    return float((model.predict(images, verbose=0).argmax(axis=1) == labels).mean())


def validate(images: np.ndarray, labels: np.ndarray) -> None:
    """How well the settings do on a fourth of the training images, and on three distorted copies of each."""
    x_train, x_held, y_train, y_held = train_test_split(images, labels, test_size=0.25, random_state=0, stratify=labels)
    model, operations = trained(x_train, y_train)
    describe(model, operations)
    copies = distorted(x_held, y_held, 3)
    print(f"accuracy on {len(y_held)} validation digits: {accuracy(model, x_held, y_held):.4f}, ", end="")
    print(f"distorted: {accuracy(model, *copies):.4f}")


def main() -> None:
    tf.config.experimental.enable_op_determinism()
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype("float32")
    x_train, x_test, y_train, y_test = train_test_split(images, labels, test_size=0.2, random_state=0, stratify=labels)
    if sys.argv[1:] == ["--validate"]:
        validate(x_train, y_train)
        return
    model, operations = trained(x_train, y_train)
    describe(model, operations)
    model.save(HERE / "model.keras")
    predicted = model.predict(x_test, verbose=0)
    np.save(HERE / "x_test.npy", x_test)
    np.save(HERE / "y_test.npy", y_test.astype(np.uint8))
    np.save(HERE / "predicted.npy", predicted)
    print(f"accuracy on the {len(y_test)} held-out digits: {(predicted.argmax(axis=1) == y_test).mean():.4f}")


if __name__ == "__main__":
    main()
