"""Report records: to JSON and back, and the published schemas."""

import dataclasses
import json
import math
import typing

import jsonschema
import pytest

from kbuild.errors import StageError
from kbuild.report import graphs as g
from kbuild.report import records as r
from kbuild.report.documents import from_text, to_json, to_text, with_value
from kbuild.resources import resource

REFERENCE = r.Reference("float", 50, 0.98, 0.25, 0.0625, 1.5)
TIMING = r.Timing(112.5, 10.0, True)
RESOURCES = r.Resources(10, 20, 3, 4, {"lut": 100, "ff": 200, "dsp": 30, "bram": 40})
ACCURACY = r.Accuracy(50, 0.98, 0.96)
VALIDATION = r.Validation("accuracy", 0.96, 0.95, True)
PORT = g.Port("x", (8, 2), "fixed<8,3>")

FULL = [
    r.SynthesisReport("yosys", "0.33", "LFE5U-85F-6BG381C", "nextpnr", RESOURCES, TIMING, 12, 1, {"LUT4": 10},
                      "synthesis/design.bit", ("a note",)),
    r.SimulationReport({"emulate": r.EngineRun(50, 0.01, 0), "csim": r.EngineRun(50, 0.02, 1)},
                       r.DataSet("file", 50, None), REFERENCE,
                       (r.LayerResult("fc1", "fixed<16,6>", 3, 0.5, "Dense", 7),
                        r.LayerResult("relu", "ufixed<8,4>", 0, None)), 5, 1, ACCURACY, VALIDATION,
                       (r.FifoResult("stream_x", "process_a", "process_b", 48, 20, 17),), ("n",)),
    g.ParseReport("m", "h5", ("model.h5",), (PORT,), (PORT,),
                  (g.ParsedLayer("fc1", "Dense", ("x",), (4,), 36),), 36, "2.15.0"),
    g.OptimizeReport("Yosys", "io_parallel", (PORT,), (PORT,),
                     (g.OptimizedLayer("fc1", "Dense", (4,), {"result": "fixed<16,6>"}, "latency", 1, 32, 0.001),),
                     (g.PassRun("drop_identity", 7),)),
    r.BuildReport("m", "0.1.0", "Yosys", "LFE5U-85F-6BG381C", "io_parallel", 5.0,
                  (r.StageRun("parse", "done", 0.1), r.StageRun("synthesize", "skipped", 0.0, "yosys is not here")),
                  REFERENCE, ACCURACY, VALIDATION, RESOURCES, TIMING, 5, 1,
                  (r.BudgetLine("LUT", 100, 10, True), r.BudgetLine("Fmax", 50.0, None, None))),
]
SPARSE = [
    r.SynthesisReport("yosys", "0.33", "x", "yosys", r.Resources(0, 0, 0, 0), r.Timing(None, 5, None)),
    r.SimulationReport({}, r.DataSet("random", 0), r.Reference("keras", 0, None, 0.0, 0.0, 0.0), ()),
    g.ParseReport("m", "keras", (), (), (), (), 0),
    g.OptimizeReport("Vitis", "io_stream", (), (), (), ()),
    r.BuildReport("m", "0.1.0", "Yosys", "x", "io_parallel", 5, ()),
]
NAMES = ["synthesize", "simulate", "parse", "optimize", "build"]


def schema(name: str) -> dict:
    return json.loads(resource("schemas", f"{name}.schema.json").read_text())


@pytest.mark.parametrize(("name", "report"), [*zip(NAMES, FULL, strict=True), *zip(NAMES, SPARSE, strict=True)])
def test_documents_fit_their_schema_and_come_back(name, report):
    document = json.loads(to_text(report))
    jsonschema.Draft202012Validator(schema(name)).validate(document)
    assert document["schema"] == f"kbuild/{name}/1" == schema(name)["$id"]
    assert from_text(type(report), to_text(report)) == report


@pytest.mark.parametrize("name", NAMES)
def test_schemas_are_schemas(name):
    jsonschema.Draft202012Validator.check_schema(schema(name))


