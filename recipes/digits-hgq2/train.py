"""Trains the digits model with HGQ2 and writes `model.keras`, `x_test.npy`, `y_test.npy` and `predicted.npy` here.

    pip install -r requirements.txt && python train.py

Data: the 1797 handwritten digits (8 x 8 pixels of 0 to 16) that ship with scikit-learn, from the UCI set
"Optical Recognition of Handwritten Digits"; one fifth, stratified, is held out and never trained on.

The network is that of recipes/digits. HGQ2 trains the number of bits of every weight and of every value together with
them (arXiv:2405.00645): the loss has a term for the bits that the multiplications would read, whose weight rises during
the training; what gets no bits at all is removed. `predicted.npy` holds the logits of the trained model for the test
images, which the hardware computes to the bit.
"""

import os
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # its summation order depends on the processor

import keras
import numpy as np
from hgq.config import LayerConfigScope, QuantizerConfig, QuantizerConfigScope
from hgq.layers import QDense
from hgq.utils import trace_minmax
from hgq.utils.sugar import BetaScheduler
from scipy.ndimage import affine_transform
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

HERE = Path(__file__).resolve().parent
SEED = 1
EPOCHS, BATCH, RATE, SMOOTHING = 400, 256, 6e-3, 0.1
COPIES, ANGLE, SCALE, SHIFT = 15, 0.12, 0.08, 0.5  # of the distorted copies; radians, relative, pixels
UNITS = (32, 32, 10)
FIRST_BETA, LAST_BETA = 1e-7, 4e-6  # what a bit operation costs in the loss, at the begin and at the end


def network() -> keras.Model:
    """Dense layers whose inputs, weights and biases are quantized, each element by itself."""
    layers: list[keras.layers.Layer] = [keras.Input((64,), name="pixels")]
    with (
        QuantizerConfigScope(place="weight", overflow_mode="SAT_SYM"),
        QuantizerConfigScope(place="datalane", default_q_type="kif", overflow_mode="WRAP"),
        LayerConfigScope(enable_ebops=True, beta0=FIRST_BETA),
    ):
        for i, units in enumerate(UNITS, 1):
            last = i == len(UNITS)
            # A pixel is a multiple of 1/16 from 0 to 1: fewer bits are what training may choose.
            place = (
                QuantizerConfig("kif", "datalane", k0=0, i0=1, f0=4) if i == 1 else QuantizerConfig("kif", "datalane")
            )
            layers.append(
                QDense(
                    units, activation=None if last else "relu", iq_conf=place, name="logits" if last else f"dense_{i}"
                )
            )
    return keras.Sequential(layers, name="digits_hgq2")


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


def beta(epoch: int) -> float:
    """Rises from the first to the last over three quarters of the training, by the same factor in every epoch."""
    done = min(max((epoch / EPOCHS - 0.05) / 0.75, 0.0), 1.0)
    return FIRST_BETA * (LAST_BETA / FIRST_BETA) ** done


def train(model: keras.Model, images: np.ndarray, labels: np.ndarray) -> None:
    steps = EPOCHS * -(-len(images) // BATCH)
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(RATE, steps)),
        keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=SMOOTHING),
    )
    classes = keras.utils.to_categorical(labels)
    model.fit(images, classes, batch_size=BATCH, epochs=EPOCHS, callbacks=[BetaScheduler(beta)], verbose=2)


def main() -> None:
    keras.utils.set_random_seed(SEED)
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype("float32")
    x_train, x_test, y_train, y_test = train_test_split(images, labels, test_size=0.2, random_state=0, stratify=labels)
    x_train, y_train = distorted(x_train, y_train)
    model = network()
    train(model, x_train, y_train)
    operations = trace_minmax(model, x_train)  # integer bits for what the training images reach
    model.save(HERE / "model.keras")
    predicted = model.predict(x_test, verbose=0)
    np.save(HERE / "x_test.npy", x_test)
    np.save(HERE / "y_test.npy", y_test.astype(np.uint8))
    np.save(HERE / "predicted.npy", predicted)
    right = predicted.argmax(axis=1) == y_test
    print(f"accuracy on the {len(y_test)} held-out digits: {right.mean():.4f}; {operations} bit operations")
    for layer in model.layers:
        kernel = keras.ops.convert_to_numpy(layer.qkernel)
        print(f"{layer.name}: {np.count_nonzero(kernel)} of {kernel.size} weights are left")


if __name__ == "__main__":
    main()
