"""All outcomes of one task as arrays, so that its figures are functions of record weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qoqdata.contract.vocabulary import TaskKind
from qoqtrain.evaluate.class_metrics import (
    FN,
    FP,
    STATES,
    TN,
    TP,
    VOID,
    Floats,
    Ranking,
    auroc,
    balanced_accuracy,
    macro_f1,
    mean_defined,
    one_against_rest,
    quadratic_kappa,
    ranking,
    rates,
)
from qoqtrain.evaluate.results import QuestionOutcome

#: Figures of a task that are means over its records, and the field of an outcome they are of.
MEANS = {
    "accuracy": "correct",
    "credit": "credit",
    "iou": "iou",
    "matched": "matched",
    "token_f1": "token_f1",
    "rouge_l": "rouge_l",
}

#: All figures that mean the same in every task: 0 to 1 each, kappa from -1.
METRICS = ("macro_f1", "balanced_accuracy", "auroc", "quadratic_kappa", *MEANS)
#: What errors of ordinal questions are in.
PLACES = "places"

Integers = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Sheet:
    """One task of one source.

    rows      (n,) index of its records among all outcomes
    classes   its options, in the order in which they are first shown; () unless labels are asked
    owner     (m,) index into `rows` of each answered cell
    cell      (m,) single: truth * (K + 1) + answer; multi: option * 5 + state
    rankings  per class, (records that offer it as index into `rows`, ranking); () without scores
    means     (6, n) values of `MEANS`, NaN where a record has none
    unit      what `errors` are in: a UCUM code, None for bare numbers, or `PLACES`
    errors    (n,) distances from the right number, NaN where a record has none, and all NaN where
              they are in several units
    places    (2, n) right and answered place of a task whose questions share their ordinal options,
              an answer that was not read as far off as one can be; else None
    """

    source: str
    domain: str
    task: str
    kind: TaskKind
    rows: Integers
    classes: tuple[str, ...]
    owner: Integers
    cell: Integers
    rankings: tuple[tuple[Integers, Ranking], ...]
    means: Floats
    unit: str | None
    errors: Floats
    places: Floats | None


def sheets_of(outcomes: Sequence[QuestionOutcome]) -> list[Sheet]:
    """One sheet a task and kind, sorted by domain, source, task and kind."""
    parts: dict[tuple[str, str, str, str], list[int]] = {}
    for index, one in enumerate(outcomes):
        parts.setdefault((one.domain, one.source, one.task, one.kind), []).append(index)
    return [
        _sheet(np.array(rows, np.intp), [outcomes[row] for row in rows])
        for _, rows in sorted(parts.items())
    ]


def _sheet(rows: Integers, outcomes: Sequence[QuestionOutcome]) -> Sheet:
    first = outcomes[0]
    # Options of a choice are its own: they are no classes that its task has.
    labelled = outcomes if first.kind in ("single", "multi") else ()
    classes = tuple(dict.fromkeys(name for one in labelled for name in one.options or ()))
    place = {name: index for index, name in enumerate(classes)}
    cells = _single_cells if first.kind == "single" else _multi_cells
    owner, cell = cells(labelled, place)
    unit, errors = _errors(outcomes)
    means = [[_number(getattr(one, field)) for one in outcomes] for field in MEANS.values()]
    return Sheet(
        source=first.source,
        domain=first.domain,
        task=first.task,
        kind=first.kind,
        rows=rows,
        classes=classes,
        owner=owner,
        cell=cell,
        rankings=_rankings(labelled, classes),
        means=np.array(means, np.float64),
        unit=unit,
        errors=errors,
        places=_places(outcomes),
    )


def class_counts(sheet: Sheet, weights: Floats) -> Floats:
    """(K, 5) weighted counts of the states of each class; (n,) weights of the sheet's records."""
    count = len(sheet.classes)
    if sheet.kind == "single":
        return one_against_rest(confusion_matrix(sheet, weights))
    cells = np.bincount(sheet.cell, weights[sheet.owner], count * len(STATES))
    return cells.astype(np.float64).reshape(count, len(STATES))


def confusion_matrix(sheet: Sheet, weights: Floats) -> Floats:
    """(K, K + 1) of a single-label task: true class by answer, last column without usable one."""
    count = len(sheet.classes)
    cells = np.bincount(sheet.cell, weights[sheet.owner], count * (count + 1))
    return cells.astype(np.float64).reshape(count, count + 1)


def class_auroc(sheet: Sheet, weights: Floats) -> Floats:
    """(K,) AUROC of each class against the rest, NaN where undefined or without scores."""
    if not sheet.rankings:
        return np.full(len(sheet.classes), np.nan)
    return np.array([auroc(ranked, weights[owner]) for owner, ranked in sheet.rankings])


