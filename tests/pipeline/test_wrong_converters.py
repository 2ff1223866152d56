"""What a wrong converter does is told: what, where, in types and never in values."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qoqdata
from qoqdata.records.content import Ecg, Image, Mask, Number, Record, Region
from qoqdata.sources.asking import ask, ask_number, translate
from qoqdata.sources.protocol import Filtered, Job, Refused, Skipped, Unit
from tests.pipeline.converters_by_hand import build, left_out, source

SURROGATE = "caf\udce9"


def refusal(tmp_path: Path, plan: Callable[[Job], Any]) -> str:
    """Why a source with this plan is refused as a whole."""
    entry = build(tmp_path, source(plan)).sources["films"]
    assert (entry.counts.units, entry.counts.quarantined, entry.counts.records) == (1, 1, 0)
    assert entry.refused is not None
    return entry.refused


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ("a.txt", "plan yielded a str. Fix: yield Unit, Refused or Filtered"),
        (None, "plan yielded None."),
        (("a", ("a.txt",)), "plan yielded a tuple."),
        (Skipped("view", "no_view"), "plan yielded a qoqdata.sources.protocol.Skipped."),
        (Unit(np.int64(3), ()), "the key of a Unit is a numpy.int64"),  # type: ignore[arg-type]
        (Unit("", ()), "the key of a Unit is empty"),
        (Filtered(7, "no_label", ""), "the key of a Filtered is an int"),  # type: ignore[arg-type]
    ],
)
def test_a_plan_yields_units_with_keys(tmp_path: Path, item: object, said: str) -> None:
    def plan(job: Job) -> Iterator[Any]:
        yield Unit("a.txt", ("a.txt",))
        yield item

    why = refusal(tmp_path, plan)
    assert why.startswith("converter_error: films, item 1 of plan: ") and said in why


def test_a_plan_of_nothing_is_refused(tmp_path: Path) -> None:
    why = refusal(tmp_path, lambda job: iter(()))
    assert why == (
        "bad_input: films: nothing was found to plan. "
        "Fix: check the raw folder; its layout is: films/"
    )
    assert list(qoqdata.open(tmp_path / "set").manifest.shards) == []


@pytest.mark.parametrize(
    ("given", "said"), [(None, "None"), (Unit("a", ()), "a qoqdata.sources.protocol.Unit")]
)
def test_a_plan_that_gives_no_units(tmp_path: Path, given: object, said: str) -> None:
    why = refusal(tmp_path, lambda job: given)
    assert why.startswith(f"converter_error: films: plan gave {said}, not its units")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"files": "b.txt"}, "Unit.files is a str, not a tuple"),
        ({"files": (Path("b.txt"),)}, "Unit.files[0] is a pathlib.PosixPath, not a text"),
        ({"patient": 12}, "Unit.patient is an int, not a text"),
        ({"patient": ""}, "Unit.patient is empty"),
        ({"group": np.int64(3)}, "Unit.group is a numpy.int64, not a text"),
        ({"split": "val"}, "Unit.split is another text, none of train, validation, test"),
        ({"facts": ["x"]}, "Unit.facts is a list, not a Mapping"),
        ({"facts": {"a": [0, {"b": {1}}]}}, "facts.a[1].b is a set, which is no plain JSON value"),
        ({"facts": {"age": float("nan")}}, "facts.age is not finite"),
        ({"facts": {"age": np.float32("inf")}}, "facts.age is not finite"),
        ({"facts": {"box": np.ones(4)}}, "facts.box is a numpy.ndarray"),
        ({"facts": {"codes": {1: "x"}}}, "facts.codes has a key that is an int, not a text"),
        ({"facts": {"name": SURROGATE}}, "facts.name is a text with a lone surrogate"),
        ({"group": SURROGATE}, "Unit.group is a text with a lone surrogate"),
    ],
)
def test_a_faulty_unit_takes_no_other_with_it(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    def plan(job: Job) -> Iterator[Unit]:
        yield Unit("a.txt", ("a.txt",), split="train")
        yield replace(Unit("b.txt", ("b.txt",), split="train"), **changes)

    counts = build(tmp_path, source(plan)).sources["films"].counts
    assert (counts.units, counts.converted, counts.quarantined) == (2, 1, 1)
    row = left_out(tmp_path)["b.txt"]
    assert (row["stage"], row["reason"]) == ("plan", "converter_error")
    assert row["message"].startswith("films, item 1 of plan: ") and said in row["message"]


def test_a_key_with_a_surrogate_is_refused_under_its_escaped_name(tmp_path: Path) -> None:
    def plan(job: Job) -> Iterator[Unit | Filtered]:
        yield Unit(SURROGATE, ("a.txt",))
        yield Filtered("b", "no_label", SURROGATE)

    counts = build(tmp_path, source(plan)).sources["films"].counts
    assert (counts.units, counts.quarantined, counts.filtered) == (2, 2, 0)
    rows = left_out(tmp_path)
    assert set(rows) == {r"caf\udce9", "b"}
    assert "Filtered.message is a text with a lone surrogate" in rows["b"]["message"]


def test_scalars_of_numpy_are_facts_like_others(tmp_path: Path) -> None:
    """Once they stopped the whole build, with a traceback."""
    met = []

    def plan(job: Job) -> Iterator[Unit]:
        facts = {"age": np.int64(61), "size": [np.float32(0.5)], "left": np.bool_(True)}
        yield Unit("a.txt", ("a.txt",), split="train", facts=facts)

    def convert(unit: Unit, job: Job) -> list[Record]:
        met.append(unit.facts)
        return [Record(**ask(job.card, "diagnosis", ["Clear"]), context="x", age=unit.facts["age"])]

    manifest = build(tmp_path, source(plan, convert))
    assert manifest.sources["films"].counts.records == 1
    assert met == [{"age": 61, "size": [0.5], "left": True}]
    assert [type(met[0]["age"]), type(met[0]["left"])] == [int, bool]
    assert qoqdata.open(tmp_path / "set").records.collect()["age"].to_list() == [61]


def message(tmp_path: Path, convert: Callable[[Unit, Job], Any], stage: str = "validate") -> str:
    """What the quarantine says of a unit of a source with this `convert`."""
    counts = build(tmp_path, source(convert=convert)).sources["films"].counts
    assert (counts.quarantined, counts.records) == (3, 0)
    row = left_out(tmp_path)["a.txt"]
    assert (row["reason"], row["stage"]) == ("converter_error", stage)
    return str(row["message"])


def clear(job: Job, **changes: Any) -> Record:
    return replace(Record(**ask(job.card, "diagnosis", ["Clear"]), context="x"), **changes)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "convert returned None. Fix: return a list of Record and Skipped"),
        ((), "convert returned a tuple."),
        (iter([]), "convert returned a list_iterator."),
        ([], "the converter gave no record"),
        ([{"task": "diagnosis"}], "item 0 of convert: convert returned a dict"),
    ],
)
def test_convert_returns_a_list_of_records(tmp_path: Path, given: Any, said: str) -> None:
    assert said in message(tmp_path, lambda unit, job: given)


GREY = np.zeros((4, 5), np.uint8)
LEADS = {"leads": ("I",), "fs": 100.0, "valid": np.ones((1, 9), bool)}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"labels": (1,)}, "Record.labels[0] is an int, not a text"),
        ({"labels": "Clear"}, "Record.labels is a str, not a tuple"),
        ({"answer": 1}, "Record.answer is an int, not a text"),
        ({"context": SURROGATE}, "Record.context is a text with a lone surrogate"),
        ({"age": "61"}, "Record.age is a str, not a whole number"),
        ({"age": True}, "Record.age is a bool, not a whole number"),
        ({"forms": ()}, "the record has no wording"),
        ({"images": (GREY,)}, "Record.images[0] is a numpy.ndarray, not an Image"),
        ({"images": (Image(GREY / 255),)}, "Record.images[0].pixels is float64 of shape (4, 5)"),
        ({"images": (Image(GREY[None, ..., None]),)}, "pixels is uint8 of shape (1, 4, 5, 1)"),
        ({"images": (Image(GREY[..., None]),)}, "uint8 of shape (4, 5, 1), not uint8, grey or RGB"),
        ({"images": (Image([[0]]),)}, "Record.images[0].pixels is a list, not a ndarray"),
        ({"masks": (Mask(GREY > 0),)}, "Record.masks[0].codes is bool of shape (4, 5)"),
        ({"masks": (Mask(GREY, image="0"),)}, "Record.masks[0].image is a str"),
        ({"regions": (Region("x", 0, "1", 0, 2, 2),)}, "Record.regions[0].x_min is a str"),
        ({"ecg": Ecg(signal=np.ones((1, 9)), **LEADS)}, "Record.ecg.signal is float64"),
        ({"number": 3.0}, "Record.number is a float, not a Number"),
    ],
)
def test_fields_of_a_wrong_type(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    told = message(tmp_path, lambda unit, job: [clear(job, **changes)])
    assert told.startswith("a.txt, item 0 of convert: ") and said in told


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"task": "diagnoses"}, "the card has no task 'diagnoses'. Fix: it has: diagnosis, view,"),
        ({"kind": "multi"}, "of kind 'multi', and the card's task diagnosis is of kind 'single'"),
        ({"options": ("Clear", "Dense")}, "the record has the options ('Clear', 'Dense'), and the"),
        ({"options": ("Opacity", "Clear")}, "with the options ('Clear', 'Opacity')"),
        ({"task": "report", "kind": "open"}, "the card's task report is of kind 'open' without"),
    ],
)
def test_records_that_bypass_ask_fit_the_card(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    assert said in message(tmp_path, lambda unit, job: [clear(job, **changes)])


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (Number(3.0, "cm", 1.0), "the number is in 'cm', and the card's task size is of kind"),
        (Number(3.0, "mm", 5.0), "the tolerance 5, and the card's task size"),
    ],
)
def test_numbers_that_bypass_ask_fit_the_card(tmp_path: Path, number: Number, said: str) -> None:
    def convert(unit: Unit, job: Job) -> list[Record]:
        fields = ask_number(job.card, "size", 3.0, unit="mm") | {"number": number}
        return [Record(**fields, context="x")]

    assert said in message(tmp_path, convert)


def test_labels_that_bypass_ask_are_options(tmp_path: Path) -> None:
    def convert(unit: Unit, job: Job) -> list[Record]:
        return [clear(job, labels=("Mass",))]

    build(tmp_path, source(convert=convert))
    assert left_out(tmp_path)["a.txt"]["reason"] == "bad_record"


HERE = Path(__file__).name


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (lambda job: ask(job.card, "vew", ["Clear"]), "the card has no task 'vew'. Fix: it has:"),
        (lambda job: translate(job.card, "0", where="x", task="vew"), "has no task 'vew'"),
        (lambda job: job.options["rate"], "the card has no option 'rate'. Fix: it has: none"),
        (lambda job: {}["no such key"], "KeyError: 'no such key'"),
        (lambda job: np.zeros(2).reshape(3), "ValueError: cannot reshape array of size 2"),
        (lambda job: sys.exit("the end"), "SystemExit: the end"),
        (lambda job: (_ for _ in ()).throw(ValueError(SURROGATE)), r"ValueError: caf\udce9"),
    ],
)
def test_exceptions_name_type_file_and_line(
    tmp_path: Path, fault: Callable[[Job], Any], said: str
) -> None:
    def convert(unit: Unit, job: Job) -> list[Record]:
        fault(job)
        return [clear(job)]

    told = message(tmp_path, convert, stage="convert")
    # The line is the lambda's: the innermost of the source's own code.
    line = fault.__code__.co_firstlineno
    assert said in told and told.endswith(f"({HERE}, line {line})")
    assert str(Path(__file__).parent) not in told


def test_a_fault_of_the_plan_names_its_line(tmp_path: Path) -> None:
    def plan(job: Job) -> Iterator[Unit]:
        yield Unit({}["key"], ())

    line = plan.__code__.co_firstlineno + 1
    assert refusal(tmp_path, plan) == f"converter_error: KeyError: 'key' ({HERE}, line {line})"


def test_a_refusal_with_another_error_is_told(tmp_path: Path) -> None:
    def plan(job: Job) -> Iterator[Refused]:
        yield Refused("a", "no such file")  # type: ignore[arg-type]

    build(tmp_path, source(plan))
    assert "Refused.error is a str, not a QoqdataError" in left_out(tmp_path)["a"]["message"]
