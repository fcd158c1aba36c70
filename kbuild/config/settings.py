"""What the recipe says about each layer of a model: default < Model < LayerType < LayerName, resolved once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from kbuild.config.places import Problem, raise_problems
from kbuild.config.recipe import LayerRules, Recipe, Setting
from kbuild.config.suggestions import listing, nearest
from kbuild.dataclass import dataclass

if TYPE_CHECKING:
    from kbuild.fixed import FixedType

T = TypeVar("T")

_SOFTMAX_ALONE = ("Stable", "Argmax", "Legacy")  # strategies that are nothing but implementations of softmax
SOFTMAX_IMPLEMENTATIONS = ("stable", "latency", "argmax", "legacy")
CONV_IMPLEMENTATIONS = ("im2col", "winograd", "combination")

# Files that hls4ml wrote give every activation a type for its table, those without one included; there it says nothing.
_TABLE = ("table",)
_ACTIVATIONS = ("activation", "relu", "elu", "softmax")

# So they give a softmax types for its sum, which is exact here.
_SUMS = ("accum", "inv_inp")

# Keys of Precision that are no variable of a layer: all others, and the widest type that auto may choose.
_EVERY = "default"
_TRAINED = ("weight", "bias")
_MAXIMUM = "maximum"


@dataclass(frozen=True)
class LayerInfo:
    """A layer of a model, as far as settings are concerned.

    `variables` are the names that Precision may use for it (`weight`, `bias`, `accum`, `result` …); `aliases` other
    layer names that mean it; `type_aliases` other type names that mean its class (a QDense is also a Dense); `softmax`
    the softmax that alone reads its result; `inner` whether it is a step inside a layer of the class, of which the
    types of the class and of the model are for the weights only, and their strategies and reuse factors for none;
    `settled` whether the model has chosen every type itself, so that those under `Model` are for none of its variables.
    """

    name: str
    class_name: str
    variables: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    type_aliases: tuple[str, ...] = ()
    softmax: str | None = None
    inner: bool = False
    settled: bool = False

    @property
    def common(self) -> tuple[str, ...]:
        """The variables for which the types of the class and of the model are."""
        return tuple(name for name in self.variables if name in _TRAINED) if self.inner else self.variables

    @property
    def types(self) -> tuple[str, ...]:
        """All type names of the layer, its own first."""
        return (self.class_name, *self.type_aliases)


@dataclass(frozen=True)
class LayerSettings:
    """The resolved settings of one layer, each with where it comes from.

    A precision of None is `auto`. A None elsewhere means that the recipe leaves it to the backend or the pass.
    `maximum` is the widest type that `auto` may choose; `general` the type of what is not named, which `auto` may be as
    wide as.
    """

    layer: str
    precision: Mapping[str, Setting[FixedType | None]]
    maximum: Setting[FixedType | None]
    general: Setting[FixedType | None]
    reuse_factor: Setting[int]
    strategy: Setting[str]
    table_size: Setting[int | None]
    implementation: Setting[str | None]
    parallelization_factor: Setting[int]
    conv_implementation: Setting[str]
    recurrent_reuse_factor: Setting[int]
    depthwise_reuse_factor: Setting[int]
    pointwise_reuse_factor: Setting[int]
    target_cycles: Setting[int | None]
    compression: Setting[bool]
    trace: Setting[bool]
    skip: Setting[bool]
    static: Setting[bool]

    def type_of(self, variable: str) -> FixedType | None:
        """The type given for a variable, None for `auto`."""
        return self.precision[variable].value

    def origin(self, variable: str) -> str:
        """Where a variable's type comes from: `default`, `<file>:<line>`, `--set` or `argument`."""
        return self.precision[variable].origin

    def items(self) -> Iterator[tuple[str, Setting[Any]]]:
        """Every setting under the recipe's name for it, types as text: what the lock file records."""
        for variable, given in self.precision.items():
            yield f"Precision.{variable}", Setting(str(given.value) if given.value else "auto", given.origin)
        if self.maximum.value is not None:
            yield "Precision.maximum", Setting(str(self.maximum.value), self.maximum.origin)
        yield "ReuseFactor", self.reuse_factor
        yield "Strategy", self.strategy
        yield "TableSize", self.table_size
        yield "Implementation", self.implementation
        yield "ParallelizationFactor", self.parallelization_factor
        yield "ConvImplementation", self.conv_implementation
        yield "RecurrentReuseFactor", self.recurrent_reuse_factor
        yield "DepthwiseReuseFactor", self.depthwise_reuse_factor
        yield "PointwiseReuseFactor", self.pointwise_reuse_factor
        yield "TargetCycles", self.target_cycles
        yield "Compression", self.compression
        yield "Trace", self.trace
        yield "Skip", self.skip
        yield "Static", self.static


