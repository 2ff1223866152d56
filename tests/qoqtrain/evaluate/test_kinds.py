"""Choices and numbers: outcomes, figures and comparison, worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from qoqdata.errors import InputError
from qoqtrain.cli.evaluate import show_tasks
from qoqtrain.evaluate import Evaluation, Prediction, QuestionOutcome, judge, summarise
from qoqtrain.evaluate.comparison import compare
from qoqtrain.evaluate.report import read_outcomes, write_outcomes
from qoqtrain.evaluate.results import TaskResult

GRADES = ["none", "mild", "moderate", "severe", "extreme"]


def asked(name: str, kind: str, answer: str, **changes: Any) -> dict[str, Any]:
    row = {
        "id": name,
        "source": "films",
        "domain": "chest_xray",
        "task": kind,
        "kind": kind,
        "patient": name,
        "question": "What is it?",
        "options": None,
        "answer": answer,
        "number": None,
        "age": None,
        "sex": None,
        "regions": None,
        "image_info": None,
    }
    return row | changes


def choice(name: str, options: list[str], answer: str, **changes: Any) -> dict[str, Any]:
    return asked(name, "choice", answer, options=options, **changes)


def measure(name: str, value: float, tolerance: float = 0.0, unit: str | None = "mm") -> Any:
    number = {"value": value, "unit": unit, "tolerance": tolerance}
    return asked(name, "number", str(value), number=number)


def grade(name: str, answer: str, tolerance: float = 0.0, **changes: Any) -> dict[str, Any]:
    number = {"value": float(GRADES.index(answer)), "unit": None, "tolerance": tolerance}
    return asked(name, "number", answer, number=number, options=GRADES, task="grade", **changes)


def judged(pairs: list[tuple[dict[str, Any], str | None]]) -> list[QuestionOutcome]:
    """Outcomes of rows and boxed answers; None for a question without a response."""
    predictions = {
        row["id"]: Prediction(None if text is None else f"\\boxed{{{text}}}") for row, text in pairs
    }
    return judge([row for row, _ in pairs], predictions)


def only_task(outcomes: list[QuestionOutcome], **settings: Any) -> TaskResult:
    evaluation: Evaluation = summarise(outcomes, **{"bootstrap": 0, **settings})
    ((source,),) = (domain.sources for domain in evaluation.domains)
    (task,) = source.tasks
    return task


CHOICES = [
    (choice("a", ["Left, upper", "Right"], "Left, upper"), "Left, upper"),
    (choice("b", ["Yes", "No", "Left and right"], "Left and right"), "left and right"),
    (choice("c", ["Yes", "No", "Perhaps", "Never"], "Yes"), "No"),
    (choice("d", ["Yes", "No"], "No"), "Yes, No"),
    (choice("e", ["Yes", "No"], "No"), None),
]


def test_choices_are_scored_whole() -> None:
    first, second, third, fourth, fifth = judged(CHOICES)
    assert (first.correct, first.status, first.labels) == (True, "ok", ("Left, upper",))
    assert (first.truth, first.options) == (("Left, upper",), ("Left, upper", "Right"))
    assert (second.correct, second.labels) == (True, ("Left and right",))
    assert (third.correct, third.status) == (False, "ok")
    assert (fourth.correct, fourth.status, fourth.labels) == (False, "not_an_option", ())
    assert fourth.reason and (fifth.correct, fifth.status) == (False, "missing")
    assert first.credit is None and first.error is None


def test_choices_have_accuracy_and_a_chance_level_and_no_classes() -> None:
    task = only_task(judged(CHOICES))
    assert task.metrics["accuracy"].value == pytest.approx(2 / 5)
    # The numbers of options are 2, 3, 4, 2, 2.
    assert task.chance == pytest.approx((1 / 2 + 1 / 3 + 1 / 4 + 1 / 2 + 1 / 2) / 5)
    assert (task.classes, task.confusion, task.number) == ((), None, None)
    for name in ("macro_f1", "balanced_accuracy", "auroc", "credit", "quadratic_kappa"):
        assert task.metrics[name].value is None, name
    assert task.counts.statuses == {"missing": 1, "not_an_option": 1, "ok": 3}
    assert task.counts.unparsable == pytest.approx(1 / 4)


def test_a_letter_is_an_answer_where_the_question_shows_letters() -> None:
    plain = choice("a", ["Yes", "No"], "No")
    lettered = {**plain, "question": "Is it?\nA. Yes\nB. No"}
    assert not judged([(plain, "B")])[0].correct
    assert judged([(lettered, "B")])[0].correct and judged([(lettered, "(B)")])[0].correct


def test_scores_of_a_choice_fit_its_options() -> None:
    row, _ = CHOICES[1]
    (found,) = judge([row], {"b": Prediction("\\boxed{Yes}", scores=(0.1, 0.2, 0.7))})
    assert found.scores == (0.1, 0.2, 0.7)


QUANTITIES = [
    (measure("a", 12.0, 0.5), "12.5 mm"),
    (measure("b", 10.0), "7"),
    (measure("c", 10.0), "1 cm"),
    (measure("d", 10.0), "ten"),
    (measure("e", 10.0), None),
]


def test_quantities() -> None:
    found = judged(QUANTITIES)
    assert [one.correct for one in found] == [True, False, False, False, False]
    assert [one.status for one in found] == ["ok", "ok", "wrong_unit", "unparsable", "missing"]
    assert [one.error for one in found] == [0.5, 3.0, None, None, None]
    assert [one.number for one in found] == [12.5, 7.0, None, None, None]
    assert {(one.unit, one.truth, one.options) for one in found} == {("mm", None, None)}
    assert [one.value for one in found] == [12.0, 10.0, 10.0, 10.0, 10.0]
    task = only_task(found)
    assert task.metrics["accuracy"].value == task.metrics["credit"].value == pytest.approx(1 / 5)
    assert task.number is not None and task.confusion is None and task.chance is None
    # Over the two answers that gave a number: (0.5 + 3) / 2.
    assert (task.number.unit, task.number.answers) == ("mm", 2)
    assert task.number.mean_absolute_error.value == pytest.approx(1.75)
    # Another unit was read and is wrong; only "ten" could not be read.
    assert task.counts.unparsable == pytest.approx(1 / 4)


def test_errors_in_several_units_have_no_mean() -> None:
    task = only_task(judged([(measure("a", 1.0), "2"), (measure("b", 1.0, unit="s"), "3")]))
    assert task.number is not None
    assert (task.number.unit, task.number.answers) == (None, 0)
    assert task.number.mean_absolute_error.value is None
    assert task.metrics["accuracy"].value == 0.0


ORDINALS = [
    (grade("a", "none"), "none"),
    (grade("b", "mild"), "severe"),
    (grade("c", "severe", 1.0), "moderate"),
    (grade("d", "extreme"), "moderate"),
]


def test_ordinal_answers() -> None:
    found = judged(ORDINALS)
    assert [one.credit for one in found] == [1.0, 0.5, 1.0, 0.5]
    assert [one.correct for one in found] == [True, False, True, False]
    assert [one.error for one in found] == [0.0, 2.0, 1.0, 2.0]
    assert found[1].truth == ("mild",) and found[1].labels == ("severe",)
    task = only_task(found)
    assert task.metrics["credit"].value == pytest.approx(3 / 4)
    assert task.metrics["accuracy"].value == pytest.approx(1 / 2)
    assert task.number is not None and (task.number.unit, task.number.answers) == ("places", 4)
    assert task.number.mean_absolute_error.value == pytest.approx(5 / 4)
    right, answered = [0, 1, 3, 4], [0, 3, 2, 2]
    kappa = cohen_kappa_score(right, answered, labels=range(5), weights="quadratic")
    assert task.metrics["quadratic_kappa"].value == pytest.approx(kappa)
    assert task.confusion is None and task.classes == ()


def test_an_ordinal_answer_that_is_not_read_is_as_far_off_as_can_be() -> None:
    pairs = [
        (grade("a", "mild"), "between"),
        (grade("b", "severe"), None),
        (grade("c", "none"), "none"),
    ]
    found = judged(pairs)
    # From place 1 the last, 4, is farthest; from 3 the first, 0.
    assert [one.error for one in found] == [3.0, 3.0, 0.0]
    assert [one.credit for one in found] == [0.0, 0.0, 1.0]
    task = only_task(found)
    kappa = cohen_kappa_score([1, 3, 0], [4, 0, 0], labels=range(5), weights="quadratic")
    assert task.metrics["quadratic_kappa"].value == pytest.approx(kappa)
    assert task.number is not None and task.number.mean_absolute_error.value == pytest.approx(2.0)


@pytest.mark.parametrize("seed", range(3))
def test_kappa_is_that_of_scikit_learn(seed: int) -> None:
    draw = np.random.default_rng(seed)
    right, answered = draw.integers(5, size=(2, 40))
    pairs = [
        (grade(f"{index:02d}", GRADES[one]), GRADES[other])
        for index, (one, other) in enumerate(zip(right, answered, strict=True))
    ]
    found = only_task(judged(pairs)).metrics["quadratic_kappa"].value
    assert found == pytest.approx(cohen_kappa_score(right, answered, weights="quadratic"))


def test_kappa_needs_options_in_common() -> None:
    other = grade("b", "mild") | {"options": GRADES[:4]}
    task = only_task(judged([(grade("a", "mild"), "none"), (other, "mild")]))
    assert task.metrics["quadratic_kappa"].value is None
    assert task.metrics["credit"].value == pytest.approx((0.75 + 1) / 2)


def test_all_six_kinds_in_one_set() -> None:
    box = {"label": "x", "image": 0, "x_min": 0.0, "y_min": 0.0, "x_max": 9.0, "y_max": 9.0}
    rows = [
        (asked("1", "single", "A", options=["A", "B"]), "A"),
        (asked("2", "multi", "A, B", options=["A", "B"]), "A, B"),
        (choice("3", ["A, B", "C"], "A, B"), "A, B"),
        (measure("4", 3.0), "3 mm"),
        (asked("5", "open", "some words"), "some words"),
        (
            asked("6", "boxes", "x", regions=[box], image_info=[{"width": 9, "height": 9}]),
            'x}```json\n[{"bbox_2d": [0, 0, 9, 9], "label": "x"}]\n```{',
        ),
    ]
    outcomes = judged(rows)
    assert [one.correct for one in outcomes] == [True, True, True, True, True, None]
    assert outcomes[5].iou == 1.0
    evaluation = summarise(outcomes, bootstrap=5)
    kinds = {task.kind: task for task in evaluation.domains[0].sources[0].tasks}
    assert kinds.keys() == {"single", "multi", "choice", "number", "open", "boxes"}
    assert evaluation.metrics["accuracy"].value == 1.0
    assert {kind for kind, task in kinds.items() if task.confusion} == {"single"}
    assert {kind for kind, task in kinds.items() if task.number} == {"number"}
    assert {kind: kinds[kind].chance for kind in ("single", "choice", "multi")} == {
        "single": 0.5,
        "choice": 0.5,
        "multi": None,
    }


def test_the_error_has_an_interval_by_patient() -> None:
    pairs = [(measure(f"{index:02d}", 10.0), str(10 + index % 4)) for index in range(40)]
    task = only_task(judged(pairs), bootstrap=200)
    assert task.number is not None
    error = task.number.mean_absolute_error
    assert error.value == pytest.approx(1.5)
    assert error.low is not None and error.high is not None and error.low < 1.5 < error.high
    # The errors 0 to 3 have a standard deviation of sqrt(5 / 4), so the mean of 40 has one of 0.18.
    assert error.high - error.low == pytest.approx(2 * 1.96 * (1.25 / 40) ** 0.5, rel=0.25)


def test_two_policies_are_compared_over_what_both_answered() -> None:
    rows = [measure(name, 10.0) for name in "abcd"]
    first = judged(list(zip(rows, ["11", "12", "none", "10"], strict=True)))
    second = judged(list(zip(rows, ["10", "11", "18", "in a while"], strict=True)))
    found = [row for row in compare(first, second, bootstrap=50) if row.level == "task"]
    (row,) = found
    assert (row.name, row.metric) == ("films, number", "mean_absolute_error")
    # Of a and b both gave a number: errors 1, 2 and 0, 1.
    assert (row.first, row.second, row.difference.value) == (1.5, 0.5, -1.0)
    assert row.difference.low == row.difference.high == -1.0
    credit = [r for r in compare(first, second, bootstrap=5) if r.metric == "credit"]
    assert {(r.level, r.first, r.second) for r in credit} >= {("overall", 0.25, 0.25)}


def test_outcomes_of_every_kind_survive_the_disk(tmp_path: Path) -> None:
    outcomes = judged([*CHOICES[:1], *[(row | {"id": "z"}, text) for row, text in ORDINALS[1:2]]])
    outcomes += judged([(row | {"id": f"y{row['id']}"}, text) for row, text in QUANTITIES])
    write_outcomes(tmp_path / "rows.parquet", outcomes)
    assert read_outcomes(tmp_path / "rows.parquet") == outcomes


def test_a_choice_whose_answer_is_no_option_is_refused() -> None:
    with pytest.raises(InputError, match=r"record a.*'Maybe' is no option"):
        judged([(choice("a", ["Yes", "No"], "Maybe"), "Yes")])


def test_the_table_of_tasks(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [(row | {"id": f"c{row['id']}"}, text) for row, text in CHOICES]
    rows += [(row | {"id": f"q{row['id']}"}, text) for row, text in QUANTITIES]
    show_tasks(summarise(judged([*rows, *ORDINALS]), bootstrap=0))
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if "films" in line]
    assert lines == [
        ["films,", "choice", "choice", "0.4", "0.417", "-", "-", "-"],
        ["films,", "grade", "number", "0.5", "-", "1.25", "places", "4"],
        ["films,", "number", "number", "0.2", "-", "1.75", "mm", "2"],
    ]
