"""Loops over the steps of a sequence: a function `run` of the configuration, which calls the kernels of a step."""

from __future__ import annotations

from collections.abc import Sequence

from kbuild.dataclass import dataclass
from kbuild.emit.hls.design import Array, Config, Constant, Step, config_name, spell
from kbuild.ir import Node
from kbuild.ops.loop import Loop


@dataclass(frozen=True)
class Body:
    """What a loop does with one element of its sequence.

    The steps read the array `element` and the `states`; their calls, or the lines of `update` after them, replace the
    states. arrays: what else they write to.
    """

    element: Array
    states: tuple[Array, ...]
    steps: tuple[Step, ...]
    arrays: tuple[Array, ...] = ()
    update: tuple[str, ...] = ()

    @property
    def constants(self) -> tuple[Constant, ...]:
        """What `run` takes last."""
        return tuple(constant for step in self.steps for constant in step.constants)


def over_arrays(node: Node, op: Loop, body: Body, inputs: Sequence[Node], integers: dict[str, int]) -> Config:
    """`run(x, perhaps initial states..., states that are kept..., constants...)`.

    integers: `kept<n>` and `flip<n>` of each state n, as in backends/hls/recurrent.h.
    """
    count = range(len(body.states))
    size = [state.size for state in body.states]
    given = count if len(inputs) > 1 else ()
    words = ["X", *(f"H{n}" for n in given), *(f"Y{n}" for n in count)]
    parameters = ["const X x[steps * features]",
                  *(f"const H{n} start_{n}[{size[n]}]" for n in given),
                  *(f"Y{n} kept_{n}[kept{n} * {size[n]}]" for n in count)]  # fmt: skip
    begin = [_begin("begin", number, state, bool(given)) for number, state in enumerate(body.states)]
    read = f"kbuild::input_row<steps, features, go_backwards>(x, {body.element.name}, step);"
    keep = [f"kbuild::keep<kept{n}, flip{n}, {size[n]}>({body.states[n].name}, kept_{n}, step);" for n in count]
    integers = {"go_backwards": int(op.go_backwards), **integers}
    return _config(node, body, inputs[0], integers, _run(body, (words, parameters), begin, read, keep))


def over_streams(node: Node, op: Loop, body: Body, inputs: Sequence[Node]) -> Config:
    """`run(x, perhaps initial states..., result, constants...)`, on streams of packets."""
    given = range(len(inputs) - 1)
    words = ["X", *(f"H{n}" for n in given), "Y"]
    parameters = ["hls::stream<X>& x", *(f"hls::stream<H{n}>& start_{n}" for n in given), "hls::stream<Y>& y"]
    begin = [_begin("read_state", number, state, bool(given)) for number, state in enumerate(body.states)]
    read = f"kbuild::read_state<features>(x, {body.element.name});"
    state = body.states[op.output]
    write = f"if (return_sequences || step == steps - 1) kbuild::write_state<{state.size}>({state.name}, y);"
    integers = {"return_sequences": int(op.return_sequences)}
    return _config(node, body, inputs[0], integers, _run(body, (words, parameters), begin, read, [write]))


def _begin(read: str, number: int, state: Array, given: bool) -> str:
    """The state before the first step: given, or zeros."""
    if given:
        return f"kbuild::{read}<{state.size}>(start_{number}, {state.name});"
    return f"kbuild::clear_state<{state.size}>({state.name});"


def _run(body: Body, signature: tuple[list[str], list[str]], begin: list[str], read: str,
         keep: list[str]) -> tuple[str, ...]:  # fmt: skip
    """signature: names of types, and parameters; read: the line that fills the element; keep: what is done with the
    states after a step."""
    words, parameters = signature
    parameters = [*parameters, *(f"const {each.spell()} {each.name}[{each.size}]" for each in body.constants)]
    calls = [call.text() for step in body.steps for call in step.calls]
    return (
        f"template <{', '.join(f'class {word}' for word in words)}>",
        f"static void run({', '.join(parameters)}) {{",
        *_indented([*_declared(body.states), *begin]),
        "    for (int step = 0; step < steps; ++step) {",
        *_indented(_indented([*_declared((body.element, *body.arrays)), read, *calls, *body.update, *keep])),
        "    }",
        "}",
    )


def _config(node: Node, body: Body, x: Node, integers: dict[str, int], code: tuple[str, ...]) -> Config:
    integers = {"steps": x.shape[0], "features": x.shape[1], **integers}
    types = {array.type_name: spell(array.type) for array in (body.element, *body.states, *body.arrays)}
    parts = tuple(call.config for step in body.steps for call in step.calls)
    return Config(config_name(node.name), integers, types, parts, code)


def _declared(arrays: Sequence[Array]) -> list[str]:
    return [line for array in arrays
            for line in (f"{array.type_name} {array.name}[{array.size}];",
                         f"#pragma HLS ARRAY_PARTITION variable={array.name} complete dim=0")]  # fmt: skip


def _indented(lines: Sequence[str]) -> list[str]:
    return [line if line.startswith("#") else f"    {line}" for line in lines]
