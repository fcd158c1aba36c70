"""The recurrent cells of QKeras and HGQ2, by the definitions of these libraries."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from kbuild.dataclass import dataclass, replace
from kbuild.fixed import FloatArray
from kbuild.frontend.keras.cells import Cell, Elementwise, States, Steps, gated
from kbuild.frontend.keras.config import Config
from kbuild.frontend.keras.handler import LayerCall
from kbuild.frontend.keras.layers.activation import function_name, function_of
from kbuild.frontend.keras.layers.qkeras import quantized_weights, quantizes
from kbuild.frontend.keras.quantizers import hgq2
from kbuild.frontend.keras.quantizers.function import Function
from kbuild.frontend.keras.quantizers.qkeras import read_activation, read_quantizer
from kbuild.ir import Node

KERNELS = ("kernel", "recurrent_kernel")
GATES = {"SimpleRNN": 1, "GRU": 3, "LSTM": 4}


@dataclass(frozen=True)
class Weights:
    """Quantized weights of a cell: kernel [K, G * U], recurrent kernel [U, G * U], biases [G * U] or None."""

    kernel: FloatArray
    recurrent: FloatArray
    bias: FloatArray | None
    recurrent_bias: FloatArray | None


@dataclass(frozen=True)
class QuantizedCell(Cell):
    """What the cells have in common.

    inputs, state, products: quantizers of the inputs, of the states before they are used, and in a GRU of what the
    reset gate is multiplied with; activation and recurrent_activation: functions with their quantizers.
    """

    units: int
    weights: Weights
    inputs: Elementwise | None
    state: Elementwise | None
    activation: tuple[Elementwise, ...]
    recurrent_activation: tuple[Elementwise, ...] = ()
    reset_after: bool = False
    products: Elementwise | None = None

    def project(self, steps: Steps, element: Node) -> Node:
        """The products with the inputs: [G * U]."""
        return steps.product(element, self.weights.kernel, self.weights.bias)

    def act(self, steps: Steps, value: Node, gate: bool = False) -> Node:
        """The activation, or that of the gates."""
        for function in self.recurrent_activation if gate else self.activation:
            value = steps.apply(function, value)
        return value

    def gates(self, steps: Steps, value: Node) -> list[Node]:
        """The parts of each gate."""
        size = value.shape[0]
        return [steps.part(value, start, start + self.units) for start in range(0, size, self.units)]


@dataclass(frozen=True)
class QuantizedSimpleRnn(QuantizedCell):
    """`h = activation(a + state(h) @ recurrent)`."""

    def step(self, steps: Steps, element: Node, states: States) -> States:
        inputs, before = self.project(steps, element), steps.apply(self.state, states[0])
        return (self.act(steps, steps.add(inputs, steps.product(before, self.weights.recurrent, None))),)


@dataclass(frozen=True)
class QuantizedGru(QuantizedCell):
    """As `ops/gru.py`, with the quantized state throughout."""

    def step(self, steps: Steps, element: Node, states: States) -> States:
        inputs, before, units = self.project(steps, element), steps.apply(self.state, states[0]), self.units
        weights, bias = self.weights.recurrent, self.weights.recurrent_bias
        first = weights if self.reset_after else weights[:, : 2 * units]
        inner = steps.product(before, first, bias)
        both = steps.add(steps.part(inputs, 0, 2 * units), steps.part(inner, 0, 2 * units))
        update, reset = self.gates(steps, self.act(steps, both, gate=True))
        if self.reset_after:
            product = steps.multiply(reset, steps.apply(self.products, steps.part(inner, 2 * units, 3 * units)))
        else:
            kept = steps.apply(self.products, steps.multiply(reset, before))
            product = steps.product(kept, weights[:, 2 * units :], None)
        new = self.act(steps, steps.add(steps.part(inputs, 2 * units, 3 * units), product))
        return (gated(steps, update, before, new),)


@dataclass(frozen=True)
class QuantizedLstm(QuantizedCell):
    """As `ops/lstm.py`, with both quantized states."""

    states: int = 2

    def step(self, steps: Steps, element: Node, states: States) -> States:
        hidden, carry = (steps.apply(self.state, state) for state in states)
        total = steps.add(self.project(steps, element), steps.product(hidden, self.weights.recurrent, None))
        entry, forget, new, output = self.gates(steps, total)
        entry, forget, output = (self.act(steps, gate, gate=True) for gate in (entry, forget, output))
        kept = steps.multiply(forget, carry)
        carry = steps.add(kept, steps.multiply(entry, self.act(steps, new)))
        return steps.multiply(output, self.act(steps, carry)), carry


CELLS: Mapping[str, type[QuantizedCell]] = {
    "SimpleRNN": QuantizedSimpleRnn,
    "GRU": QuantizedGru,
    "LSTM": QuantizedLstm,
}


def kind_of(class_name: str) -> str | None:
    """The kind of cell of a class of QKeras (`QLSTM`, `QLSTMCell`) or HGQ2 (`hgq>QGRU`), None for any other."""
    name = class_name.removeprefix("hgq>").removesuffix("Cell")
    kind = name.removeprefix("Q")
    return kind if name.startswith("Q") and kind in CELLS and class_name != "hgq>QLSTM" else None


def read_cell(call: LayerCall, cell: Config, path: str, features: int) -> tuple[LayerCall, QuantizedCell]:
    """The cell of a layer, and the layer's call with which its steps are added. Raises UnsupportedModel."""
    inner = replace(call.configured(cell), weights={
        name.removeprefix(f"{path}/"): values for name, values in call.weights.items() if name.startswith(f"{path}/")
    })  # fmt: skip
    read = _hgq2 if cell.class_name.startswith("hgq>") else _qkeras
    return read(inner, features)


