"""A converted model: the recipe on its way through the flow, with the methods that users of hls4ml know."""

from __future__ import annotations

import json
import sys
import threading
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kbuild.api.html import model_html
from kbuild.api.inputs import Samples, as_keras, samples_of
from kbuild.api.layers import Layer, Variable, layers_of, variable
from kbuild.api.progress import Relay
from kbuild.api.settings import Config
from kbuild.config import Recipe
from kbuild.config.backends import load_backend
from kbuild.config.suggestions import nearest
from kbuild.dataclass import replace
from kbuild.emulate import quantize_inputs
from kbuild.errors import RecipeError
from kbuild.flow import scheduler
from kbuild.flow.build import Build
from kbuild.flow.engines import CSIM, EMULATE, engine
from kbuild.flow.metrics import floats
from kbuild.flow.names import STAGE_NAMES
from kbuild.flow.progress import showing
from kbuild.flow.stages.report import REPORT
from kbuild.ir import Graph

if TYPE_CHECKING:
    from kbuild.fixed import FloatArray
    from kbuild.flow.comparison import Engine


class HlsModel:
    """What `convert_from_keras_model` and `convert_from_config` return.

    Everything that can be known without building was checked by then. Nothing is written before `write`, `compile` or
    `build`. Methods may be called from several threads.
    """

    def __init__(self, recipe: Recipe, allow_code: bool = False) -> None:
        self._relay, self._allow_code = Relay(), allow_code
        self._build = Build(recipe, listener=self._relay, allow_code=allow_code)
        with self._build.cache.in_use():
            self._graph = self._build.graph("optimize")
            self._settings = self._build.settings()
        self._engine: Engine | None = None
        self._engine_name = EMULATE
        self._lock = threading.Lock()

    # -- looking ---------------------------------------------------------------------------------

    @property
    def recipe(self) -> Recipe:
        """The recipe that this is the conversion of."""
        return self._build.recipe

    @property
    def config(self) -> Config:
        """The settings, as given and as resolved."""
        return Config(self.recipe, self._settings)

    @property
    def graph(self) -> dict[str, Layer]:
        """The layers by name, in order."""
        return {layer.name: layer for layer in self.get_layers()}

    @property
    def fixed_graph(self) -> Graph:
        """The fixed-point graph, as it is printed."""
        return self._graph

    @property
    def float_graph(self) -> Graph:
        """The graph as it was read, in float64."""
        return self._build.graph("parse")

    def get_layers(self) -> list[Layer]:
        """The layers in order, the inputs among them."""
        return layers_of(self._graph, self._settings)

    def get_layer(self, name: str) -> Layer:
        """The layer of a name. Raises KeyError."""
        layers = self.graph
        if name not in layers:
            raise KeyError(f"no layer is called {name}; there are {', '.join(layers)}")
        return layers[name]

    def get_weights(self, layer: str) -> Any:
        """The weights of a layer by name."""
        return self.get_layer(layer).get_weights()

    def get_input_variables(self) -> list[Variable]:
        """The inputs, in the model's order."""
        return [variable(node) for node in self._graph.inputs]

    def get_output_variables(self) -> list[Variable]:
        """The outputs, in the model's order."""
        return [variable(self._graph[name]) for name in self._graph.outputs]

    # -- computing -------------------------------------------------------------------------------

    def compile(self) -> None:
        """Write the project and build its C simulation, which `predict` uses from now on; both give the same.

        Raises MissingTool without a C++ compiler, StageError when it fails.
        """
        self.write()
        with self._lock, self._build.cache.in_use():
            self._engine, self._engine_name = engine(self._build, CSIM), CSIM

    def predict(self, x: Any) -> Any:
        """What the hardware computes, as float64, each value an exact multiple of its type's LSB.

        x: an array of shape (samples, *input shape), or a list or mapping (by input name) of them. Returns an array of
        shape (samples, *output shape), or a list of them where the model has several outputs; without an axis of
        samples in x there is none in the result. Raises RecipeError for what does not fit the model.
        """
        samples = samples_of(self._graph, x)
        values = self._run(samples, list(dict.fromkeys(self._graph.outputs)))
        return as_keras(self._graph, values, samples.single)

    def trace(self, x: Any) -> tuple[Any, dict[str, FloatArray]]:
        """`predict`, and the output of every layer by its name: of those with `Trace` where any has it, else of all."""
        samples = samples_of(self._graph, x)
        values = self._run(samples, [node.name for node in self._graph])
        chosen = {name for name, settings in self._settings.items() if settings.trace.value}
        nodes = [node for node in self._graph if node.inputs and (not chosen or node.layer.name in chosen)]
        traced = {node.layer.name: values[node.name][0] if samples.single else values[node.name] for node in nodes}
        return as_keras(self._graph, values, samples.single), traced

    def _run(self, samples: Samples, keep: Sequence[str]) -> dict[str, FloatArray]:
        integers, counts = quantize_inputs(self._graph, samples.values)
        if any(counts.values()):
            from kbuild.flow.findings import outside

            for text in outside(self._graph, samples.values, counts):
                warnings.warn(text, stacklevel=3)
        with self._lock:
            if self._engine is None:
                self._engine = engine(self._build, EMULATE)
            if self._engine_name == CSIM:  # a design may keep streams and states in static variables
                return floats(self._graph, self._engine.run(integers, keep))
            chosen = self._engine
        return floats(self._graph, chosen.run(integers, keep))

    # -- building --------------------------------------------------------------------------------

    def write(self) -> None:
        """Write the project into the output folder: `firmware/`, `tb/`, the tool's scripts, `recipe.lock.yml`."""
        self._stages(self._build, scheduler.plan("emit"), show=False)

    def build(
        self,
        *,
        csim: bool = True,
        synth: bool | None = None,
        cosim: bool = False,
        validation: bool | None = None,
        export: bool = False,
        vsynth: bool | None = None,
        fifo_opt: bool = False,
        reset: bool = False,
        log_to_stdout: bool = True,
        **others: Any,
    ) -> dict[str, Any]:
        """Run all stages and return the report, `reports/build.json`.

        csim, validation: compare the engines with one another and with Keras; synth: run the backend's tool, which then
        has to be here (None: as the recipe says, by default where the tool is here); vsynth: place and route, or logic
        synthesis, too; cosim: simulate the RTL: with Yosys that is part of csim, an HLS tool does it after synthesis;
        export: have an HLS tool pack an IP, `synthesis/*.zip`; fifo_opt: nothing more, FIFOs are always as deep as
        they need to be; reset: delete what an earlier build left first; log_to_stdout: show the stages. Raises
        StageError, MissingTool, RecipeError for what does not fit the backend.
        """
        self._check(export=export, fifo_opt=fifo_opt, others=others)
        if reset:
            self._build.output.remove()
        verilog = load_backend(self.recipe.backend).language == "verilog"
        hls = (cosim or export) and not verilog
        build = self._synthesizing(True if hls and synth is None else synth, vsynth, cosim and hls, export)
        simulate = csim or bool(validation) or (cosim and verilog)
        self._stages(build, [name for name in STAGE_NAMES if name != "simulate" or simulate], show=log_to_stdout)
        report: dict[str, Any] = json.loads((build.output.folder / REPORT).read_text(encoding="utf-8"))
        return report

    def _check(self, export: bool, fifo_opt: bool, others: Mapping[str, Any]) -> None:
        """Refuse arguments of `build` that mean nothing here."""
        recipe = self.recipe
        if others:
            name = next(iter(others))
            known = ("csim", "synth", "cosim", "validation", "export", "vsynth", "fifo_opt", "reset", "log_to_stdout")
            match = nearest(name, known)
            remedy = f"did you mean {match}?" if match else f"there are {', '.join(known)}"
            raise RecipeError(f"build({name}=...) is unknown; {remedy}")
        if export and load_backend(recipe.backend).language == "verilog":
            raise RecipeError(
                "build(export=True) has an HLS tool pack an IP; with Backend: Yosys the Verilog in firmware/ is the IP"
            )
        if fifo_opt and recipe.io_type != "io_stream":
            raise RecipeError("build(fifo_opt=True) is for io_type='io_stream'; a design with io_parallel has no FIFOs")

    def _synthesizing(self, synth: bool | None, place: bool | None, cosim: bool, export: bool) -> Build:
        """The build, with the recipe's `Synthesis` replaced where arguments say something else."""
        wanted = replace(self.recipe.synthesis, cosim=cosim, export=export)
        if synth is not None:
            wanted = replace(wanted, run=synth)
        if place is not None:
            wanted = replace(wanted, place_and_route=place)
        if wanted == self.recipe.synthesis:
            return self._build
        recipe = replace(self.recipe, synthesis=wanted)
        return Build(recipe, self._build.cache, self._relay, self._allow_code)

    def _stages(self, build: Build, stages: Sequence[str], show: bool) -> None:
        if show:
            with showing(sys.stdout) as listener:
                failures = self._relay.told_to(listener, lambda: scheduler.run([build], stages))
        else:
            failures = scheduler.run([build], stages)
        for failure in failures:
            raise failure.error

    @property
    def output_dir(self) -> Path:
        """Where `write`, `compile` and `build` put their files."""
        return self._build.output.folder

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return model_html(self)

    def __repr__(self) -> str:
        recipe = self.recipe
        return f"<HlsModel {recipe.project_name}: {len(self.get_layers())} layers, {recipe.backend}, {recipe.io_type}>"
