"""What becomes of a response: read, wrong, unreadable or missing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from qoqdata.errors import BadTable, DatasetError, MissingFile
from qoqtrain.evaluate import Prediction, Question, QuestionOutcome, judge
from qoqtrain.evaluate.predictions import Scores
from qoqtrain.evaluate.report import read_outcomes, write_outcomes

OPTIONS = ["Nevus", "Melanoma", "Vascular lesion"]
BOX = {"label": "lesion", "image": 0, "x_min": 10.0, "y_min": 10.0, "x_max": 30.0, "y_max": 30.0}
INFO = [{"width": 100, "height": 80}]


def question(kind: str = "single", **changes: Any) -> Question:
    return {
        "id": "q",
        "source": "skin",
        "domain": "dermoscopy",
        "task": "diagnosis",
        "patient": "p",
        "options": OPTIONS,
        "answer": "Melanoma",
        "age": 61,
        "sex": "female",
        "regions": None,
        "image_info": INFO,
        "kind": kind,
        "question": "What is it?",
        "number": None,
        **changes,
    }


def outcome_of(
    response: str | None, asked: Question | None = None, **changes: Any
) -> QuestionOutcome:
    (found,) = judge([asked or question()], {"q": Prediction(response, **changes)})
    return found


def drawn(*corners: float, label: str = "lesion") -> str:
    return f"```json\n{json.dumps([{'bbox_2d': list(corners), 'label': label}])}\n```"


@pytest.mark.parametrize(
    ("response", "status", "correct"),
    [
        ("<think>so</think>\\boxed{Melanoma}", "ok", True),
        ("\\boxed{**melanoma.**}", "ok", True),
        ("\\boxed{B}", "ok", True),
        ("\\boxed{Nevus}", "ok", False),
        ("\\boxed{Nevus, Melanoma}", "several", False),
        ("\\boxed{Keratosis}", "not_an_option", False),
        ("Melanoma", "no_answer", False),
        ("\\boxed{}", "no_answer", False),
        ("", "no_answer", False),
        ("\\boxed{" + "x" * 20_000 + "}", "unparsable", False),
        (None, "missing", False),
    ],
)
def test_single_label_responses(response: str | None, status: str, correct: bool) -> None:
    found = outcome_of(response)
    assert (found.status, found.correct) == (status, correct)
    assert found.truth == ("Melanoma",)
    assert (found.reason is None) == (status == "ok")


def test_a_question_without_prediction_is_missing_and_kept() -> None:
    (found,) = judge([question(regions=[BOX])], {})
    assert (found.status, found.correct, found.labels, found.iou) == ("missing", False, None, 0.0)


@pytest.mark.parametrize(
    ("response", "status", "labels", "correct"),
    [
        ("\\boxed{Vascular lesion and Nevus}", "ok", ("Nevus", "Vascular lesion"), True),
        ("\\boxed{Nevus}", "ok", ("Nevus",), False),
        ("\\boxed{Nevus, Vascular lesion, scar}", "ok", None, False),
        ("\\boxed{scar}", "not_an_option", ("scar",), False),
    ],
)
def test_multi_label_responses(
    response: str, status: str, labels: tuple[str, ...] | None, correct: bool
) -> None:
    asked = question("multi", answer="Nevus, Vascular lesion")
    found = outcome_of(response, asked)
    assert (found.status, found.correct) == (status, correct)
    if labels is not None:
        assert found.labels == labels


def test_open_answers_are_compared_by_words() -> None:
    asked = question("open", options=None, answer="a small nevus")
    found = outcome_of("\\boxed{small nevus}", asked)
    # Two of two words against two of three: F1 4/5, and so is the common subsequence's.
    assert found.token_f1 == pytest.approx(0.8)
    assert found.rouge_l == pytest.approx(0.8)
    assert (found.correct, found.truth, found.options) == (False, None, None)
    assert outcome_of("\\boxed{A small nevus.}", asked).correct
    missing = outcome_of(None, asked)
    assert (missing.token_f1, missing.rouge_l, missing.correct) == (0.0, 0.0, False)


def test_boxes_are_measured_where_regions_are() -> None:
    # 20 x 20 against 20 x 20, half of it shared: 200 / 600; matched is 2 * IoU / 2.
    found = outcome_of(drawn(20, 10, 40, 30) + "\\boxed{Melanoma}", question(regions=[BOX]))
    assert found.iou == pytest.approx(1 / 3)
    assert found.matched == pytest.approx(1 / 3)
    assert outcome_of(drawn(20, 10, 40, 30) + "\\boxed{Melanoma}").iou is None
    two = [BOX, {**BOX, "x_min": 50.0, "x_max": 70.0}]
    found = outcome_of(drawn(10, 10, 30, 30), question(regions=two))
    assert found.iou == pytest.approx(1 / 2)
    assert found.matched == pytest.approx(2 / 3)
    assert outcome_of("\\boxed{Melanoma}", question(regions=[BOX])).iou == 0.0


def test_boxes_are_mapped_from_what_the_policy_saw() -> None:
    asked = question(regions=[BOX])
    seen = outcome_of(drawn(20, 20, 60, 60), asked, seen_sizes=((200.0, 160.0),))
    assert seen.iou == pytest.approx(1.0)
    given = {"q": Prediction(drawn(100, 125, 300, 375))}
    (thousandths,) = judge([asked], given, frame="thousandths")
    assert thousandths.iou == pytest.approx(1.0)


def test_where_nothing_is_to_be_found_a_missing_response_finds_nothing() -> None:
    asked = question("boxes", options=None, regions=[])
    silent = outcome_of("nothing to see", asked)
    assert (silent.status, silent.iou, silent.correct) == ("ok", 1.0, None)
    assert outcome_of(None, asked).iou == 0.0
    there = question("boxes", options=None, regions=[BOX])
    assert outcome_of("nothing to see", there).status == "no_boxes"
    assert outcome_of("```json\n[{'bbox_2d': [1,,\n```", there).status == "unparsable"


@pytest.mark.parametrize(
    "scores", [(0.1, 0.7, 0.2), {"Melanoma": 0.7, "Vascular lesion": 0.2, "Nevus": 0.1}]
)
def test_scores_are_put_in_the_order_of_the_options(scores: Scores) -> None:
    assert outcome_of("\\boxed{Nevus}", scores=scores).scores == (0.1, 0.7, 0.2)


@pytest.mark.parametrize(
    ("scores", "what"),
    [
        ((0.1, 0.9), "2 scores for 3 options"),
        ({"Nevus": 1.0, "Melanoma": 0.0}, "'Vascular lesion' is not scored"),
        ({"Nevus": 1.0, "Melanoma": 0.0, "Scar": 0.0, "Vascular lesion": 0.0}, "'Scar' is no opt"),
    ],
)
def test_scores_that_do_not_fit_are_refused(scores: Mapping | tuple, what: str) -> None:
    with pytest.raises(BadTable, match=what):
        outcome_of("\\boxed{Nevus}", scores=scores)


def test_only_options_have_scores() -> None:
    asked = question("open", options=None)
    assert outcome_of("\\boxed{Nevus}", asked, scores=()).scores is None
    with pytest.raises(BadTable, match="1 scores for 0 options"):
        outcome_of("\\boxed{Nevus}", asked, scores=(0.5,))


def test_a_truth_that_is_no_option_is_refused() -> None:
    with pytest.raises(DatasetError, match="'Scar' is no option"):
        outcome_of("\\boxed{Nevus}", question(answer="Scar"))


def test_outcomes_survive_the_disk(tmp_path: Path) -> None:
    outcomes = [
        outcome_of("\\boxed{Nevus}", question(regions=[BOX]), scores=(0.1, 0.7, 0.2)),
        outcome_of(None, question("open", options=None)),
    ]
    write_outcomes(tmp_path / "rows.parquet", outcomes)
    assert read_outcomes(tmp_path / "rows.parquet") == outcomes
    (tmp_path / "rows.parquet").write_bytes(b"PAR1")
    with pytest.raises(BadTable):
        read_outcomes(tmp_path / "rows.parquet")
    with pytest.raises(MissingFile):
        read_outcomes(tmp_path / "absent.parquet")