# QKeras


def _qkeras(call: LayerCall, features: int) -> tuple[LayerCall, QuantizedCell]:
    kind, units = _kind(call), call.config.integer("units")
    if not call.config.has("recurrent_quantizer") and kind == "GRU":
        raise call.error("it has no recurrent_quantizer, and QKeras then takes the kernel for it; give one")
    made = quantized_weights(call, KERNELS, separate=False).weights
    weights = _weights(replace(call, weights=made), kind, units, features)
    state = read_quantizer(call.config, "state_quantizer")
    cell = CELLS[kind](
        units=units,
        weights=weights,
        inputs=None,
        state=None if state is None else _function(call, state.function),
        activation=_qkeras_function(call, "activation"),
        recurrent_activation=() if kind == "SimpleRNN" else _qkeras_function(call, "recurrent_activation"),
        reset_after=kind == "GRU" and call.config.flag("reset_after", False),
    )
    return replace(call, exact=quantizes(call.config, KERNELS)), cell


def _function(call: LayerCall, make: Callable[[], Function]) -> Function:
    try:
        return make()
    except ValueError as error:
        raise call.error(f"state_quantizer: {error}") from error


def _qkeras_function(call: LayerCall, key: str) -> tuple[Elementwise, ...]:
    found = read_activation(call.config, key)
    return _keras_function(call, key) if found is None else (found[1],)


def _keras_function(call: LayerCall, key: str) -> tuple[Elementwise, ...]:
    name = function_name(call, call.config.raw(key))
    return () if name == "linear" else (Function(((lambda rank: function_of(call, name, rank),),)),)


# HGQ2


def _hgq2(call: LayerCall, features: int) -> tuple[LayerCall, QuantizedCell]:
    kind, units = _kind(call), call.config.integer("units")
    if hgq2.enabled(call, "enable_oq"):
        raise call.error("enable_oq is true, with which HGQ2 cannot run a recurrent layer; set it to false")

    def quantizer(place: str, rank: int = 1) -> hgq2.Quantizer | None:
        return hgq2.quantizer_of(call, f"{place}_conf", f"{place}/quantizer", rank)

    names = [("kernel", "kq"), ("recurrent_kernel", "rkq"), ("bias", "bq")][: 2 + call.config.flag("use_bias", True)]
    made = {
        name: hgq2.quantized_weight(call, hgq2.variable(call, number), f"{place}_conf", f"{place}/quantizer")
        for number, (name, place) in enumerate(names)
    }
    weights = _weights(replace(call, weights=made), kind, units, features)
    inputs, state = quantizer("iq") if hgq2.enabled(call, "enable_iq") else None, quantizer("sq")
    function, after = _keras_function(call, "activation"), _some(quantizer("paq"))
    if kind == "SimpleRNN":  # whether its state is quantized is not in the file, but a configuration is only then
        return replace(call, exact=True), QuantizedSimpleRnn(units, weights, inputs, state, (*after, *function))
    gate = (*_keras_function(call, "recurrent_activation"), *_some(quantizer("praq")))
    reset_after = call.config.flag("reset_after", True)
    cell = QuantizedGru(
        units, weights, inputs, state, (*function, *after), gate, reset_after, quantizer("rhq")
    )
    return replace(call, exact=True), cell


def _some(quantizer: hgq2.Quantizer | None) -> tuple[Elementwise, ...]:
    return () if quantizer is None else (quantizer,)


def _kind(call: LayerCall) -> str:
    kind = kind_of(call.config.class_name)
    if kind is None:
        raise call.error("is no recurrent cell of QKeras or HGQ2")
    return kind


def _weights(call: LayerCall, kind: str, units: int, features: int) -> Weights:
    """The quantized weights, of the right shapes."""
    columns = GATES[kind] * units
    bias = further = None
    if call.config.flag("use_bias", True):
        two = kind == "GRU" and call.config.flag("reset_after", call.config.class_name.startswith("hgq>"))
        found = call.weight("bias", (2, columns) if two else (columns,))
        bias, further = (found[0], found[1]) if two else (found, None)
    kernel = call.weight("kernel", (features, columns))
    return Weights(kernel, call.weight("recurrent_kernel", (units, columns)), _used(bias), _used(further))


def _used(bias: FloatArray | None) -> FloatArray | None:
    return bias if bias is not None and np.any(bias) else None
