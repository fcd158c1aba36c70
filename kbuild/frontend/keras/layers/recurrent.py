"""SimpleRNN, LSTM, GRU, RNN around one of their cells, and Bidirectional; and the same of QKeras and HGQ2."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from kbuild.dataclass import replace
from kbuild.frontend.keras.cells import Order
from kbuild.frontend.keras.config import Config
from kbuild.frontend.keras.handler import ALL, Handler, LayerCall, fitting
from kbuild.frontend.keras.layers.activation import function_name, function_of
from kbuild.ir import Node, Tensor
from kbuild.ops.concatenate import Concatenate
from kbuild.ops.gru import Gru
from kbuild.ops.identity import Identity
from kbuild.ops.loop import Loop
from kbuild.ops.lstm import Lstm
from kbuild.ops.lut import Lut
from kbuild.ops.merge import Merge
from kbuild.ops.relu import Relu
from kbuild.ops.rnn import Recurrent, SimpleRnn

Function = tuple[str, tuple[float, ...]]
_Made = tuple[Loop, tuple[Node, ...]]  # an operation, and what it reads

_CELLS = ("SimpleRNN", "LSTM", "GRU")
_QUANTIZED = ("QSimpleRNN", "QLSTM", "QGRU", "hgq>QSimpleRNN", "hgq>QGRU")  # whose cells have quantizers inside
_MERGES = {"sum": "add", "mul": "multiply", "ave": "average"}


def _cells(config: Config) -> dict[str, Config]:
    """The settings of the cells of a recurrent layer, by the paths of their weights; of `_CELLS` or `_QUANTIZED`.

    A stack of cells computes step by step what layers one after the other compute.
    """
    if config.class_name in (*_CELLS, *_QUANTIZED):
        return {"cell": config}
    if config.class_name != "RNN":
        known = ", ".join((*_CELLS, *_QUANTIZED, "RNN"))
        raise config.error(f"around a layer of class {config.class_name}, which is not one of {known}")
    cell = config.inner("cell")
    if cell.class_name != "StackedRNNCells":
        return {"cell": _cell(config, cell)}
    if cell.has("reverse_state_order") and cell.flag("reverse_state_order", False):
        raise config.error("reverse_state_order is true; set it to false")
    given = cell.raw("cells")
    entries = given if isinstance(given, list) else []
    found: dict[str, Config] = {}
    for entry in entries:
        one = _cell(config, Config(config.layer, "StackedRNNCells", {"cell": entry}, config.keras).inner("cell"))
        stem = _STEMS[one.class_name]
        number = sum(path.startswith(f"cell/cells/{stem}") for path in found)
        found[f"cell/cells/{stem}_{number}" if number else f"cell/cells/{stem}"] = one
    if not found:
        raise config.error("a stack of no cells")
    return found


_STEMS = {
    "SimpleRNN": "simple_rnn_cell",
    "LSTM": "lstm_cell",
    "GRU": "gru_cell",
    "QSimpleRNN": "q_simple_rnn_cell",
    "QLSTM": "qlstm_cell",
    "QGRU": "qgru_cell",
}


def _cell(config: Config, cell: Config) -> Config:
    name = cell.class_name.removesuffix("Cell")
    if name not in _STEMS:
        raise config.error(f"a cell of class {cell.class_name}; there are {', '.join(f'{c}Cell' for c in _CELLS)}")
    return Config(cell.layer, name, cell.values, cell.keras)


def _cell_weights(config: Config, prefix: str = "") -> tuple[str, ...]:
    found: list[str] = []
    for path, cell in _cells(config).items():
        names = ("kernel", "recurrent_kernel", *(("bias",) if cell.flag("use_bias", True) else ()))
        found += [f"{prefix}{path}/{name}" for name in names]
    return tuple(found)


def _function(call: LayerCall, cell: Config, key: str, default: str) -> Function:
    """A function of the cell, as `ops/rnn.py` names it."""
    inner = call.configured(cell)
    name = function_name(inner, cell.values.get(key, default))
    op = function_of(inner, name, 1)
    if isinstance(op, Identity):
        return "linear", ()
    if isinstance(op, Lut):
        return op.function, op.params
    if isinstance(op, Relu) and op.slope is not None:
        return "leaky_relu", (float(op.slope.floats()[0]),)
    if isinstance(op, Relu) and op.max_value is not None:
        return "clipped_line", (1.0, 0.0, 0.0, float(op.max_value.floats()))
    if isinstance(op, Relu):
        return "relu", ()
    raise call.error(f"{key} is {name}, which is not a function of single elements")


def _op(call: LayerCall, cell: Config, path: str, features: int) -> Recurrent:
    """The operation of a cell on a sequence of so many features; its weights' names begin with the path."""
    units, gates = cell.integer("units"), {"SimpleRNN": 1, "LSTM": 4, "GRU": 3}[cell.class_name]
    reset_after = cell.class_name == "GRU" and cell.flag("reset_after", False)
    bias = further = None
    if cell.flag("use_bias", True):
        shape = (2, gates * units) if reset_after else (gates * units,)
        values = call.weight(f"{path}/bias", shape)
        bias, further = (Tensor(values[0]), Tensor(values[1])) if reset_after else (Tensor(values), None)
    activation, params = _function(call, cell, "activation", "tanh")
    kinds: dict[str, Callable[..., Recurrent]] = {
        "SimpleRNN": SimpleRnn,
        "LSTM": Lstm,
        "GRU": partial(Gru, reset_after=reset_after),
    }
    make = partial(
        kinds[cell.class_name],
        weight=Tensor(call.weight(f"{path}/kernel", (features, gates * units))),
        recurrent_weight=Tensor(call.weight(f"{path}/recurrent_kernel", (units, gates * units))),
        bias=bias,
        recurrent_bias=further,
        activation=activation,
        activation_params=params,
    )
    if cell.class_name == "SimpleRNN":
        return make()
    gate, gate_params = _function(call, cell, "recurrent_activation", "sigmoid")
    return make(recurrent_activation=gate, recurrent_params=gate_params)


