"""All figures of an evaluation from its outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qoqdata.errors import DuplicateKey, UsageError
from qoqtrain.evaluate.class_metrics import FN, FP, TP, Floats, rates
from qoqtrain.evaluate.demographics import demographics
from qoqtrain.evaluate.levels import (
    RULE,
    Hierarchy,
    Levels,
    bounds,
    clusters_of,
    hierarchy_of,
    levels,
    replicates,
)
from qoqtrain.evaluate.results import (
    UNPARSABLE,
    AnswerCounts,
    ClassResult,
    DomainResult,
    Estimate,
    Estimates,
    Evaluation,
    NumberResult,
    QuestionOutcome,
    SourceResult,
    TaskResult,
    statuses,
)
from qoqtrain.evaluate.sheet import (
    METRICS,
    Sheet,
    class_auroc,
    class_counts,
    confusion_matrix,
    figures,
    mean_errors,
    sheets_of,
)


class Measured(NamedTuple):
    """All figures: of the records as they are, and of every replicate.

    error, error_spread   (tasks,) and (replicates, tasks) mean absolute errors
    """

    point: Levels
    spread: Levels
    error: Floats
    error_spread: Floats


def summarise(
    outcomes: Sequence[QuestionOutcome], *, bootstrap: int = 1000, seed: int = 0
) -> Evaluation:
    """The evaluation of outcomes, the same whatever their order.

    bootstrap  replicates for the intervals (`bootstrap.replicates`), 0 for none
    A level gets an interval where each of its sources has two patients or more: one patient tells
    nothing about the spread between patients. Raises UsageError without outcomes or for a
    negative count, DuplicateKey for an id that is there twice.
    """
    if not outcomes:
        raise UsageError("there is nothing to evaluate")
    if bootstrap < 0:
        raise UsageError("is no count of replicates", where=f"--bootstrap {bootstrap}")
    outcomes = sorted(outcomes, key=lambda outcome: outcome.id)
    for one, other in pairwise(outcomes):
        if one.id == other.id:
            raise DuplicateKey(f"the record {one.id} is judged twice")
    sheets = sheets_of(outcomes)
    clusters = clusters_of(outcomes)
    hierarchy = hierarchy_of(sheets)
    ones = np.ones(len(outcomes))
    draws, errors = [task_figures(sheets, ones)], [mean_errors(sheets, ones)]
    for weights in replicates(clusters, bootstrap, seed):
        draws.append(task_figures(sheets, weights))
        errors.append(mean_errors(sheets, weights))
    measured = Measured(
        levels(draws[0], hierarchy),
        levels(np.stack(draws)[1:], hierarchy),
        errors[0],
        np.stack(errors)[1:],
    )
    return _tree(outcomes, sheets, clusters.cluster, hierarchy, measured, seed)


def task_figures(sheets: Sequence[Sheet], weights: Floats) -> Floats:
    """(tasks, metrics) figures under (n,) weights of all records."""
    return np.stack([figures(sheet, weights[sheet.rows]) for sheet in sheets])


def varied(sheets: Sequence[Sheet], cluster: NDArray[np.intp], hierarchy: Hierarchy) -> list[bool]:
    """Whether each source has two patients or more, without which it has no interval."""
    patients: list[set[int]] = [set() for _ in hierarchy.sources]
    for sheet, source in zip(sheets, hierarchy.source_of_task, strict=True):
        patients[source].update(cluster[sheet.rows].tolist())
    return [len(ids) > 1 for ids in patients]


def _tree(
    outcomes: Sequence[QuestionOutcome],
    sheets: Sequence[Sheet],
    cluster: NDArray[np.intp],
    hierarchy: Hierarchy,
    measured: Measured,
    seed: int,
) -> Evaluation:
    point, spread, error, error_spread = measured

    def sheets_in(source: int) -> list[int]:
        return [int(task) for task in np.flatnonzero(hierarchy.source_of_task == source)]

    def sources_in(domain: int) -> list[int]:
        return [int(source) for source in np.flatnonzero(hierarchy.domain_of_source == domain)]

    def counts(tasks: Sequence[int]) -> AnswerCounts:
        rows = np.concatenate([sheets[task].rows for task in tasks])
        return _counts([outcomes[row] for row in rows], cluster[rows])

    def source_result(source: int) -> SourceResult:
        tasks = sheets_in(source)
        return SourceResult(
            hierarchy.sources[source],
            counts(tasks),
            _estimates(point.sources[source], spread.sources[:, source], spreads[source]),
            demographics(outcomes, [sheets[task] for task in tasks], cluster),
            tuple(task_result(task) for task in tasks),
        )

    def task_result(task: int) -> TaskResult:
        sheet, task_counts = sheets[task], counts([task])
        varies = task_counts.patients > 1
        estimates = _estimates(point.tasks[task], spread.tasks[:, task], varies)
        number = None
        if sheet.kind == "number":
            (estimate,) = _each_estimate(error[[task]], error_spread[:, [task]], varies)
            answers = int((~np.isnan(sheet.errors)).sum())
            number = NumberResult(sheet.unit, answers, estimate)
        chance = _chance([outcomes[row] for row in sheet.rows])
        return _task_result(sheet, task_counts, estimates, chance, number)

    def domain_result(domain: int) -> DomainResult:
        members = sources_in(domain)
        return DomainResult(
            hierarchy.domains[domain],
            counts([task for source in members for task in sheets_in(source)]),
            _estimates(
                point.domains[domain],
                spread.domains[:, domain],
                all(spreads[source] for source in members),
            ),
            tuple(source_result(source) for source in members),
        )

    spreads = varied(sheets, cluster, hierarchy)
    return Evaluation(
        rule=RULE,
        bootstrap=len(spread.tasks),
        seed=seed,
        counts=counts(range(len(sheets))),
        metrics=_estimates(point.overall, spread.overall, all(spreads)),
        over_sources=_estimates(point.over_sources, spread.over_sources, all(spreads)),
        demographics=demographics(outcomes, sheets, cluster),
        domains=tuple(domain_result(domain) for domain in range(len(hierarchy.domains))),
    )


def _counts(outcomes: Sequence[QuestionOutcome], cluster: NDArray[np.intp]) -> AnswerCounts:
    by_status = statuses(outcomes)
    missing = by_status.get("missing", 0)
    responses = len(outcomes) - missing
    unparsable = sum(by_status.get(status, 0) for status in UNPARSABLE)
    return AnswerCounts(
        records=len(outcomes),
        patients=len(np.unique(cluster)),
        missing=missing,
        unparsable=unparsable / responses if responses else None,
        statuses=by_status,
        regions=sum(outcome.iou is not None for outcome in outcomes),
        scored=sum(outcome.scores is not None for outcome in outcomes),
    )


def _chance(outcomes: Sequence[QuestionOutcome]) -> float | None:
    """Mean of 1 / number of options, which may differ from question to question."""
    if outcomes[0].kind not in ("single", "choice"):
        return None
    return float(np.mean([1 / len(one.options) for one in outcomes if one.options]))


def _task_result(
    sheet: Sheet,
    counts: AnswerCounts,
    estimates: Estimates,
    chance: float | None,
    number: NumberResult | None,
) -> TaskResult:
    weights = np.ones(len(sheet.rows))
    classes: tuple[ClassResult, ...] = ()
    confusion = None
    if sheet.classes:
        states = class_counts(sheet, weights)
        class_rates, aurocs = rates(states), class_auroc(sheet, weights)
        classes = tuple(
            ClassResult(
                label=label,
                support=int(states[index, TP] + states[index, FN]),
                answered=int(states[index, TP] + states[index, FP]),
                precision=_defined(class_rates.precision[index]),
                recall=_defined(class_rates.recall[index]),
                specificity=_defined(class_rates.specificity[index]),
                f1=_defined(class_rates.f1[index]),
                auroc=_defined(aurocs[index]),
            )
            for index, label in enumerate(sheet.classes)
        )
    if sheet.kind == "single":
        matrix = confusion_matrix(sheet, weights)
        confusion = tuple(tuple(int(cell) for cell in row) for row in matrix)
    return TaskResult(sheet.task, sheet.kind, counts, estimates, chance, number, classes, confusion)


def _estimates(values: Floats, spread: Floats, has_interval: bool) -> Estimates:
    return dict(zip(METRICS, _each_estimate(values, spread, has_interval), strict=True))


def _each_estimate(values: Floats, spread: Floats, has_interval: bool) -> list[Estimate]:
    low, high = bounds(spread)
    return [
        Estimate(
            _defined(value),
            _defined(low[index]) if has_interval and not np.isnan(value) else None,
            _defined(high[index]) if has_interval and not np.isnan(value) else None,
        )
        for index, value in enumerate(values)
    ]


def _defined(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