def resolve_settings(recipe: Recipe, layers: Sequence[LayerInfo]) -> dict[str, LayerSettings]:
    """Settings of every layer by its name, in the order of `layers`.

    Raises `RecipeError` with a line for each name, type, variable or implementation that fits no layer.
    """
    matcher = _Matcher(recipe, layers)
    problems = matcher.problems()
    raise_problems(problems)
    return {
        layer.name: _resolve(layer, matcher.levels(layer), matcher.named(layer), matcher.before(layer), recipe)
        for layer in layers
    }


class _Matcher:
    """Which rules of the recipe concern which layer."""

    def __init__(self, recipe: Recipe, layers: Sequence[LayerInfo]) -> None:
        self._hls = recipe.hls
        self._layers = layers
        self._by_name: dict[str, list[LayerRules]] = {layer.name: [] for layer in layers}
        self._unknown: list[Problem] = []
        for name, rules in self._hls.layer_name.items():
            target = self._named(name)
            if target is None:
                self._unknown.append(Problem(rules.place, rules.key, self._name_message(name)))
            else:
                self._by_name[target.name].append(rules)

    def levels(self, layer: LayerInfo) -> list[LayerRules]:
        """The rules that concern a layer, strongest first."""
        types = {name.casefold(): rules for name, rules in self._hls.layer_type.items()}
        by_type = [types[name.casefold()] for name in layer.types if name.casefold() in types]
        return [*self.named(layer), *by_type, self._hls.model]

    def named(self, layer: LayerInfo) -> list[LayerRules]:
        """The rules that name the layer."""
        return self._by_name[layer.name]

    def before(self, softmax: LayerInfo) -> list[LayerRules]:
        """Rules by name of layers whose result only this softmax reads: their `Strategy: Stable` means it."""
        return [rules for layer in self._layers if layer.softmax == softmax.name for rules in self._by_name[layer.name]]

    def problems(self) -> list[Problem]:
        """Everything in HLSConfig that does not fit the model."""
        problems = list(self._unknown)
        for layer in self._layers:
            for second in self._by_name[layer.name][1:]:
                first = self._by_name[layer.name][0]
                message = f"this is the layer {layer.name}, which {first.key} sets too; delete one of the two"
                problems.append(Problem(second.place, second.key, message))
            for rules in self._by_name[layer.name]:
                whose, before_softmax = f"the layer {layer.name}", layer.softmax is not None
                problems += _misfits(rules, [layer], layer.variables, whose, before_softmax)
        spelled: dict[str, LayerRules] = {}
        for name, rules in self._hls.layer_type.items():
            first = spelled.setdefault(name.casefold(), rules)
            if first is not rules:
                message = f"this is the type that {first.key} sets too; delete one of the two"
                problems.append(Problem(rules.place, rules.key, message))
            concerned = [layer for layer in self._layers if name.casefold() in map(str.casefold, layer.types)]
            if concerned:
                variables = [variable for layer in concerned for variable in layer.common]
                problems += _misfits(rules, concerned, variables, f"a layer of type {name}")
            else:
                problems.append(Problem(rules.place, rules.key, self._type_message(name)))
        return problems

    def _named(self, name: str) -> LayerInfo | None:
        """The layer of that name; else the only one where case is ignored, or of which it is another name."""
        for layer in self._layers:
            if layer.name == name:
                return layer
        near = [layer for layer in self._layers if layer.name.casefold() == name.casefold()]
        near = near or [layer for layer in self._layers if name in layer.aliases]
        return near[0] if len(near) == 1 else None

    def _name_message(self, name: str) -> str:
        names = [layer.name for layer in self._layers]
        if name.casefold() in {kind.casefold() for layer in self._layers for kind in layer.types}:
            return f"there is no layer of this name, but a type; write it under LayerType, or one of {listing(names)}"
        match = nearest(name, names)
        remedy = f"did you mean {match}?" if match else f"the layers of the model are {listing(names)}"
        return f"the model has no layer of this name; {remedy}"

    def _type_message(self, name: str) -> str:
        types = list(dict.fromkeys(kind for layer in self._layers for kind in layer.types))
        if name in {layer.name for layer in self._layers}:
            return "the model has no layer of this type, but one of this name; write it under LayerName"
        match = nearest(name, types)
        remedy = f"did you mean {match}?" if match else f"the types of the model are {listing(types)}"
        return f"the model has no layer of this type; {remedy}"


