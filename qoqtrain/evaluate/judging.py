"""From the questions of a split and a policy's predictions to outcomes.

Reading and scoring the responses is the work of `qoqtrain.rewards`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from qoqdata.boxes import BoxFrame
from qoqdata.dataset import Dataset
from qoqdata.errors import BadTable, DatasetError
from qoqtrain.evaluate.predictions import Prediction, Scores
from qoqtrain.evaluate.results import QuestionOutcome, Status
from qoqtrain.rewards import Truth, score, truth_of_record
from qoqtrain.rewards.answers import answer_form, expected_answer
from qoqtrain.rewards.quantity import is_within
from qoqtrain.rewards.text import MEASURES

_COLUMNS = (
    *("id", "source", "domain", "task", "kind", "patient", "question", "options", "answer"),
    *("number", "age", "sex", "regions", "image_info"),
)
_MISSING = Prediction(None)

#: The part of a reward that says what became of an answer, where it is not the answer part.
_PART = {"boxes": "grounding"}
_REASONS = {
    "missing": "the policy gave no response",
    "not_an_option": "the answer names no option",
}


#: The row of one record to be evaluated, without images.
Question = Mapping[str, Any]

#: Kinds whose answers are options.
_CLOSED = ("single", "multi", "choice")


def questions_of(dataset: Dataset, split: str) -> list[Question]:
    """The questions of a split by id, without what training leaves out too.

    Records that curation dropped and those that show nothing are not asked. Raises DatasetError
    for a split without records, and for a closed question without options.
    """
    ids = dataset.kept(["id", "split"]).filter(pl.col("split") == split).select("id")
    if not ids.height:
        raise DatasetError(f"has no record to ask in the split {split}", where=str(dataset.root))
    scan = dataset.records.filter(pl.col("split") == split).select(_COLUMNS)
    table = scan.join(ids.lazy(), on="id", how="semi").sort("id").collect()
    questions: list[Question] = list(table.iter_rows(named=True))
    for row in questions:
        if row["kind"] in _CLOSED and row["options"] is None:
            what = f"a {row['kind']} question without options"
            raise DatasetError(what, where=f"record {row['id']}")
    return questions


def judge(
    questions: Sequence[Question],
    predictions: Mapping[str, Prediction],
    *,
    frame: BoxFrame = "pixels",
) -> list[QuestionOutcome]:
    """One outcome a question, in the order of the questions.

    A question without prediction, or whose response is null, has the status "missing": it stays in
    every denominator and is wrong. `frame` is what the boxes are written in: "pixels" of the
    image seen, or "thousandths" of its sides. Predictions of other records are not looked at.
    Raises BadTable for scores that do not match the options, and DatasetError or InputError for a
    truth that is no option; what cannot be read in a response is an outcome, never an error.
    """
    answers = [predictions.get(question["id"], _MISSING) for question in questions]
    truths = [
        truth_of_record(question, seen_sizes=prediction.seen_sizes, frame=frame)
        for question, prediction in zip(questions, answers, strict=True)
    ]
    responses = [prediction.response or "" for prediction in answers]
    scores = score(responses, truths, "accuracy", grounding_rule="union")
    with_regions = [index for index, parts in enumerate(scores) if parts["grounding"] is not None]
    pairs = score(
        [responses[index] for index in with_regions],
        [truths[index] for index in with_regions],
        "accuracy",
        grounding_rule="matched",
    )
    matches = {index: parts["grounding"] for index, parts in zip(with_regions, pairs, strict=True)}
    return [
        _outcome(question, answers[index], truths[index], scores[index], matches.get(index))
        for index, question in enumerate(questions)
    ]


def _outcome(
    row: Question,
    prediction: Prediction,
    truth: Truth,
    parts: Mapping[str, Any],
    match: float | None,
) -> QuestionOutcome:
    kind = truth.kind
    missing = prediction.response is None
    named = answer_form(truth) in ("labels", "option") and kind != "boxes"
    right = _right(row, truth) if named else None
    labels = None if missing or not named else parts["labels"]
    status = "missing" if missing else _status(labels, truth, parts)
    text = None if missing else parts["prediction"]
    open_text = kind == "open"
    number = None if missing else parts["number"]
    return QuestionOutcome(
        **{name: row[name] for name in ("id", "source", "domain", "task", "patient")},
        kind=kind,
        sex=row["sex"],
        age=row["age"],
        options=truth.options if named else None,
        truth=right,
        labels=None if labels is None else tuple(labels),
        prediction=text,
        status=status,
        reason=_REASONS.get(status) or parts["reason"].get(_PART.get(kind, "answer")),
        correct=_correct(status, right, labels, text, truth, number),
        credit=parts["answer"] if kind == "number" else None,
        value=truth.number and truth.number.value,
        number=number,
        unit=truth.number and truth.number.unit,
        error=_error(truth, number),
        iou=_unless_missing(parts["grounding"], missing),
        matched=_unless_missing(match, missing),
        token_f1=_similarity("token_f1", text, truth) if open_text else None,
        rouge_l=_similarity("rouge_l", text, truth) if open_text else None,
        scores=_aligned(prediction.scores, truth.options if named else (), row["id"]),
    )


def _error(truth: Truth, number: float | None) -> float | None:
    """Distance from the right number; the largest where an ordinal answer was not read."""
    if truth.number is None:
        return None
    right = truth.number.value
    if number is not None:
        return abs(number - right)
    return None if truth.options is None else max(right, len(truth.options) - 1 - right)


def _right(row: Question, truth: Truth) -> tuple[str, ...]:
    if answer_form(truth) == "option":
        return (str(truth.answer),)
    expectation = expected_answer(truth, {})
    names = {expectation.vocabulary.names[label] for label in expectation.labels or ()}
    options = truth.options or ()
    if not names or not names <= set(options):
        raise DatasetError(f"answer {row['answer']!r} is no option", where=f"record {row['id']}")
    return tuple(option for option in options if option in names)


def _status(labels: Sequence[str] | None, truth: Truth, parts: Mapping[str, Any]) -> Status:
    if truth.kind == "boxes":
        status: Status = parts["status"]["grounding"]
        # Naming no box is the right answer where nothing is to be found (value 1).
        return "ok" if parts["grounding"] in (None, 1.0) else status
    if (status := parts["status"]["answer"]) != "ok" or answer_form(truth) != "labels":
        return status
    if truth.kind == "single" and len(labels or ()) > 1:
        return "several"
    return "ok" if set(labels or ()) & set(truth.options or ()) else "not_an_option"


def _correct(
    status: Status,
    right: tuple[str, ...] | None,
    labels: Sequence[str] | None,
    text: str | None,
    truth: Truth,
    number: float | None,
) -> bool | None:
    if truth.kind == "boxes":
        return None
    if status != "ok":
        return False
    if truth.number is not None:
        return number is not None and is_within(number, truth.number.value, truth.number.tolerance)
    if right is None:
        return _similarity("exact", text, truth) == 1
    return set(labels or ()) == set(right)


def _similarity(measure: str, text: str | None, truth: Truth) -> float:
    return 0.0 if text is None else MEASURES[measure](text, truth.answer or "")


def _unless_missing(value: float | None, missing: bool) -> float | None:
    """A response that was never given finds nothing, also where there is nothing to find."""
    return 0.0 if missing and value is not None else value


def _aligned(
    scores: Scores | None, options: tuple[str, ...] | None, record: str
) -> tuple[float, ...] | None:
    """The scores in the order of the options."""
    options = options or ()
    if scores is None or not (scores or options):
        return None
    where = f"scores of {record}"
    if isinstance(scores, tuple):
        if len(scores) != len(options):
            raise BadTable(f"{len(scores)} scores for {len(options)} options", where=where)
        return scores
    if astray := sorted(scores.keys() ^ set(options)):
        what = "no option" if astray[0] in scores else "not scored"
        raise BadTable(f"{astray[0]!r} is {what}", where=where, fix="score every option")
    return tuple(scores[option] for option in options)
