"""Trains the quantized digits model and writes `model.h5`, `x_test.npy`, `y_test.npy` and `predicted.npy` here.

    pip install --no-deps -r requirements.txt && python train.py        # Python 3.10 or 3.11

Data: the 1797 handwritten digits (8 x 8 pixels of 0 to 16) that ship with scikit-learn, from the UCI set
"Optical Recognition of Handwritten Digits"; one fifth, stratified, is held out and never trained on.

Every weight and every value has a quantizer of QKeras, with 4 bits each, and training sees what they make of it. So the
hardware computes what this model computes, to the bit: `predicted.npy` holds its logits for the test images.
"""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # its summation order depends on the processor

import numpy as np
import tensorflow as tf
from qkeras import QActivation, QConv2D, QDense
from scipy.ndimage import affine_transform
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tensorflow import keras

HERE = Path(__file__).resolve().parent
SEED = 1
EPOCHS, BATCH, SMOOTHING = 60, 256, 0.1
COPIES, ANGLE, SCALE, SHIFT = 15, 0.12, 0.08, 0.5  # of the distorted copies; radians, relative, pixels
WEIGHTS = {"kernel_quantizer": "quantized_bits(4,0,1,alpha=1)", "bias_quantizer": "quantized_bits(6,1,alpha=1)"}
VALUES = "quantized_relu(4,2)"


def network() -> keras.Model:
    """Two small convolutions and a dense layer; the softmax is left to whoever wants probabilities."""
    pixels = keras.Input((8, 8, 1), name="pixels")
    x = QActivation("quantized_relu(5,1)", name="grid")(pixels)  # multiples of 1/16 from 0 to 1: changes nothing
    x = QConv2D(8, 3, name="conv_1", **WEIGHTS)(x)
    x = QActivation(VALUES, name="relu_1")(x)
    x = QConv2D(12, 3, name="conv_2", **WEIGHTS)(x)
    x = QActivation(VALUES, name="relu_2")(x)
    x = keras.layers.MaxPooling2D(2, name="pool")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    return keras.Model(pixels, QDense(10, name="logits", **WEIGHTS)(x), name="digits_qkeras")


def distorted(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The images and COPIES of each, a little turned, scaled and moved."""
    random = np.random.default_rng(SEED)
    copies = [images]
    for _ in range(COPIES):
        for image in images:
            angle, scale = random.normal(0, ANGLE), random.normal(1, SCALE, 2)
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * scale
            offset = 3.5 - turn @ [3.5, 3.5] + random.normal(0, SHIFT, 2)
            moved = affine_transform(image[..., 0], turn, offset, order=1)
            copies.append(np.round(moved * 16).reshape(1, 8, 8, 1) / 16)
    return np.concatenate(copies).astype("float32"), np.tile(labels, COPIES + 1)


def train(model: keras.Model, images: np.ndarray, labels: np.ndarray) -> None:
    images, labels = distorted(images, labels)
    steps = EPOCHS * -(-len(images) // BATCH)
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(3e-3, steps)),
        keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=SMOOTHING),
    )
    model.fit(images, keras.utils.to_categorical(labels), batch_size=BATCH, epochs=EPOCHS, verbose=2)


def main() -> None:
    keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype("float32").reshape(-1, 8, 8, 1)
    x_train, x_test, y_train, y_test = train_test_split(images, labels, test_size=0.2, random_state=0, stratify=labels)
    model = network()
    train(model, x_train, y_train)
    model.save(HERE / "model.h5", include_optimizer=False)
    predicted = model.predict(x_test, verbose=0)
    np.save(HERE / "x_test.npy", x_test)
    np.save(HERE / "y_test.npy", y_test.astype(np.uint8))
    np.save(HERE / "predicted.npy", predicted)
    print(f"accuracy on the {len(y_test)} held-out digits: {(predicted.argmax(axis=1) == y_test).mean():.4f}")


if __name__ == "__main__":
    main()