def _misfits(
    rules: LayerRules,
    layers: Sequence[LayerInfo],
    found: Sequence[str],
    whose: str,
    before_softmax: bool = False,
) -> list[Problem]:
    """Variables and implementations that none of the layers has, of which `found` are the variables."""
    problems = []
    variables = list(dict.fromkeys(found))
    accepted = {*variables, _EVERY, _MAXIMUM, *(_TABLE if any(map(_is_activation, layers)) else ())}
    accepted |= set(_SUMS if any(map(_is_softmax, layers)) else ())
    for name, setting in rules.precision.items():
        if name not in accepted and setting.value is not None:  # auto asks for nothing
            match = nearest(name, variables)
            remedy = f"did you mean {match}?" if match else f"it has {listing(variables)}"
            message = f"{whose} has no variable {name}; {remedy}"
            problems.append(Problem(setting.place, setting.key, message))
    strategy = rules.strategy
    fits = before_softmax or any(map(_is_softmax, layers))
    if strategy and strategy.value in _SOFTMAX_ALONE and not fits:
        message = f"{strategy.value} is for softmax, which {whose} is not; write Latency, Resource or Unrolled"
        problems.append(Problem(strategy.place, strategy.key, message))
    skip = rules.skip
    if skip and skip.value and not any(map(_is_softmax, layers)):
        message = f"a softmax may be left out, which {whose} is not; delete it"
        problems.append(Problem(skip.place, skip.key, message))
    chosen = rules.implementation
    if chosen and not any(chosen.value in _implementations(layer) for layer in layers):
        kind = "softmax" if chosen.value in SOFTMAX_IMPLEMENTATIONS else "convolutions"
        possible = list(dict.fromkeys(word for layer in layers for word in _implementations(layer)))
        remedy = f"write one of {listing(possible)}" if possible else "delete it"
        message = f"{chosen.value} is for {kind}, which {whose} is not; {remedy}"
        problems.append(Problem(chosen.place, chosen.key, message))
    return problems


def _is_activation(layer: LayerInfo) -> bool:
    return any(kind.casefold().endswith(_ACTIVATIONS) for kind in layer.types)


def _is_softmax(layer: LayerInfo) -> bool:
    return any(kind.casefold().endswith("softmax") for kind in layer.types)


def _implementations(layer: LayerInfo) -> tuple[str, ...]:
    if _is_softmax(layer):
        return SOFTMAX_IMPLEMENTATIONS
    return CONV_IMPLEMENTATIONS if any("conv" in kind.casefold() for kind in layer.types) else ()


