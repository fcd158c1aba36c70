"""Make models of quantized layers with random quantizers, and what their library predicts.

    python make_quantized_models.py [folder [first seed [number of seeds [layers in a model [families]]]]]

Each file `qkeras_<family>_<seed>` is one model: a few inputs, and one output for each layer with settings and
quantizers drawn at random over all that they take. Beside it are `.npz` with inputs `x0...`, outputs `y0...`, and
`exact`: for each output whether float32 rounds nothing in it, which the widths see to, so that it must be equal to the
bit. The others have a scale or a normalization that is no multiple of a power of two. The committed files:

    python make_quantized_models.py data 0 2 10 activation dense convolution other
    python make_quantized_models.py data 0 1 10 recurrent

Made with QKeras 0.9.0 and TensorFlow 2.15.0 and 2.15.1.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import qkeras
from keras import Input, Model
from make_spatial_models import compress
from qkeras.utils import _add_supported_quantized_objects
from tensorflow import stack, unstack
from tensorflow.python.ops import array_ops
from tensorflow.python.util import nest

# Where QConv2DTranspose and the recurrent layers look for them: TensorFlow 2.15 has moved or renamed them.
array_ops.stack, array_ops.unstack, nest.is_sequence = stack, unstack, nest.is_nested

SAMPLES = 6
Settings = dict[str, object]
Drawn = tuple[str, Settings, bool]


def grid(rng: random.Random) -> str:
    """A quantized_bits or the like for weights or values."""
    bits = rng.randint(1, 8)
    flags = f"{bits},{rng.randint(0, 3)},{rng.randint(0, 1)}"
    return f"quantized_bits({flags}{rng.choice(['', ',keep_negative=False'])},alpha={rng.choice([1, 1, 1, 2, 0.5])})"


def powers(rng: random.Random) -> str:
    """Powers of two that float32 can add."""
    if rng.random() < 0.5:
        return f"quantized_po2({rng.randint(3, 4)}{rng.choice(['', ',1', ',2'])})"
    return rng.choice(["quantized_po2(4,quadratic_approximation=True)", "quantized_po2(5,max_value=0.5)"])


def for_kernel(rng: random.Random) -> tuple[str, bool]:
    """A quantizer of a kernel, and whether its scale is a power of two."""
    kind = rng.choice(["grid", "auto", "po2", "power", "sign", "vector"])
    if kind == "grid":
        return grid(rng), True
    if kind == "power":
        return powers(rng), True
    if kind == "sign":
        name = rng.choice(["binary", "ternary", "stochastic_binary", "stochastic_ternary", "binary", "ternary"])
        alpha = rng.choice(["1.0", "'auto_po2'", "'auto'", "0.5", "0.3"])
        return f"{name}(alpha={alpha})", alpha not in ("'auto'", "0.3")
    alpha = {"auto": "'auto'", "po2": "'auto_po2'", "vector": "0.7"}[kind]
    return f"quantized_bits({rng.randint(2, 8)},{rng.randint(0, 2)},1,alpha={alpha})", kind == "po2"


def for_values(rng: random.Random) -> str:
    """A quantizer of values."""
    bits, integer = rng.randint(2, 8), rng.randint(0, 3)
    return rng.choice([
        grid(rng),
        f"quantized_relu({bits},{integer})",
        f"quantized_relu({bits},{integer},negative_slope={rng.choice([0.5, 0.25, 0.125, 0.0625])})",
        f"quantized_relu({bits},{integer},use_sigmoid=1)",
        f"quantized_relu({bits},{integer},relu_upper_bound={rng.choice([0.75, 1.5, 3])},is_quantized_clip=0)",
        f"quantized_tanh({bits},symmetric={rng.randint(0, 1)})",
        f"quantized_tanh({bits},use_real_tanh=1,symmetric={rng.randint(0, 1)})",
        f"quantized_sigmoid({bits},symmetric={rng.randint(0, 1)})",
        f"quantized_sigmoid({bits},use_real_sigmoid=1,symmetric={rng.randint(0, 1)})",
        f"quantized_po2({rng.randint(2, 4)}{rng.choice(['', ',1', ',2'])})",
        f"quantized_relu_po2({rng.randint(2, 3)}{rng.choice(['', ',1', ',2'])})",
        f"quantized_relu_po2({rng.randint(2, 3)},negative_slope=0.5)",
        f"binary(use_01={rng.randint(0, 1)},alpha={rng.choice([1.0, 0.5])})",
        "binary()",
        "stochastic_binary()",
        f"ternary(threshold={rng.choice([0.33, 0.5, 1.0])},alpha=1.0)",
        "stochastic_ternary(alpha=0.5)",
        "hard_tanh",
        "hard_sigmoid",
        "smooth_sigmoid",
        "binary_tanh",
        "binary_sigmoid",
    ])  # fmt: skip


def readable(activation: str) -> str:
    """One for a layer: QKeras cannot read back a function there."""
    return activation if "(" in activation else "relu"


def activation(rng: random.Random) -> Drawn:
    """A quantizer by itself."""
    chosen = for_values(rng)
    return "QActivation", {"activation": chosen}, "binary()" not in chosen


def common(rng: random.Random, kernels: list[str]) -> tuple[Settings, bool]:
    """Quantizers of kernels and bias, and an activation."""
    settings: Settings = {"use_bias": rng.random() < 0.7}
    exact = True
    for key in kernels:
        settings[f"{key}_quantizer"], fine = for_kernel(rng)
        exact = exact and fine
    bias = rng.choice(["quantized_bits(8,2,0,alpha=1)", "quantized_po2(4)", "binary(alpha=0.5)"])
    settings["bias_quantizer"] = bias
    if rng.random() < 0.5:
        chosen = readable(rng.choice(["relu", for_values(rng), for_values(rng)]))
        settings["activation"], exact = chosen, exact and chosen != "binary()"
    return settings, exact


def dense(rng: random.Random) -> Drawn:
    """QDense on any input."""
    settings, exact = common(rng, ["kernel"])
    return "QDense", {"units": rng.randint(1, 5), **settings}, exact


def convolution(rng: random.Random) -> Drawn:
    """Every convolution with quantized weights, some with their BatchNormalization folded in."""
    kind = rng.choice(["QConv1D", "QConv2D", "QDepthwiseConv2D", "QSeparableConv1D", "QSeparableConv2D",
                       "QConv2DTranspose", "QConv2DBatchnorm", "QDepthwiseConv2DBatchnorm"])  # fmt: skip
    kernels = {"QDepth": ["depthwise"], "QSepar": ["depthwise", "pointwise"]}.get(kind[:6], ["kernel"])
    settings, exact = common(rng, kernels)
    if kind.startswith("QSep"):  # two sums, one after the other
        exact = exact and "po2" not in str(settings)
    settings |= {"kernel_size": rng.randint(1, 3), "padding": rng.choice(["valid", "same"])}
    if kind.startswith("QDepthwise"):
        settings["kernel_size"] = (settings["kernel_size"],) * 2
        settings["depth_multiplier"] = rng.randint(1, 2) if kind == "QDepthwiseConv2D" else 1
    else:
        settings["filters"] = rng.randint(1, 4)
    if rng.random() < 0.5 and not kind.endswith("Transpose"):
        settings["strides"] = 2 if kind.endswith("1D") else (2, 2)
    if kind.endswith("Batchnorm"):
        settings |= {"use_bias": True, "scale": rng.random() < 0.8, "center": True}
    return kind, settings, exact


def narrow(rng: random.Random) -> str:
    """A quantizer of few bits for weights or states, so that float32 rounds no sum of products."""
    grid = f"quantized_bits({rng.randint(2, 5)},{rng.randint(0, 1)},{rng.randint(0, 1)},alpha={rng.choice([1, 0.5])})"
    return rng.choice([grid, grid, "binary(alpha=0.5)", "ternary(alpha=1)", "quantized_po2(3,1)",
                       "stochastic_ternary(alpha=0.5)"])  # fmt: skip


def recurrent(rng: random.Random) -> Drawn:
    """A recurrent layer in one direction or both; without a quantizer of its states only where they do not grow."""
    kind = rng.choice(["QSimpleRNN", "QLSTM", "QGRU"])
    bits = rng.randint(2, 5)
    settings: Settings = {
        "units": rng.randint(1, 4), "use_bias": rng.random() < 0.7, "return_sequences": rng.random() < 0.5,
        "go_backwards": rng.random() < 0.3, "kernel_quantizer": narrow(rng), "recurrent_quantizer": narrow(rng),
        "bias_quantizer": "quantized_bits(5,2,0,alpha=1)",
        "activation": rng.choice([f"quantized_tanh({bits})", f"quantized_tanh({bits},use_real_tanh=1)",
                                  f"quantized_bits({bits},0,1,alpha=1)", f"quantized_relu({bits},1)",
                                  "binary(alpha=1)"]),
    }  # fmt: skip
    if kind != "QSimpleRNN":
        gates = ["quantized_sigmoid({})", "quantized_sigmoid({},use_real_sigmoid=1)", "quantized_relu({},1)"]
        settings["recurrent_activation"] = rng.choice(gates).format(bits)
    if kind == "QGRU":
        settings["reset_after"] = rng.random() < 0.5
    if kind != "QSimpleRNN" or rng.random() < 0.5:
        settings["state_quantizer"] = narrow(rng)
    if rng.random() < 0.3:
        return "QBidirectional", {"layer": getattr(qkeras, kind)(**settings),
                                  "merge_mode": rng.choice(["concat", "sum", "mul", "ave"])}, True  # fmt: skip
    return kind, settings | {"return_state": rng.random() < 0.3}, True


def other(rng: random.Random) -> Drawn:
    """Pooling and normalization."""
    kind = rng.choice(["QAveragePooling2D", "QGlobalAveragePooling2D", "QBatchNormalization"])
    quantizer = f"quantized_bits({rng.randint(4, 8)},0,1,alpha=1)"
    if kind == "QBatchNormalization":
        return kind, {"epsilon": rng.choice([1e-3, 1e-2])}, False
    settings: Settings = {"average_quantizer": quantizer}
    if rng.random() < 0.4:
        chosen = for_values(rng)
        if "(" in chosen:  # QKeras cannot read back a function here
            settings["activation"] = chosen
    if kind == "QAveragePooling2D":
        settings |= {"pool_size": rng.choice([2, (2, 4)]), "padding": "valid"}
    return kind, settings, kind == "QAveragePooling2D"  # the mean of all is not finite


FAMILIES: dict[str, Callable[[random.Random], Drawn]] = {
    "activation": activation,
    "dense": dense,
    "convolution": convolution,
    "other": other,
    "recurrent": recurrent,
}


def random_model(rng: random.Random, family: str, count: int) -> tuple[Model, list[bool]]:
    """Layers of a family side by side, some followed by a quantizer; whether each output is exact."""
    inputs = [Input((6,), name="x0"), Input((7, 3), name="x1"), Input((6, 5, 4), name="x2")]
    outputs: list[object] = []
    exact: list[bool] = []
    seen: set[int] = set()
    while len(outputs) < count or len(seen) < len(inputs):
        kind, settings, fine = FAMILIES[family](rng)
        number = 2 if "2D" in kind else 1 if "1D" in kind or family == "recurrent" else rng.randrange(3)
        if len(outputs) >= count:  # an input that nothing has read yet
            kind, settings, fine = "QActivation", {"activation": "quantized_relu(4)"}, True
            number = min(set(range(3)) - seen)
        y = getattr(qkeras, kind)(**settings)(inputs[number])
        if isinstance(y, list):  # with the states
            outputs += y[1:]
            exact += [fine] * len(y[1:])
            y = y[0]
        if kind == "QBatchNormalization" or (family != "activation" and rng.random() < 0.3):
            chosen = for_values(rng)
            while kind == "QBatchNormalization" and "(" not in chosen:  # floats differ
                chosen = for_values(rng)
            y, fine = qkeras.QActivation(chosen)(y), fine and "binary()" not in chosen
        outputs.append(y)
        exact.append(fine)
        seen.add(number)
    return Model(inputs, outputs, name=family), exact


def randomize(model: Model, rng: np.random.Generator) -> None:
    """Random weights of both signs, not only within the range of their quantizers; variances are positive."""
    for layer in model.layers:
        values = []
        for weight in layer.weights:
            drawn = rng.normal(0, 0.8, weight.shape)
            if "variance" in weight.name or "gamma" in weight.name:  # a gamma of nearly 0 is lost in float32
                drawn = rng.uniform(0.3, 3.0, weight.shape)
            values.append(np.asarray(-1, np.int64) if "iteration" in weight.name else drawn.astype(np.float32))
        if values:
            layer.set_weights(values)


def save(model: Model, exact: list[bool], path: Path, seed: int, kind: str) -> None:
    """The model as `keras` or `h5`, its inputs and outputs."""
    rng = np.random.default_rng(seed)
    randomize(model, rng)
    inputs = [(np.round(rng.normal(0, 1.5, (SAMPLES, *x.shape[1:])) * 16) / 16).astype(np.float32)
              for x in model.inputs]  # fmt: skip
    file = path.with_name(f"{path.name}.{kind}")
    model.save(file)
    custom: dict[str, object] = {}
    _add_supported_quantized_objects(custom)
    # What the file says: QKeras does not save every argument. It does not read back every `.keras` that it writes.
    try:
        keras.models.load_model(file, custom, compile=False)
    except Exception:
        file.unlink()
        file, kind = path.with_name(f"{path.name}.h5"), "h5"
        model.save(file)
    outputs = keras.models.load_model(file, custom, compile=False).predict(inputs, verbose=0)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    arrays = {f"x{i}": x for i, x in enumerate(inputs)} | {f"y{i}": np.asarray(y) for i, y in enumerate(outputs)}
    np.savez_compressed(path.with_name(f"{path.name}.npz"), exact=np.array(exact), **arrays)
    if kind == "keras":
        compress(file)


def main(folder: Path, first: int, seeds: int, count: int, *families: str) -> None:
    """All models of these families, or of all."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(first, first + seeds):
        for family in families or FAMILIES:
            keras.backend.clear_session()
            model, exact = random_model(random.Random(f"{family} {seed}"), family, count)
            save(model, exact, folder / f"qkeras_{family}_{seed}", seed, "keras" if seed % 2 else "h5")


if __name__ == "__main__":
    given = sys.argv[2:]
    numbers = tuple(map(int, given[:3])) or (0, 2, 10)
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "data", *numbers, *given[3:])