def _results(
    call: LayerCall, layer: Config, prefix: str, inputs: tuple[Node, ...], flip: bool = False
) -> tuple[Node, ...]:
    """The node of a recurrent layer's value, and with `return_state` those of the last states of its cells.

    inputs: the sequence and the initial states of all cells, or none; flip: a returned sequence is reversed.
    """
    for key in ("stateful", "time_major"):
        if layer.has(key) and layer.flag(key, False):
            raise call.error(f"{key} is true; set it to false")
    if not inputs or len(inputs[0].shape) != 2:
        raise call.error("needs an input of shape (steps, features)")
    value, initial = inputs[0], list(inputs[1:])
    last: list[Node] = []
    cells = _cells(layer)
    for number, (path, cell) in enumerate(cells.items(), 1):
        sequences = number < len(cells) or layer.flag("return_sequences", False)
        order = Order(
            go_backwards=number == 1 and layer.flag("go_backwards", False),
            return_sequences=sequences,
            flip=flip and sequences and number == len(cells),
        )
        states = 2 if "LSTM" in cell.class_name else 1
        given = (value, *(initial[:states] if number < len(cells) else initial))
        initial = initial[states:]
        make = _quantized if cell.class_name in _QUANTIZED else _floating
        op, read = make(call, cell, f"{prefix}{path}", given, order)
        value = call.add(op, *read)
        last += _last_states(call, op, read, value) if layer.flag("return_state", False) else ()
    return value, *last


def _floating(call: LayerCall, cell: Config, path: str, given: tuple[Node, ...], order: Order) -> _Made:
    op = replace(
        _op(call, cell, path, given[0].shape[1]),
        go_backwards=order.go_backwards,
        return_sequences=order.return_sequences,
        flip=order.flip,
    )
    return op, given


def _quantized(call: LayerCall, cell: Config, path: str, given: tuple[Node, ...], order: Order) -> _Made:
    from kbuild.frontend.keras.cells import scan  # few models have them
    from kbuild.frontend.keras.quantized_cells import read_cell

    inner, made = read_cell(call, cell, path, given[0].shape[1])
    return scan(inner, made, given, order)