def _resolve(
    layer: LayerInfo,
    levels: Sequence[LayerRules],
    named: Sequence[LayerRules],
    before: Sequence[LayerRules],
    recipe: Recipe,
) -> LayerSettings:
    def pick(get: Callable[[LayerRules], Setting[T] | None], default: Setting[T]) -> Setting[T]:
        return next((found for rules in levels if (found := get(rules)) is not None), default)

    def maybe(get: Callable[[LayerRules], Setting[T] | None]) -> Setting[T | None]:
        found = next((found for rules in levels if (found := get(rules)) is not None), None)
        return Setting(found.value, found.origin, found.key, found.place) if found else Setting(None)

    own = [*named, LayerRules()] if layer.inner else levels
    typed = levels[:-1] if layer.settled and recipe.hls.bit_exact is not False else levels
    reuse = next((found for rules in own if (found := rules.reuse_factor) is not None), Setting(1))
    return LayerSettings(
        layer=layer.name,
        precision={name: _precision(name, typed if name in layer.common else named) for name in layer.variables},
        maximum=pick(lambda rules: rules.precision.get(_MAXIMUM), Setting(None)),
        general=_precision(_EVERY, typed),
        reuse_factor=reuse,
        strategy=_strategy(layer, own),
        table_size=maybe(lambda rules: rules.table_size),
        implementation=_implementation(layer, levels, before),
        parallelization_factor=pick(lambda rules: rules.parallelization_factor, Setting(1)),
        conv_implementation=pick(lambda rules: rules.conv_implementation, Setting("LineBuffer")),
        recurrent_reuse_factor=pick(lambda rules: rules.recurrent_reuse_factor, reuse),
        depthwise_reuse_factor=pick(lambda rules: rules.depthwise_reuse_factor, reuse),
        pointwise_reuse_factor=pick(lambda rules: rules.pointwise_reuse_factor, reuse),
        target_cycles=maybe(lambda rules: rules.target_cycles),
        compression=pick(lambda rules: rules.compression, Setting(False)),
        trace=pick(lambda rules: rules.trace, recipe.hls.trace_output or Setting(False)),
        skip=pick(lambda rules: rules.skip, Setting(False)),
        static=pick(lambda rules: rules.static, Setting(True)),
    )


def _precision(variable: str, levels: Sequence[LayerRules]) -> Setting[FixedType | None]:
    """At each level, strongest first, the variable's own entry, else the level's one for all variables."""
    for rules in levels:
        found = rules.precision.get(variable) or rules.precision.get(_EVERY)
        if found is not None:
            return found
    return Setting(None)


def _means_implementation(layer: LayerInfo, rules: LayerRules, model: LayerRules) -> bool:
    """`Strategy: Stable` under a softmax's name or type is its implementation; under Model it never is."""
    return (
        rules is not model
        and rules.strategy is not None
        and _is_softmax(layer)
        and rules.strategy.value.lower() in SOFTMAX_IMPLEMENTATIONS
    )


def _strategy(layer: LayerInfo, levels: Sequence[LayerRules]) -> Setting[str]:
    model = levels[-1]
    for rules in levels:
        strategy = rules.strategy
        if strategy is None or (layer.softmax is not None and strategy.value in _SOFTMAX_ALONE):
            continue
        if not _means_implementation(layer, rules, model):
            return strategy
    return Setting("Latency")


def _implementation(
    layer: LayerInfo, levels: Sequence[LayerRules], before: Sequence[LayerRules]
) -> Setting[str | None]:
    possible = _implementations(layer)
    for rules in (*levels[:-1], *before, levels[-1]):
        if rules in before:
            if (given := rules.strategy) is not None and given.value in _SOFTMAX_ALONE:
                return Setting(given.value.lower(), given.origin, given.key, given.place)
            continue
        chosen = rules.implementation
        if chosen is not None and chosen.value in possible:
            return Setting(chosen.value, chosen.origin, chosen.key, chosen.place)
        if _means_implementation(layer, rules, levels[-1]) and (given := rules.strategy) is not None:
            return Setting(given.value.lower(), given.origin, given.key, given.place)
    return Setting(None)
