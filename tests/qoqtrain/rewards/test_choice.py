"""One option is the answer, whole: choices and ordinal numbers."""

from __future__ import annotations

from typing import Any

import pytest

from qoqdata.errors import InputError
from tests.qoqtrain.rewards.responses import one, respond

OPTIONS = ["Left, upper lobe", "Left and right", "Nodes & vessels", "T2", "T2*", "None"]
GRADES = ["none", "mild", "moderate", "severe", "extreme"]


def chosen(answer: str, right: str, **extra: Any) -> dict[str, Any]:
    truth = {"kind": "choice", "answer": right, "options": OPTIONS, **extra}
    return one(respond(answer), truth, "accuracy")


def graded(answer: str, right: str, tolerance: float = 0.0) -> dict[str, Any]:
    number = {"value": GRADES.index(right), "unit": None, "tolerance": tolerance}
    truth = {"kind": "number", "answer": right, "options": GRADES, "number": number}
    return one(respond(answer), truth, "accuracy")


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_is_itself_and_no_other(option: str) -> None:
    for right in OPTIONS:
        found = chosen(option, right)
        assert found["answer"] == float(option == right), (option, right)
        assert (found["status"]["answer"], found["labels"]) == ("ok", [option])


@pytest.mark.parametrize(
    "answer", ["left, upper lobe.", "\\text{Left, Upper Lobe}", "**Left,  upper lobe**"]
)
def test_spelling_and_mark_up_do_not_decide(answer: str) -> None:
    assert chosen(answer, "Left, upper lobe")["answer"] == 1.0


@pytest.mark.parametrize(
    "answer",
    [
        "Left",
        "upper lobe, Left",
        "Left, upper lobe, None",
        "None, T2",
        "Left, upper lobe and None",
        "Nodes",
        "The answer is None",
        "t2",
    ],
)
def test_an_answer_is_never_split(answer: str) -> None:
    """Part of an option, two options, an option among words, and a form that fits two."""
    for right in OPTIONS:
        found = chosen(answer, right)
        assert (found["answer"], found["status"]["answer"]) == (0.0, "not_an_option")
        assert found["labels"] == [] and "none of the options" in found["reason"]["answer"]


def test_a_letter_counts_only_where_letters_are_shown() -> None:
    for letter in ("B", "(B)", "b", "B.", "B. Left and right", "(B) left and right"):
        assert chosen(letter, "Left and right")["answer"] == 0.0, letter
        assert chosen(letter, "Left and right", letters=True)["answer"] == 1.0, letter
        assert chosen(letter, "T2", letters=True)["answer"] == 0.0, letter
    for wrong in ("G", "B. T2", "B and C", "AB"):
        assert chosen(wrong, "Left and right", letters=True)["status"]["answer"] == "not_an_option"


def test_an_option_that_looks_like_a_letter_is_itself() -> None:
    truth = {"kind": "choice", "answer": "B", "options": ["B", "A"], "letters": True}
    assert one(respond("B"), truth)["answer"] == 1.0
    assert one(respond("A"), truth)["answer"] == 0.0


def test_synonyms_hold_for_choices() -> None:
    truth = {
        "kind": "choice",
        "answer": "Hydronephrosis, left",
        "options": ["Hydronephrosis, left", "Other"],
    }
    synonyms = {"left-sided hydronephrosis": "Hydronephrosis, left"}
    answer = respond("Left-sided hydronephrosis")
    assert one(answer, truth)["answer"] == 0.0
    assert one(answer, truth, synonyms=synonyms)["answer"] == 1.0


def test_without_an_answer_the_status_is_that_of_the_box() -> None:
    truth = {"kind": "choice", "answer": "None", "options": OPTIONS}
    found = one("no box", truth)
    assert (found["answer"], found["status"]["answer"], found["labels"]) == (0.0, "no_answer", None)
    assert one(respond("T2"), {**truth, "answer": None})["answer"] is None


@pytest.mark.parametrize(
    ("answer", "tolerance", "credit"),
    [
        ("moderate", 0, 1.0),
        ("severe", 0, 0.75),
        ("extreme", 0, 0.5),
        ("none", 0, 0.5),
        ("severe", 1, 1.0),
        ("extreme", 1, 0.75),
        ("mild", 2, 1.0),
        ("Moderate.", 0, 1.0),
    ],
)
def test_an_ordinal_answer_loses_a_share_a_place(
    answer: str, tolerance: float, credit: float
) -> None:
    """1 - (|distance| - tolerance) / 4, the right place being the third of five."""
    found = graded(answer, "moderate", tolerance)
    assert found["answer"] == pytest.approx(credit)
    assert found["number"] == GRADES.index(answer.lower().strip("."))


def test_the_farthest_ordinal_answer_earns_nothing_and_no_option_neither() -> None:
    assert graded("extreme", "none")["answer"] == 0.0
    assert graded("none", "extreme")["answer"] == 0.0
    off = graded("mild to moderate", "mild")
    assert (off["answer"], off["status"]["answer"], off["number"]) == (0.0, "not_an_option", None)
    only = {"kind": "number", "answer": "a", "options": ["a"], "number": {"value": 0.0}}
    assert one(respond("a"), only)["answer"] == 1.0


@pytest.mark.parametrize(
    "truth",
    [
        {"kind": "choice", "answer": "A"},
        {"kind": "choice", "answer": "a", "options": ["A", "B"]},
        {"kind": "number", "answer": "A", "options": ["A", "B"], "number": {"value": 1}},
        {"kind": "number", "answer": "C", "options": ["A", "B"], "number": {"value": 1}},
        {"kind": "number", "answer": "1", "number": {"value": float("nan")}},
        {"kind": "number", "answer": "1", "number": {"value": 1, "tolerance": -1}},
    ],
)
def test_truths_that_contradict_themselves_are_refused(truth: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        one(respond("A"), truth)
