"""Class figures by concept, over the sources whose labels stand for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from qoqdata.concepts import Concept, ConceptTable
from qoqtrain.evaluate.class_metrics import FN, FP, STATES, TN, TP, VOID, Floats, rates
from qoqtrain.evaluate.results import QuestionOutcome


@dataclass(frozen=True)
class ConceptCounts:
    """Questions that offer a concept, those where it is true, and the answers that name it.

    Rates are 0 to 1, None where undefined.
    """

    records: int
    support: int
    answered: int
    precision: float | None
    recall: float | None
    specificity: float | None
    f1: float | None


@dataclass(frozen=True)
class ConceptResult:
    """`pooled`: the questions of all its sources together; `sources`: of each."""

    concept: str
    system: str | None
    code: str | None
    pooled: ConceptCounts
    sources: dict[str, ConceptCounts]


@dataclass(frozen=True)
class LabelCounts:
    """A label without a concept; counts as in `ConceptCounts`."""

    source: str
    label: str
    records: int
    support: int
    answered: int


@dataclass(frozen=True)
class ConceptResults:
    """Results by concept of the table `table`, and the labels that it leaves out."""

    table: str
    digest: str
    concepts: tuple[ConceptResult, ...]
    without_concept: tuple[LabelCounts, ...]


def by_concept(outcomes: Sequence[QuestionOutcome], table: ConceptTable) -> ConceptResults:
    """The results of closed questions by concept, sorted by name.

    A concept is true, or named, where any of its labels is. A question offers it where one of its
    options stands for it. The texts that a choice offers are no labels, unless they have a concept.
    """
    counts: dict[Concept, dict[str, Floats]] = {}
    bare: dict[tuple[str, str], Floats] = {}
    for outcome in outcomes:
        groups: dict[Concept, set[str]] = {}
        for option in outcome.options or ():
            key = (outcome.source, option)
            if (concept := table.concepts.get(key)) is not None:
                groups.setdefault(concept, set()).add(option)
            elif outcome.kind != "choice":
                bare.setdefault(key, np.zeros(len(STATES)))[_state(outcome, {option})] += 1
        for concept, labels in groups.items():
            by_source = counts.setdefault(concept, {})
            own = by_source.setdefault(outcome.source, np.zeros(len(STATES)))
            own[_state(outcome, labels)] += 1
    return ConceptResults(
        table.name,
        table.digest,
        tuple(_result(one, counts[one]) for one in sorted(counts, key=lambda one: one.name)),
        tuple(
            LabelCounts(*key, int(row.sum()), int(row[TP] + row[FN]), int(row[TP] + row[FP]))
            for key, row in sorted(bare.items())
        ),
    )


def _state(outcome: QuestionOutcome, labels: Iterable[str]) -> int:
    """What became of a question about any of `labels`, as `class_metrics` counts it."""
    usable = outcome.status == "ok"
    named = usable and not set(labels).isdisjoint(outcome.labels or ())
    if not set(labels).isdisjoint(outcome.truth or ()):
        return TP if named else FN
    if not usable:
        return VOID
    return FP if named else TN


def _result(concept: Concept, counts: dict[str, Floats]) -> ConceptResult:
    pooled = np.sum(list(counts.values()), axis=0)
    sources = {source: _counts(counts[source]) for source in sorted(counts)}
    return ConceptResult(concept.name, concept.system, concept.code, _counts(pooled), sources)


def _counts(row: Floats) -> ConceptCounts:
    return ConceptCounts(
        int(row.sum()),
        int(row[TP] + row[FN]),
        int(row[TP] + row[FP]),
        *(None if np.isnan(value[0]) else float(value[0]) for value in rates(row[None, :])),
    )