def classes(kind: type) -> typing.Iterator[type]:
    """A record and all records in it."""
    yield kind
    for hint in typing.get_type_hints(kind).values():
        for inner in (hint, *typing.get_args(hint)):
            if dataclasses.is_dataclass(inner):
                yield from classes(inner)


@pytest.mark.parametrize(("name", "report"), [*zip(NAMES, FULL, strict=True)])
def test_schemas_have_exactly_the_fields_of_the_records(name, report):
    published = schema(name)
    for kind in classes(type(report)):
        entry = published if kind is type(report) else published["$defs"][kind.__name__]
        fields = {field.name for field in dataclasses.fields(kind)} | ({"schema"} if kind is type(report) else set())
        assert set(entry["properties"]) == set(entry["required"]) == fields
        assert entry["additionalProperties"] is False


@pytest.mark.parametrize(
    ("name", "keys", "wrong"),
    [
        ("synthesize", ("resources", "lut"), -1),
        ("synthesize", ("timing", "met"), "yes"),
        ("simulate", ("engines", "other"), {"samples": 1, "seconds": 1, "mismatches": 0}),
        ("simulate", ("reference", "source"), "guess"),
        ("build", ("extra",), 1),
        ("parse", ("format",), "pb"),
    ],
)
def test_schemas_refuse(name, keys, wrong):
    document = to_json(FULL[NAMES.index(name)])
    inner = document
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = wrong
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema(name))


def test_contract_keys():
    """The keys that other programs were promised."""
    synthesis, simulation = to_json(FULL[0]), to_json(FULL[1])
    assert {"tool", "version", "part", "source", "resources", "timing", "latency_cycles"} <= set(synthesis)
    assert set(synthesis["resources"]) == {"lut", "ff", "dsp", "bram", "available"}
    assert set(synthesis["timing"]) == {"fmax_mhz", "clock_period_ns", "met"}
    assert {"engines", "reference", "layers", "latency_cycles", "interval_cycles"} <= set(simulation)
    assert {"samples", "seconds", "mismatches"} <= set(simulation["engines"]["csim"])
    assert {"source", "samples", "argmax_agreement", "max_abs_error", "mean_abs_error"} <= set(simulation["reference"])
    assert {"name", "type", "overflows", "max_abs_error"} <= set(simulation["layers"][0])


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_no_number_that_json_lacks(number):
    with pytest.raises(ValueError, match="a report cannot hold"):
        to_text(dataclasses.replace(FULL[0], timing=r.Timing(number, 5, None)))


def test_no_foreign_objects():
    with pytest.raises(TypeError, match="a report cannot hold a complex"):
        to_text(dataclasses.replace(FULL[0], timing=r.Timing(1j, 5, None)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:50], "synthesize.json is not JSON"),
        (lambda text: "[]", "is not a kbuild/synthesize/1 document"),
        (lambda text: text.replace("synthesize/1", "synthesize/2"), "is not a kbuild/synthesize/1 document"),
        (lambda text: text.replace('"tool"', '"tool_"'), r"does not fit kbuild/synthesize/1 \('tool_'\)"),
        (lambda text: text.replace('"lut": 10,', '"lut": "10",'), "does not fit"),
        (lambda text: text.replace('"lut": 10,', '"lut": true,'), "does not fit"),
        (lambda text: text.replace('"lut": 10,', '"lut": 1.5,'), "does not fit"),
        (lambda text: text.replace('[\n    "a note"\n  ]', '"a note"'), "does not fit"),
        (lambda text: text.replace('"tool": "yosys",', ""), "does not fit"),
    ],
)
def test_damaged_documents(change, message):
    damaged = change(to_text(FULL[0]))
    assert damaged != to_text(FULL[0])
    with pytest.raises(StageError, match=message):
        from_text(r.SynthesisReport, damaged, "synthesize.json")


@pytest.mark.parametrize("report", FULL, ids=lambda report: type(report).__name__)
def test_another_value_of_a_field(report: r.BuildReport) -> None:
    """The text is that of the record with the other value."""
    name = dataclasses.fields(report)[0].name
    for value in (None, ("ä", "b"), r.Timing(1.5, 5, None)):
        assert with_value(to_text(report), name, value) == to_text(dataclasses.replace(report, **{name: value}))
