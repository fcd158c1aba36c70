"""docs/api.md, from the signatures and docstrings of what is public: `python -m kbuild.api.reference > docs/api.md`."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from typing import Any

_MODULES = (
    "kbuild.converters", "kbuild.converters.keras_v2_to_hls", "kbuild.utils", "kbuild.model.profiling", "kbuild.report",
)  # fmt: skip
_CLASSES = (
    "kbuild.api.model.HlsModel",
    "kbuild.api.layers.Layer",
    "kbuild.api.layers.Weights",
    "kbuild.api.layers.WeightVariable",
    "kbuild.api.layers.Variable",
    "kbuild.api.settings.Config",
    "kbuild.frontend.keras.handler.Handler",
    "kbuild.frontend.keras.handler.LayerCall",
    "kbuild.ops.custom.CustomOp",
    "kbuild.ops.custom.HlsKernel",
    "kbuild.ops.custom.EmitsHls",
    "kbuild.ops.custom.EmitsVerilog",
    "kbuild.ops.custom.Circuit",
    "kbuild.errors.RecipeError",
    "kbuild.errors.UnsupportedModel",
    "kbuild.errors.MissingTool",
    "kbuild.errors.StageError",
)
_HEAD = """\
# The Python API

<!-- Generated from docstrings by `python -m kbuild.api.reference`; edit those instead. -->

```python
import kbuild

config = kbuild.utils.config_from_keras_model(model, granularity="name", backend="Vitis")
hls_model = kbuild.converters.convert_from_keras_model(model, "build/jets", "jets", backend="Vitis", hls_config=config)
hls_model.compile()
y = hls_model.predict(x)
report = hls_model.build(synth=True)
```

The API makes the same recipe as a YAML file would, and runs the same stages as the command. Mistakes are
`kbuild.RecipeError` and `kbuild.UnsupportedModel`, with the texts of the command. `import kbuild` imports nothing
large, and no Keras: a live model brings its own.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *_functions(), *_classes()])


def _functions() -> Iterator[str]:
    for name in _MODULES:
        module = importlib.import_module(name)
        yield f"## {name}\n\n{inspect.getdoc(module)}\n"
        for item in module.__all__:
            value = vars(module)[item]
            if inspect.isfunction(value):
                yield f"### {item}\n\n```python\n{item}{_signature(value)}\n```\n\n{inspect.getdoc(value)}\n"


def _classes() -> Iterator[str]:
    yield "## Classes\n"
    for path in _CLASSES:
        module, _, name = path.rpartition(".")
        kind = vars(importlib.import_module(module))[name]
        yield f"### {name}\n\n{inspect.getdoc(kind)}\n"
        lines = list(_members(kind))
        if lines:
            yield "\n".join([*lines, ""])


def _members(kind: type) -> Iterator[str]:
    for name, value in vars(kind).items():
        text = inspect.getdoc(value)
        if name.startswith("_") or text is None:
            continue
        if inspect.isfunction(value):
            yield f"- `{name}{_signature(value)}`\n{_indented(text)}"
        elif isinstance(value, property) or hasattr(value, "attrname"):
            yield f"- `{name}`\n{_indented(text)}"


def _signature(function: Any) -> str:
    found = inspect.signature(function)
    words: list[str] = []
    starred = False
    for name, one in found.parameters.items():
        if name == "self":
            continue
        if one.kind is one.KEYWORD_ONLY and not starred:
            words.append("*")
        starred |= one.kind in (one.KEYWORD_ONLY, one.VAR_POSITIONAL)
        star = "*" if one.kind is one.VAR_POSITIONAL else "**" if one.kind is one.VAR_KEYWORD else ""
        default = "" if one.default is one.empty else f" = {one.default!r}"
        words.append(f"{star}{name}: {one.annotation}{default}")
    text = f"({', '.join(words)}) -> {found.return_annotation}"
    if len(text) < 90:
        return text
    return "(\n    " + ",\n    ".join(words) + f",\n) -> {found.return_annotation}"


def _indented(text: str) -> str:
    return "\n".join(f"  {line}".rstrip() for line in text.splitlines())


if __name__ == "__main__":
    print(page(), end="")
