"""The answer part: sets of labels by F1, open answers by similarity."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from qoqtrain.rewards.final_answer import Answer
from qoqtrain.rewards.scheme import Part
from qoqtrain.rewards.text import MEASURES
from qoqtrain.rewards.truth import Truth
from qoqtrain.rewards.vocabulary import Vocabulary, vocabulary_of


@dataclass(frozen=True, slots=True)
class ExpectedAnswer:
    """The right labels of a question, as normal forms of its vocabulary; None: no labels."""

    vocabulary: Vocabulary
    labels: frozenset[str] | None


class Expectations:
    """`expected_answer` and the reading of answers, each thing once: questions of one task share
    their options, and rollouts their answers."""

    def __init__(self, classes: Mapping[str, str]) -> None:
        self._classes = classes
        self._answers: dict[object, ExpectedAnswer] = {}
        self._labels: dict[tuple[int, str], frozenset[str]] = {}

    def of(self, truth: Truth) -> ExpectedAnswer:
        """The labels that a truth asks for. Raises as `expected_answer`."""
        key = (truth.options, truth.labels, truth.answer, truth.open)
        expectation = self._answers.get(key)
        if expectation is None:
            expectation = self._answers[key] = expected_answer(truth, self._classes)
        return expectation

    def read(self, expectation: ExpectedAnswer, answer: str) -> frozenset[str]:
        """The labels in an answer, for an expectation of these; see `Vocabulary.read`."""
        key = id(expectation), answer
        labels = self._labels.get(key)
        if labels is None:
            labels = self._labels[key] = expectation.vocabulary.read(answer)
        return labels


def expected_answer(truth: Truth, classes: Mapping[str, str]) -> ExpectedAnswer:
    """The labels that a truth asks for. Raises InputError as `vocabulary_of`.

    `labels` where given, else `answer` read with the options; labels that are no option are
    admitted too. `classes` are from `synonym_classes`.
    """
    options = truth.options or ()
    if truth.open:
        return ExpectedAnswer(vocabulary_of((), (), classes), None)
    if truth.labels:
        vocabulary = vocabulary_of(options, truth.labels, classes)
        forms = [vocabulary.find(label) for label in truth.labels]
        return ExpectedAnswer(vocabulary, frozenset(form for form in forms if form) or None)
    vocabulary = vocabulary_of(options, (), classes)
    labels = vocabulary.read(truth.answer or "")
    stray = [label for label in labels if label not in vocabulary.names]
    if stray:
        vocabulary = vocabulary_of(options, stray, classes)
    return ExpectedAnswer(vocabulary, labels or None)


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