def _last_states(call: LayerCall, op: Loop, given: tuple[Node, ...], value: Node) -> tuple[Node, ...]:
    return tuple(
        value
        if number == 0 and not op.return_sequences
        else call.add(replace(op, output=number, return_sequences=False, flip=False), *given)
        for number, _ in enumerate(op.state_sizes())
    )


def _recurrent(call: LayerCall) -> tuple[Node, ...]:
    return _results(call, call.config, "", call.inputs)


def _bidirectional(call: LayerCall) -> tuple[Node, ...]:
    """Two layers on the same sequence; the results of the backward one are put in the order of the sequence."""
    forward = call.config.inner("layer")
    if "hgq>" in str(call.config.raw("layer")):
        raise call.error("around a layer of HGQ2, which is not supported; use two layers, one with go_backwards=True")
    if call.config.has("backward_layer"):
        backward = call.config.inner("backward_layer")
    else:
        mirrored = {**forward.values, "go_backwards": not forward.flag("go_backwards", False)}
        backward = Config(forward.layer, forward.class_name, mirrored, forward.keras)
    half = (len(call.inputs) + 1) // 2
    x, first, second = call.inputs[:1], call.inputs[1:half], call.inputs[half:]
    if len(first) != len(second):
        raise call.error(
            f"is called with {len(call.inputs) - 1} initial states, which are not as many for each direction"
        )
    ahead = _results(call, forward, "forward_layer/", (*x, *first))
    behind = _results(call, backward, "backward_layer/", (*x, *second), flip=True)
    return *_merged(call, ahead[0], behind[0]), *ahead[1:], *behind[1:]


def _merged(call: LayerCall, ahead: Node, behind: Node) -> tuple[Node, ...]:
    if not call.config.has("merge_mode") and "merge_mode" in call.config.values:
        return ahead, behind
    mode = call.config.text("merge_mode", "concat")
    if mode == "concat":
        return (call.add(Concatenate(len(ahead.shape) - 1), ahead, behind),)
    if mode not in _MERGES:
        raise call.error(f"merge_mode is {mode[:20]}; there are concat, {', '.join(_MERGES)}")
    return (call.add(Merge(_MERGES[mode]), ahead, behind),)


def _bidirectional_weights(config: Config) -> tuple[str, ...]:
    forward = config.inner("layer")
    backward = config.inner("backward_layer") if config.has("backward_layer") else forward
    return *_cell_weights(forward, "forward_layer/"), *_cell_weights(backward, "backward_layer/")


def _first(build: Callable[[LayerCall], tuple[Node, ...]]) -> Callable[[LayerCall], Node]:
    return lambda call: build(call)[0]


_NOTE = "any activations, return_sequences, return_state, go_backwards, initial_state; not stateful"


def _handler(
    build: Callable[[LayerCall], tuple[Node, ...]], note: str, weights: Callable[[Config], tuple[str, ...]]
) -> Handler:
    return Handler(_first(build), note, weights, build)


HANDLERS = {
    "SimpleRNN": _handler(_recurrent, _NOTE, _cell_weights),
    "LSTM": _handler(_recurrent, _NOTE, _cell_weights),
    "GRU": _handler(_recurrent, f"reset_after or not, {_NOTE}", _cell_weights),
    **{
        name: _handler(_recurrent, f"QKeras: quantizers of weights, states and activations, {_NOTE}", _cell_weights)
        for name in ("QSimpleRNN", "QLSTM", "QGRU")
    },
    **{
        f"hgq>{name}": _handler(fitting(_recurrent), f"HGQ2: {_NOTE}", lambda config: ALL)
        for name in ("QSimpleRNN", "QGRU")
    },
    "RNN": _handler(_recurrent, f"around SimpleRNNCell, LSTMCell, GRUCell or a stack of them, {_NOTE}", _cell_weights),
    "Bidirectional": _handler(
        _bidirectional, "around SimpleRNN, LSTM, GRU or RNN; every merge_mode", _bidirectional_weights
    ),
    "QBidirectional": _handler(
        _bidirectional, "QKeras: around QSimpleRNN, QLSTM or QGRU; every merge_mode", _bidirectional_weights
    ),
}
