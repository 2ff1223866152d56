"""Questions and answers from a card's tasks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from qoqdata.contract.card import Card
from qoqdata.errors import BadLabel, ConverterError
from qoqdata.records.content import Number, Record, Region
from qoqdata.sources.annotations import Annotation, answered
from qoqdata.sources.asking import (
    ask,
    ask_boxes,
    ask_choice,
    ask_number,
    ask_open,
    prompt,
    translate,
)
from qoqdata.sources.conformance import sort_converted
from qoqdata.sources.protocol import Unit
from tests.contract.test_card import CONTENT

UNIT = Unit("one", ())

CARD = Card.model_validate(
    CONTENT
    | {
        "tasks": {
            "diagnosis": {"kind": "single", "question": "What?", "options": ["Clear", "Opacity"]},
            "findings": {
                "kind": "multi",
                "question": "Which?",
                "options": ["Mass", "Node", "Opacity"],
            },
            "report": {"kind": "open", "question": "Describe it.", "forms": ["What is there?"]},
            "quiz": {"kind": "choice", "question": "Which is it?"},
            "own": {"kind": "choice"},
            "where": {"kind": "boxes", "question": "Where is it?"},
            "size": {
                "kind": "number",
                "question": "How wide is it?",
                "forms": ["What is its width?"],
                "unit": "mm",
                "tolerance": 0.5,
            },
            "ratio": {"kind": "number", "question": "Ratio?", "unit": "1", "tolerance": 0},
            "grade": {
                "kind": "number",
                "question": "Which grade?",
                "options": ["None", "Mild, or moderate", "Severe"],
                "labels": {"0": "None", "2": "Severe"},
                "tolerance": 1,
            },
        }
    }
)


def test_a_single_choice() -> None:
    assert ask(CARD, "diagnosis", ["Opacity"]) == {
        "task": "diagnosis",
        "kind": "single",
        "forms": ("What? Choose exactly one:\nClear\nOpacity",),
        "options": ("Clear", "Opacity"),
        "answer": "Opacity",
        "labels": ("Opacity",),
        "uncertain": (),
        "absent": (),
    }


def test_several_labels_come_in_the_order_of_the_options() -> None:
    for labels in (["Opacity", "Mass"], ["Mass", "Opacity"], ["Mass", "Opacity", "Mass"]):
        asked = ask(CARD, "findings", labels, uncertain=["Node"])
        assert asked["answer"] == "Mass, Opacity"
        assert asked["labels"] == ("Mass", "Opacity")
        assert asked["uncertain"] == ("Node",)


def test_a_record_may_show_some_of_the_options() -> None:
    asked = ask(CARD, "findings", ["Opacity"], absent=["Mass"], offered=["Opacity", "Mass"])
    assert (asked["options"], asked["answer"]) == (("Mass", "Opacity"), "Opacity")
    with pytest.raises(BadLabel, match="'Node' is no option"):
        ask(CARD, "findings", ["Node"], offered=["Opacity", "Mass"])


def test_only_a_benchmark_may_show_some_of_the_options() -> None:
    """A training source that asked of fewer labels would leave the others unmentioned unseen."""
    record = Record(**ask(CARD, "findings", ["Opacity"], offered=["Opacity", "Mass"]), context="x")
    benchmark = CARD.model_copy(update={"role": "evaluation"})
    assert sort_converted([record], UNIT, benchmark)
    with pytest.raises(ConverterError, match="has the options"):
        sort_converted([record], UNIT, CARD)
    shuffled = replace(record, options=record.options[::-1])
    with pytest.raises(ConverterError, match="has the options"):
        sort_converted([shuffled], UNIT, benchmark)


@pytest.mark.parametrize(
    ("task", "labels", "uncertain", "said"),
    [
        ("diagnosis", [], [], "exactly one label, got"),
        ("diagnosis", ["Clear", "Opacity"], [], "exactly one label"),
        ("findings", [], ["Mass"], "at least one label"),
        ("diagnosis", ["Mass"], [], "'Mass' is no option"),
        ("findings", ["Mass"], ["Clear"], "'Clear' is no option"),
        ("diagnosis", ["clear"], [], "'clear' is no option"),
    ],
)
def test_labels_that_do_not_fit(
    task: str, labels: list[str], uncertain: list[str], said: str
) -> None:
    with pytest.raises(BadLabel, match=said):
        ask(CARD, task, labels, uncertain=uncertain)


def test_four_states_of_a_label() -> None:
    asked = ask(CARD, "findings", ["Mass"], uncertain=["Mass"], absent=["Opacity"])
    assert (asked["labels"], asked["uncertain"]) == (("Mass",), ("Mass",))
    # Node is in none of the three: not mentioned.
    assert asked["absent"] == ("Opacity",)
    for labels, uncertain in ((["Mass"], []), (["Node"], ["Mass"])):
        with pytest.raises(BadLabel, match=r"'Mass' is asserted or doubted, and denied.*Fix:"):
            ask(CARD, "findings", labels, uncertain=uncertain, absent=["Mass"])
    with pytest.raises(BadLabel, match="'Clear' is no option"):
        ask(CARD, "findings", ["Mass"], absent=["Clear"])


def test_a_choice_among_the_records_own_options() -> None:
    options = ["Left, and lower lobe", "Right & upper lobe"]
    assert ask_choice(CARD, "quiz", options, "Left, and lower lobe") == {
        "task": "quiz",
        "kind": "choice",
        "forms": ("Which is it? Choose exactly one:\nLeft, and lower lobe\nRight & upper lobe",),
        "options": ("Left, and lower lobe", "Right & upper lobe"),
        "answer": "Left, and lower lobe",
    }
    own = ask_choice(CARD, "quiz", ["a", "b"], "b", question="Which lobe?")
    assert own["forms"] == ("Which lobe? Choose exactly one:\na\nb",)


def test_a_record_may_bring_several_wordings() -> None:
    own = ask_choice(CARD, "own", ["a", "b"], "b", question=["Which lobe?", "In which lobe?"])
    assert own["forms"] == (
        "Which lobe? Choose exactly one:\na\nb",
        "In which lobe? Choose exactly one:\na\nb",
    )
    with pytest.raises(BadLabel, match=r"no wording of its own.*Fix: give the record's"):
        ask_choice(CARD, "own", ["a", "b"], "b")


@pytest.mark.parametrize(
    ("options", "answer", "said"),
    [
        (["a"], "a", "two options or more"),
        (["a", " "], "a", "none of them empty"),
        (["a", "b", "a"], "a", "options repeat"),
        (["a", "b"], "A", "'A' is none of"),
        (["a", "b"], "a, b", "'a, b' is none of"),
    ],
)
def test_choices_that_are_none(options: list[str], answer: str, said: str) -> None:
    with pytest.raises(BadLabel, match=f"{said}.*Fix: "):
        ask_choice(CARD, "quiz", options, answer)


def test_a_quantity() -> None:
    assert ask_number(CARD, "size", 12.5, unit="mm") == {
        "task": "size",
        "kind": "number",
        "forms": (
            "How wide is it? Answer with a number in mm.",
            "What is its width? Answer with a number in mm.",
        ),
        "options": None,
        "answer": "12.5 mm",
        "number": Number(12.5, "mm", 0.5),
    }
    ratio = ask_number(CARD, "ratio", 0.5, unit="1")
    assert (ratio["answer"], ratio["number"]) == ("0.5", Number(0.5, None, 0.0))
    assert ratio["forms"] == ("Ratio? Answer with a number.",)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3 mm"), (3.0, "3 mm"), (100.0, "100 mm"), (0.1 + 0.2, "0.30000000000000004 mm"),
        (-0.0, "0 mm"), (-2.50, "-2.5 mm"), (1e-7, "0.0000001 mm"), (1e21, f"1{'0' * 21} mm"),
    ],
)  # fmt: skip
def test_numbers_as_text(value: float, text: str) -> None:
    assert ask_number(CARD, "size", value, unit="mm")["answer"] == text


def test_quantities_that_do_not_fit() -> None:
    with pytest.raises(BadLabel, match=r"in 'cm', and the task size is in 'mm'. Fix: convert"):
        ask_number(CARD, "size", 1.2, unit="cm")
    for value in (float("nan"), float("inf")):
        with pytest.raises(BadLabel, match="is no number"):
            ask_number(CARD, "size", value, unit="mm")


def test_a_grade_is_a_place_among_ascending_options() -> None:
    asked = ask(CARD, "grade", ["Mild, or moderate"])
    assert (asked["answer"], asked["number"]) == ("Mild, or moderate", Number(1.0, None, 1.0))
    listed = "Choose exactly one, from lowest to highest:\nNone\nMild, or moderate\nSevere"
    assert asked["forms"] == (f"Which grade? {listed}",)
    assert asked["labels"] == ("Mild, or moderate",)
    with pytest.raises(BadLabel, match="exactly one label"):
        ask(CARD, "grade", ["None", "Severe"])


def region(label: str, role: str = "target") -> Region:
    return Region(label, 0, 0.0, 0.0, 1.0, 1.0, role=role)


def test_boxes_to_find() -> None:
    regions = [region("node"), region("mass"), region("lung", "given"), region("node")]
    asked = ask_boxes(CARD, "where", regions)
    assert asked["answer"] == "node, mass" and asked["forms"] == ("Where is it?",)
    assert asked["options"] is None and asked["kind"] == "boxes"
    with pytest.raises(BadLabel, match="no box to find"):
        ask_boxes(CARD, "where", [region("lung", "given")])


def test_free_text() -> None:
    asked = ask_open(CARD, "report", "A mass, and a node.")
    assert asked["answer"] == "A mass, and a node." and asked["options"] is None
    assert asked["forms"] == ("Describe it.", "What is there?")
    with pytest.raises(BadLabel, match="is empty"):
        ask_open(CARD, "report", " ")


@pytest.mark.parametrize(
    ("ask_wrongly", "said"),
    [
        (lambda: ask(CARD, "quiz", ["a"]), "quiz is choice.*ask_choice"),
        (lambda: ask(CARD, "size", ["12"]), "size is quantity.*ask_number"),
        (lambda: ask_number(CARD, "grade", 1, unit="1"), "grade is ordinal.*ask it with ask$"),
        (lambda: ask_open(CARD, "where", "there"), "where is boxes.*ask_boxes"),
        (lambda: ask_choice(CARD, "diagnosis", ["a", "b"], "a"), "diagnosis is single"),
    ],
)
def test_a_task_is_asked_as_its_kind(ask_wrongly: Any, said: str) -> None:
    with pytest.raises(BadLabel, match=said):
        ask_wrongly()


def test_prompts() -> None:
    assert prompt("Q?", "multi", ("a", "b")) == "Q? Choose all that apply:\na\nb"
    assert prompt("Q?", "open") == prompt("Q?", "boxes") == "Q?"


def test_translation() -> None:
    assert translate(CARD, "1", where="x") == "Opacity"
    with pytest.raises(BadLabel, match=r"'2' is not mapped.*maps: 0, 1") as raised:
        translate(CARD, "2", where="x")
    assert raised.value.where == "x"


def test_a_tasks_own_labels_go_first() -> None:
    assert translate(CARD, "0", where="x") == "Clear"
    assert translate(CARD, "0", where="x", task="grade") == "None"
    assert translate(CARD, "2", where="x", task="grade") == "Severe"
    assert translate(CARD, "1", where="x", task="grade") == "Opacity"
    with pytest.raises(BadLabel, match=r"'3' is not mapped.*maps: 0, 1, 2"):
        translate(CARD, "3", where="x", task="grade")


def test_an_annotated_unit() -> None:
    annotation = Annotation(("1",), (), ("0",), age=61, sex="female", context="Cough.")
    (made,) = answered(CARD, "diagnosis", annotation.unit("k", ()))
    assert (made["answer"], made["absent"], made["item"]) == ("Opacity", ("Clear",), None)
    assert (made["age"], made["sex"], made["context"]) == (61, "female", "Cough.")
    with pytest.raises(BadLabel, match="k: the raw label '7'"):
        answered(CARD, "diagnosis", Annotation(("1",), ("7",)).unit("k", ()))
    with pytest.raises(BadLabel, match="k: the raw label '8'"):
        answered(CARD, "diagnosis", Annotation(("1",), (), ("8",)).unit("k", ()))
