"""Loops over the steps of a `scan`: a function of the configuration, in which the kernels of its graph are called."""

from __future__ import annotations

from collections.abc import Sequence

from kbuild.dataclass import dataclass
from kbuild.emit.hls.design import Array, Config, Constant, Step, arrays, config_name, spell, value_name
from kbuild.emit.hls.steps import steps
from kbuild.ir import Node
from kbuild.ops.scan import Scan


@dataclass(frozen=True)
class LoopCode:
    """The configuration whose `run` goes through the sequence, the constants that it takes, and the steps inside."""

    config: Config
    constants: tuple[Constant, ...]
    inside: tuple[Step, ...]


def over_arrays(node: Node, op: Scan, x: Node, integers: dict[str, int]) -> LoopCode:
    """`run(x, initial states..., states that are kept..., constants...)`."""
    count = range(len(op.before))
    sizes = op.state_sizes()
    words = ["X", *(f"H{n}" for n in count), *(f"Y{n}" for n in count)]
    parameters = ["const X x[steps * features]",
                  *(f"const H{n} start_{n}[{sizes[n]}]" for n in count),
                  *(f"Y{n} kept_{n}[kept{n} * {sizes[n]}]" for n in count)]  # fmt: skip
    begin = [f"kbuild::begin<{sizes[n]}>(start_{n}, {_before(op, n)});" for n in count]
    read = f"kbuild::input_row<steps, features, go_backwards>(x, {value_name(op.element.name)}, step);"
    keep = [f"kbuild::keep<kept{n}, flip{n}, {sizes[n]}>({_before(op, n)}, kept_{n}, step);" for n in count]
    return _loop(node, op, x, integers, (words, parameters), (begin, read, keep))


def over_streams(node: Node, op: Scan, inputs: Sequence[Node], integers: dict[str, int]) -> LoopCode:
    """`run(x, perhaps initial states..., result, constants...)`, on streams of packets."""
    count, sizes, given = range(len(op.before)), op.state_sizes(), range(len(inputs) - 1)
    words = ["X", *(f"H{n}" for n in given), "Y"]
    parameters = ["hls::stream<X>& x", *(f"hls::stream<H{n}>& start_{n}" for n in given), "hls::stream<Y>& y"]
    begin = [f"kbuild::read_state<{sizes[n]}>(start_{n}, {_before(op, n)});" if given
             else f"kbuild::clear_state<{sizes[n]}>({_before(op, n)});" for n in count]  # fmt: skip
    read = f"kbuild::read_state<features>(x, {value_name(op.element.name)});"
    write = f"kbuild::write_state<{config_name(node.name)}>({_before(op, op.output)}, y, step);"
    integers = {**integers, "units": sizes[op.output]}
    return _loop(node, op, inputs[0], integers, (words, parameters), (begin, read, [write]))


def _before(op: Scan, number: int) -> str:
    return value_name(op.before[number].name)


def _loop(node: Node, op: Scan, x: Node, integers: dict[str, int], signature: tuple[list[str], list[str]],
          lines: tuple[list[str], str, list[str]]) -> LoopCode:  # fmt: skip
    """signature: names of types, and parameters; lines: what is before the loop, what reads an element, what keeps the
    states after a step."""
    made = steps(op.body)
    inside = tuple(step for _, step in made)
    values = {array.name: array for array in arrays(op.body, inside)}
    constants = tuple(constant for step in inside for constant in step.constants)
    words, parameters = signature
    parameters = [*parameters, *(f"const {each.spell()} {each.name}[{each.size}]" for each in constants)]
    begin, read, keep = lines
    body = [*_declared(values[value_name(op.element.name)]), read]
    for inner, step in made:
        for array in (*step.temporaries, values[value_name(inner.name)]):
            body += _declared(array)
        body += [call.text() for call in step.calls]
    body += [f"kbuild::begin<{before.shape[0]}>({value_name(after.name)}, {value_name(before.name)});"
             for before, after in zip(op.before, op.after, strict=True)]  # fmt: skip
    code = (
        f"template <{', '.join(f'class {word}' for word in words)}>",
        f"static void run({', '.join(parameters)}) {{",
        *_indented([line for before in op.before for line in _declared(values[value_name(before.name)])]),
        *_indented(begin),
        "    for (int step = 0; step < steps; ++step) {",
        *_indented(_indented([*body, *keep])),
        "    }",
        "}",
    )
    integers = {"steps": x.shape[0], "features": x.shape[1], **integers}
    parts = tuple(call.config for step in inside for call in step.calls)
    types = {array.type_name: spell(array.type) for array in values.values()}
    return LoopCode(Config(config_name(node.name), integers, types, parts, code), constants, inside)


def _declared(array: Array) -> list[str]:
    return [f"{array.type_name} {array.name}[{array.size}];",
            f"#pragma HLS ARRAY_PARTITION variable={array.name} complete dim=0"]  # fmt: skip


def _indented(lines: Sequence[str]) -> list[str]:
    return [line if line.startswith("#") else f"    {line}" for line in lines]
