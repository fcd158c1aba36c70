"""Distance-weighted graph networks: custom layers of Keras 2, written as their paper defines them."""

from __future__ import annotations

from conformance.script import OMIT, Script, Value, arguments

_GARNET = """class GarNet(layers.Layer):
    def __init__(self, n_aggregators, n_filters, n_propagate, simplified=False, collapse=None, input_format='xn',
                 output_activation='tanh', mean_by_nvert=False, **words):
        super().__init__(**words)
        self.words = dict(
            n_aggregators=n_aggregators, n_filters=n_filters, n_propagate=n_propagate, simplified=simplified,
            collapse=collapse, input_format=input_format, output_activation=output_activation,
            mean_by_nvert=mean_by_nvert)
        self.act = keras.activations.get(output_activation)
    def sizes(self):
        return [('', *(self.words[key] for key in ('n_aggregators', 'n_propagate', 'n_filters')))]
    def build(self, shape):
        shape = shape[0] if self.words['input_format'] != 'x' else shape
        features = shape[-1] + (self.words['input_format'] == 'xen')
        for number, a, p, f in self.sizes():
            for name, rows, columns in (('FLR', features, p), ('S', features, a), ('Fout', a * p, f)):
                for kind, size in (('kernel', (rows, columns)), ('bias', (columns,))):
                    full = f'{name}{number}_{kind}'
                    setattr(self, full, self.add_weight(name=full, shape=size))
            features = f
        super().build(shape)
    def call(self, given):
        K, form = keras.backend, self.words['input_format']
        x = given if form == 'x' else given[0]
        if form == 'xen':
            x = K.concatenate([x, K.reshape(given[1], (-1, x.shape[1], 1))])
        if form == 'x':
            mask = K.cast(K.not_equal(x[:, :, 3:], 0.0), 'float32')[:, :, :1]
        else:
            count = K.cast(given[-1], 'float32')
            mask = K.cast(K.less(np.arange(x.shape[1], dtype='float32')[None], count), 'float32')[:, :, None]
        for number, a, p, f in self.sizes():
            def dense(name, x):
                return K.dot(x, getattr(self, f'{name}{number}_kernel')) + getattr(self, f'{name}{number}_bias')
            edges = mask * K.exp(-K.square(dense('S', x)))
            sums = K.sum(edges[:, :, :, None] * dense('FLR', x)[:, :, None, :], axis=1)
            means = sums / (K.maximum(count, 1.0)[:, :, None] if self.words['mean_by_nvert'] else float(x.shape[1]))
            updated = K.reshape(edges[:, :, :, None] * means[:, None], (-1, x.shape[1], a * p))
            x = mask * self.act(dense('Fout', updated))
        collapse = self.words['collapse']
        return x if collapse is None else getattr(K, collapse)(x, axis=1)
    def get_config(self):
        return {**super().get_config(), **self.words}
"""
_STACK = """class GarNetStack(GarNet):
    def sizes(self):
        keys = 'n_aggregators', 'n_propagate', 'n_filters'
        return [(str(n), *each) for n, each in enumerate(zip(*(self.words[key] for key in keys)))]
"""


def garnet(s: Script) -> Value:
    s.run(_GARNET)
    return _layer(s, "GarNet", [s.size(1, 4) for _ in range(3)], ["linear", "relu", None])


def stack(s: Script) -> Value:
    s.run(_GARNET)
    s.run(_STACK)
    count = s.size(1, 3)
    sizes = [[s.size(1, 4) for _ in range(count)] for _ in range(3)]
    return _layer(s, "GarNetStack", sizes, ["linear", "relu", "tanh", "sigmoid", None, OMIT])


def _layer(s: Script, class_name: str, sizes: list[object], activations: list[object]) -> Value:
    form = s.one("x", "xn", "xn", "xen")
    vertices = s.one(2, 3, 4, 5, 8)
    inputs = [s.input((vertices, s.size(4 if form == "x" else 1, 5)))]
    if form == "xen":
        inputs.append(s.input(s.one((vertices,), (vertices, 1))))
    if form != "x":
        inputs.append(s.input((1,), rows=vertices + 1))
    by_number = form != "x" and s.chance(0.4)
    words = {
        "simplified": True,
        "input_format": s.maybe(form) if form == "xn" else form,
        "collapse": s.one(OMIT, None, "sum", "max", *([] if by_number else ["mean", "mean"])),
        "output_activation": s.one(*activations),
        "mean_by_nvert": by_number or OMIT,
    }
    called = inputs[0] if form == "x" else f"[{', '.join(map(str, inputs))}]"
    found = s.value(f"{class_name}({arguments(words, ', '.join(map(str, sizes)))})({called})")
    return s.layer("Dense", found, units=2) if s.chance(0.3) else found


KERAS2_CASES = {"GarNet": garnet, "GarNetStack": stack}
