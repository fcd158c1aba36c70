"""Trains the iris model and writes `model.h5`, `x_test.npy` and `y_test.npy` beside this file.

    pip install -r requirements.txt && python train.py

Data: Fisher's 150 iris flowers, which ship with scikit-learn; one fifth, stratified, is held out. The measurements
are in tenths of centimetres; divided by 16 they are exact in `ufixed<7,3>`. A plain float model is trained; the
recipe rounds it.
"""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # its summation order depends on the processor

import keras
import numpy as np
from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split

HERE = Path(__file__).resolve().parent
SEED = 5
WEIGHT_LIMIT = 2.0 - 1 / 8  # largest weight of fixed<5,2>


class Limit(keras.constraints.Constraint):
    """Keeps every weight inside the range of the recipe's weight type."""

    def __call__(self, w: object) -> object:
        return keras.ops.clip(w, -WEIGHT_LIMIT, WEIGHT_LIMIT)


def main() -> None:
    keras.utils.set_random_seed(SEED)
    flowers, species = load_iris(return_X_y=True)
    flowers = (np.round(flowers * 10) / 16).astype("float32")
    x_train, x_test, y_train, y_test = train_test_split(
        flowers, species, test_size=0.2, random_state=0, stratify=species
    )
    model = keras.Sequential(
        [
            keras.Input((4,), name="flower"),
            keras.layers.Dense(5, kernel_constraint=Limit(), bias_initializer="ones", name="hidden"),
            keras.layers.ReLU(name="relu"),
            keras.layers.Dense(3, kernel_constraint=Limit(), name="species"),
        ],
        name="iris",
    )
    model.compile(keras.optimizers.Adam(1e-2), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x_train, y_train, batch_size=20, epochs=200, verbose=0)

    # The constraint served the training; without it the file needs no class of ours to be read.
    plain = keras.Sequential(
        [
            keras.Input((4,), name="flower"),
            keras.layers.Dense(5, name="hidden"),
            keras.layers.ReLU(name="relu"),
            keras.layers.Dense(3, name="species"),
        ],
        name="iris",
    )
    plain.set_weights(model.get_weights())
    plain.save(HERE / "model.h5")
    np.save(HERE / "x_test.npy", x_test)
    np.save(HERE / "y_test.npy", y_test.astype(np.uint8))
    right = plain.predict(x_test, verbose=0).argmax(axis=1) == y_test
    print(f"accuracy on the {len(y_test)} held-out flowers: {right.mean():.4f}")


if __name__ == "__main__":
    main()