def figures(sheet: Sheet, weights: Floats) -> Floats:
    """(10,) `METRICS` of the task under (n,) weights of its records, NaN where undefined."""
    defined = ~np.isnan(sheet.means)
    totals = np.where(defined, sheet.means, 0.0) @ weights
    mass = defined @ weights
    means = np.divide(totals, mass, out=np.full(len(MEANS), np.nan), where=mass > 0)
    kappa = np.nan if sheet.places is None else quadratic_kappa(sheet.places, weights)
    if not sheet.classes:
        return np.concatenate([[np.nan, np.nan, np.nan, kappa], means])
    classes = rates(class_counts(sheet, weights))
    balanced = balanced_accuracy(classes, exclusive=sheet.kind == "single")
    ranked = float(mean_defined(class_auroc(sheet, weights)))
    return np.concatenate([[macro_f1(classes), balanced, ranked, kappa], means])


def mean_errors(sheets: Sequence[Sheet], weights: Floats) -> Floats:
    """(tasks,) mean absolute error, each in its own unit, under (n,) weights of all records."""
    means = np.full(len(sheets), np.nan)
    for index, sheet in enumerate(sheets):
        defined = ~np.isnan(sheet.errors)
        if mass := float(weights[sheet.rows] @ defined):
            means[index] = weights[sheet.rows] @ np.where(defined, sheet.errors, 0.0) / mass
    return means


def _errors(outcomes: Sequence[QuestionOutcome]) -> tuple[str | None, Floats]:
    """The unit of a task and its (n,) errors."""
    units = {PLACES if one.options else one.unit for one in outcomes if one.kind == "number"}
    if len(units) != 1:
        return None, np.full(len(outcomes), np.nan)
    (unit,) = units
    return unit, np.array([_number(one.error) for one in outcomes], np.float64)


def _places(outcomes: Sequence[QuestionOutcome]) -> Floats | None:
    options = outcomes[0].options
    if outcomes[0].kind != "number" or not options:
        return None
    if any(one.options != options for one in outcomes):
        return None
    last = len(options) - 1
    pairs = []
    for one in outcomes:
        right = _number(one.value)
        farthest = 0.0 if right > last - right else float(last)
        pairs.append((right, farthest if one.number is None else one.number))
    return np.array(pairs, np.float64).T


def _single_cells(
    outcomes: Sequence[QuestionOutcome], place: dict[str, int]
) -> tuple[Integers, Integers]:
    width = len(place) + 1
    cells = []
    for outcome in outcomes:
        assert outcome.truth is not None
        labels = _options_named(outcome)
        answer = place[labels[0]] if labels else len(place)
        cells.append(place[outcome.truth[0]] * width + answer)
    return np.arange(len(cells), dtype=np.intp), np.array(cells, np.intp)


def _multi_cells(
    outcomes: Sequence[QuestionOutcome], place: dict[str, int]
) -> tuple[Integers, Integers]:
    """One cell for each option that a record offers."""
    owner, cells = [], []
    for index, outcome in enumerate(outcomes):
        labels, truth = _options_named(outcome), outcome.truth or ()
        for option in outcome.options or ():
            if option in truth:
                state = TP if option in labels else FN
            elif outcome.status != "ok":
                state = VOID
            else:
                state = FP if option in labels else TN
            owner.append(index)
            cells.append(place[option] * len(STATES) + state)
    return np.array(owner, np.intp), np.array(cells, np.intp)


def _options_named(outcome: QuestionOutcome) -> tuple[str, ...]:
    """The options that a usable response names."""
    if outcome.status != "ok":
        return ()
    return tuple(label for label in outcome.labels or () if label in (outcome.options or ()))


def _rankings(
    outcomes: Sequence[QuestionOutcome], classes: Sequence[str]
) -> tuple[tuple[Integers, Ranking], ...]:
    if all(outcome.scores is None for outcome in outcomes):
        return ()
    offered: dict[str, list[tuple[int, float, bool]]] = {name: [] for name in classes}
    for index, outcome in enumerate(outcomes):
        options = outcome.options or ()
        scores = outcome.scores or (float("nan"),) * len(options)
        for option, value in zip(options, scores, strict=True):
            offered[option].append((index, value, option in (outcome.truth or ())))
    return tuple(_ranking(entries) for entries in offered.values())


def _ranking(entries: Sequence[tuple[int, float, bool]]) -> tuple[Integers, Ranking]:
    owner, scores, positive = zip(*entries, strict=True)
    ranked = ranking(np.array(scores, np.float64), np.array(positive, np.bool_))
    return np.array(owner, np.intp), ranked


def _number(value: float | bool | None) -> float:
    return float("nan") if value is None else float(value)
