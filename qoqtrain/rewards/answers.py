"""The answer part, by what an answer is: labels, one option, a number, or free text."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from qoqtrain.rewards.choice import Choices, choices_of
from qoqtrain.rewards.final_answer import Answer
from qoqtrain.rewards.quantity import is_within, quantity
from qoqtrain.rewards.scheme import Part, Scheme, Status
from qoqtrain.rewards.text import MEASURES
from qoqtrain.rewards.truth import TrueNumber, Truth
from qoqtrain.rewards.vocabulary import Vocabulary, vocabulary_of

AnswerForm = Literal["labels", "option", "quantity", "text"]


def answer_form(truth: Truth) -> AnswerForm:
    """What an answer to the question is, whatever it says."""
    match truth.kind:
        case "choice":
            return "option"
        case "number":
            return "quantity" if truth.options is None else "option"
        case "open":
            return "text"
        case "boxes":
            return "text" if truth.options is None else "labels"
    return "labels"


@dataclass(frozen=True, slots=True)
class ExpectedAnswer:
    """What is right, None where the truth does not say.

    vocabulary, labels   of labels: the right ones as normal forms
    choices, place       of an option: which place is right
    number               of a quantity or an ordinal option: value, unit, tolerance
    """

    form: AnswerForm
    vocabulary: Vocabulary
    labels: frozenset[str] | None = None
    choices: Choices | None = None
    place: int | None = None
    number: TrueNumber | None = None


class AnswerReading(NamedTuple):
    """What an answer says in the terms of its question.

    labels   normal forms; of an option the option itself, empty where it is none; else None
    number   the quantity in the unit asked, or the place of an ordinal option; else None
    status   ok, or why there is neither
    """

    labels: frozenset[str] | None = None
    number: float | None = None
    status: Status = "ok"
    reason: str | None = None


class Expectations:
    """`expected_answer` and `read_answer`, each thing once: questions of one task share their
    options, and rollouts their answers."""

    def __init__(self, classes: Mapping[str, str]) -> None:
        self._classes = classes
        self._answers: dict[object, ExpectedAnswer] = {}
        self._readings: dict[tuple[int, str], AnswerReading] = {}

    def of(self, truth: Truth) -> ExpectedAnswer:
        """What a truth asks for. Raises as `expected_answer`."""
        form = answer_form(truth)
        key = (form, truth.options, truth.labels, truth.answer, truth.number, truth.letters)
        expectation = self._answers.get(key)
        if expectation is None:
            expectation = self._answers[key] = expected_answer(truth, self._classes)
        return expectation

    def read(self, expectation: ExpectedAnswer, answer: str) -> AnswerReading:
        """What an answer says, for an expectation of these; see `read_answer`."""
        key = id(expectation), answer
        reading = self._readings.get(key)
        if reading is None:
            reading = self._readings[key] = read_answer(expectation, answer)
        return reading


def expected_answer(truth: Truth, classes: Mapping[str, str]) -> ExpectedAnswer:
    """What a truth asks for. Raises InputError as `vocabulary_of`.

    Of labels: `labels` where given, else `answer` read with the options; labels that are no option
    are admitted too. `classes` are from `synonym_classes`.
    """
    form, options = answer_form(truth), truth.options or ()
    if form == "labels":
        return _expected_labels(truth, options, classes)
    vocabulary = vocabulary_of((), (), classes)
    if form == "option":
        choices = choices_of(options, letters=truth.letters, classes=classes)
        place = None if truth.answer is None else options.index(truth.answer)
        return ExpectedAnswer(form, vocabulary, None, choices, place, truth.number)
    return ExpectedAnswer(form, vocabulary, number=truth.number)


def _expected_labels(
    truth: Truth, options: tuple[str, ...], classes: Mapping[str, str]
) -> ExpectedAnswer:
    if truth.labels:
        vocabulary = vocabulary_of(options, truth.labels, classes)
        forms = [vocabulary.find(label) for label in truth.labels]
        right = frozenset(form for form in forms if form)
        return ExpectedAnswer("labels", vocabulary, right or None)
    vocabulary = vocabulary_of(options, (), classes)
    labels = vocabulary.read(truth.answer or "")
    stray = [label for label in labels if label not in vocabulary.names]
    if stray:
        vocabulary = vocabulary_of(options, stray, classes)
    return ExpectedAnswer("labels", vocabulary, labels or None)


def read_answer(expected: ExpectedAnswer, answer: str) -> AnswerReading:
    """What an answer says in the terms of its question; free text says nothing but itself."""
    if expected.form == "labels":
        return AnswerReading(expected.vocabulary.read(answer))
    if expected.form == "quantity":
        unit = None if expected.number is None else expected.number.unit
        value, status, reason = quantity(answer, unit)
        return AnswerReading(None, value, status, reason)
    if expected.choices is not None:
        place = expected.choices.find(answer)
        if place is None:
            reason = "the answer is none of the options"
            return AnswerReading(frozenset(), None, "not_an_option", reason)
        number = None if expected.number is None else float(place)
        return AnswerReading(frozenset((expected.choices.options[place],)), number)
    return AnswerReading()


def answer_part(
    answer: Answer, reading: AnswerReading, truth: Truth, expected: ExpectedAnswer, scheme: Scheme
) -> Part:
    """The part of an answer as read; None with status missing_truth without a right one."""
    if expected.form == "text" and truth.answer:
        return text_part(answer, truth.answer, scheme.text_measure)
    known = {"labels": expected.labels, "option": expected.place, "quantity": expected.number}
    if known.get(expected.form) is None:
        return Part(None, "missing_truth", "the truth has no answer")
    if expected.labels is not None:
        single = truth.kind == "single"
        labels = reading.labels or frozenset()
        return label_part(answer, labels, expected.labels, single, scheme.min_precision)
    if answer.text is None:
        return Part(0.0, answer.status, answer.reason)
    if reading.status != "ok":
        return Part(0.0, reading.status, reading.reason)
    if expected.place is not None and expected.choices is not None:
        right = expected.choices.options[expected.place]
        if expected.number is None or reading.number is None:
            return Part(float(reading.labels == frozenset((right,))))
        return Part(place_credit(reading.number, expected.number, len(expected.choices.options)))
    assert expected.number is not None and reading.number is not None
    value, _, tolerance = expected.number
    return Part(float(is_within(reading.number, value, tolerance)))


def place_credit(place: float, right: TrueNumber, count: int) -> float:
    """1 within the tolerance, then less by 1 / (count - 1) for each place, at least 0."""
    beyond = abs(place - right.value) - right.tolerance
    return 1.0 if beyond <= 0 else max(0.0, 1 - beyond / (count - 1))


def set_f1(answer: Collection[str], right: Collection[str]) -> float:
    """2 |A and R| / (|A| + |R|) of two sets; 1 for two empty ones."""
    first, second = set(answer), set(right)
    if not first and not second:
        return 1.0
    return 2 * len(first & second) / (len(first) + len(second))


def label_part(
    answer: Answer, labels: frozenset[str], right: frozenset[str], single: bool, precision: float
) -> Part:
    """F1 of the labels of an answer and the right ones, or equality where a `single` one is asked.

    A list of which less than `precision` is right is hedging and scores 0, whatever it contains.
    """
    if answer.text is None:
        return Part(0.0, answer.status, answer.reason)
    if not labels:
        return Part(0.0, "no_answer", "the box names no label")
    if single and len(labels) > 1:
        return Part(0.0, "ok", f"{len(labels)} labels where one is asked")
    hits = len(labels & right)
    if hits and hits < precision * len(labels):
        return Part(0.0, "ok", f"hedging: {hits} of {len(labels)} labels are right")
    return Part(set_f1(labels, right))


def text_part(answer: Answer, truth: str, measure: str) -> Part:
    """Similarity of an open answer by the named measure of `text.MEASURES`."""
    if answer.text is None:
        return Part(0.0, answer.status, answer.reason)
    return Part(MEASURES[measure](answer.text, truth))
