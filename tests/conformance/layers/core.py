"""Dense, the layers of preprocessing, and those that act in training only."""

from __future__ import annotations

from conformance.layers.activation import fused
from conformance.script import OMIT, Code, Script, Value, arguments


def input_layer(s: Script) -> list[Value]:
    """Inputs that are outputs, of every rank, named and not, unused ones, in any order."""
    named = {"name": "given_name" if s.chance(0.3) else OMIT}
    found = [s.input(s.shape(), **named)]
    found += [s.input(s.shape()) for _ in range(s.size(0, 2))]
    s.rng.shuffle(s.inputs)
    return [s.layer("Dense", found[0], units=2), *(x for x in found[1:] if s.chance(0.7))]


def dense(s: Script) -> Value:
    x = s.source(s.shape(1, 4))
    return s.layer("Dense", x, units=s.size(1, 6), use_bias=s.maybe(s.chance(0.5)), **fused(s))


def quantized_dense(class_name: str, weights: str) -> object:
    """Custom layers of binary and ternary networks: weights of one magnitude H. A step is a steep sigmoid."""

    def build(s: Script) -> Value:
        s.run(
            f"class {class_name}(layers.Dense):\n"
            "    def __init__(self, units, H=1.0, **words):\n"
            "        super().__init__(units, **words)\n"
            "        self.H = H\n"
            "    def call(self, x):\n"
            "        step, w = (lambda v: keras.activations.sigmoid(1e9 * v)), self.kernel / self.H\n"
            f"        y = x @ (self.H * ({weights}))\n"
            "        return self.activation(y + self.bias if self.use_bias else y)\n"
            "    def get_config(self):\n"
            "        return {**super().get_config(), 'H': self.H}"
        )
        words = {"H": s.maybe(s.one(0.5, 0.7, 2.0)), "use_bias": s.maybe(False), "activation": s.maybe("relu")}
        return s.value(f"{class_name}({arguments(words, str(s.size(1, 5)))})({s.source(s.shape(1, 1))})")

    return build


def training_only(class_name: str, **settings: object) -> object:
    def build(s: Script) -> Value:
        rank = int(class_name[-2]) + 1 if class_name.startswith("SpatialDropout") else None
        x = s.source(s.shape(rank or 1, rank or 3))
        y = s.layer(class_name, x, **settings)
        return y if s.chance(0.5) else s.layer("Dense", y, units=2)

    return build


def rescaling(s: Script) -> Value:
    x = s.source(s.shape())
    many = s.chance(0.4)
    scale = [s.number(-2, 2) for _ in range(x.shape[-1])] if many else s.number(-3, 3)
    offset = [s.number(-2, 2) for _ in range(x.shape[-1])] if many and s.chance(0.5) else s.number(-1, 1)
    return s.layer("Rescaling", x, scale=scale, offset=s.maybe(offset))


def normalization(s: Script) -> Value:
    """Its statistics given, or adapted to data; of no axis, of one, of all."""
    x = s.source(s.shape())
    axes = s.one(None, -1, x.rank, tuple(range(1, x.rank + 1)))
    each = () if axes is None else axes if isinstance(axes, tuple) else (axes,)
    kept = [x.shape[axis - 1 if axis > 0 else axis] for axis in each]
    settings = {"axis": axes if axes != -1 else s.maybe(axes), "invert": s.maybe(True, 0.3)}
    seed = s.size(0, 1000)
    if s.chance(0.5):
        made = f"np.random.default_rng({seed})"
        mean, variance = f"{made}.normal(0, 1, {kept}).tolist()", f"{made}.uniform(0.2, 2, {kept}).tolist()"
        given = {**settings, "mean": Code(mean), "variance": Code(variance)}
        return s.layer("Normalization", x, **given)
    name = s.name("layer")
    s.run(f"{name} = {s.make('Normalization', **settings)}")
    data = f"np.random.default_rng({seed}).normal(0.5, 2, (50, *{x.shape!r})).astype('float32')"
    s.run(f"{name}.adapt({data})")
    return s.value(f"{name}({x})")


def embedding(s: Script) -> Value:
    rows = s.size(1, 12)
    x = s.input(s.shape(1, 2), rows=rows)
    y = s.layer("Embedding", x, input_dim=rows, output_dim=s.size())
    return y if s.chance(0.6) or y.rank != 2 else s.layer("SimpleRNN", y, units=2)


CASES = {
    "InputLayer": input_layer,
    "Dense": dense,
    "Dropout": training_only("Dropout", rate=0.5),
    "SpatialDropout1D": training_only("SpatialDropout1D", rate=0.5),
    "SpatialDropout2D": training_only("SpatialDropout2D", rate=0.5),
    "SpatialDropout3D": training_only("SpatialDropout3D", rate=0.5),
    "GaussianNoise": training_only("GaussianNoise", stddev=0.5),
    "GaussianDropout": training_only("GaussianDropout", rate=0.5),
    "AlphaDropout": training_only("AlphaDropout", rate=0.5),
    "ActivityRegularization": training_only("ActivityRegularization", l1=0.1),
    "Identity": training_only("Identity"),
    "Rescaling": rescaling,
    "Normalization": normalization,
    "Embedding": embedding,
}
