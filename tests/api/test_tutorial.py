"""docs/tutorial.ipynb: its cells, one after the other, as a notebook would run them."""

import ast
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[2] / "docs" / "tutorial.ipynb"


def run_cell(text: str, names: dict[str, Any]) -> Any:
    """Run a cell; the value of its last line, if that is an expression."""
    tree = ast.parse(text)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, str(NOTEBOOK), "exec"), names)
    if not isinstance(last, ast.Expr):
        return None
    return eval(compile(ast.Expression(last.value), str(NOTEBOOK), "eval"), names)


def test_the_notebook_is_without_outputs() -> None:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    assert all(not cell.get("outputs") and not cell.get("execution_count") for cell in notebook["cells"])


@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("keras", "tensorflow", "matplotlib")),
    reason="keras, tensorflow and matplotlib are needed; make keras runs this with them",
)
def test_the_notebook_runs() -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    shown = [
        run_cell("".join(cell["source"]), names)
        for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
        if cell["cell_type"] == "code"
    ]
    assert names["agreement"] >= 0.97 and names["accuracy"] >= 0.8
    assert shown[1] >= 0.8  # Keras' own accuracy on the images that it has not seen
    assert Path("digits.svg").is_file()
    resources, latency, agreement = shown[-1]
    assert resources["lut"] > 0 and latency > 0 and agreement >= 0.97
    assert "_repr_html_" in dir(names["hls_model"])
