"""Two policies on the same questions, by a paired bootstrap."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qoqdata.errors import BadTable, MissingFile, UsageError
from qoqtrain.evaluate.averages import Levels, hierarchy_of, levels
from qoqtrain.evaluate.bootstrap import bounds, clusters_of, replicates
from qoqtrain.evaluate.confusion import Floats
from qoqtrain.evaluate.outcome import QuestionOutcome, read_outcomes
from qoqtrain.evaluate.report import RECORDS
from qoqtrain.evaluate.results import Estimate
from qoqtrain.evaluate.sheet import METRICS, sheets_of
from qoqtrain.evaluate.summary import task_figures, varied

#: What must be the same of a record for two outcomes to be a pair.
_PAIRED = ("id", "source", "domain", "task", "kind", "patient", "options", "truth")


@dataclass(frozen=True)
class ScoreDifference:
    """One figure of two policies at one level ("overall", "over_sources", "domain", "source").

    difference  second minus first, with its 95 % interval
    p           two-sided: twice the smaller share of draws on either side of no difference, both
                counting draws without difference and the data as a draw of their own; None
                without interval
    """

    level: str
    name: str
    metric: str
    first: float
    second: float
    difference: Estimate
    p: float | None


def compare(
    first: Sequence[QuestionOutcome],
    second: Sequence[QuestionOutcome],
    *,
    bootstrap: int = 1000,
    seed: int = 0,
) -> list[ScoreDifference]:
    """The differences between two policies in every figure that both have, level by level.

    Every draw of patients is applied to both, so that what makes a question easy for both cancels
    (Efron and Tibshirani, "An introduction to the bootstrap", 1993, chapters 8 and 15). Raises
    UsageError where the two have not judged the same questions.
    """
    if not first or not second:
        raise UsageError("there is nothing to compare")
    first, second = _sorted(first), _sorted(second)
    if [_key(one) for one in first] != [_key(one) for one in second]:
        fix = "compare evaluations of the same data set and split"
        raise UsageError("the two have not judged the same questions", fix=fix)
    runs = sheets_of(first), sheets_of(second)
    hierarchy, clusters = hierarchy_of(runs[0]), clusters_of(first)
    ones = np.ones(len(first))
    before, after = (levels(task_figures(sheets, ones), hierarchy) for sheets in runs)
    shape = (0, 2, len(runs[0]), len(METRICS))
    drawn = [
        np.stack([task_figures(sheets, weights) for sheets in runs])
        for weights in replicates(clusters, bootstrap, seed)
    ]
    spread = levels(np.stack(drawn) if drawn else np.empty(shape), hierarchy)
    change = Levels(*(part[:, 1] - part[:, 0] for part in spread))
    known = varied(runs[0], clusters.cluster, hierarchy)
    found = _differences(
        ("overall", "all"), (before.overall, after.overall), change.overall, all(known)
    )
    found += _differences(
        ("over_sources", "all"),
        (before.over_sources, after.over_sources),
        change.over_sources,
        all(known),
    )
    for index, name in enumerate(hierarchy.domains):
        members = np.flatnonzero(hierarchy.domain_of_source == index)
        found += _differences(
            ("domain", name),
            (before.domains[index], after.domains[index]),
            change.domains[:, index],
            all(known[member] for member in members),
        )
    for index, name in enumerate(hierarchy.sources):
        found += _differences(
            ("source", name),
            (before.sources[index], after.sources[index]),
            change.sources[:, index],
            known[index],
        )
    return found


def read_run(path: Path) -> tuple[dict[str, Any], list[QuestionOutcome]]:
    """The facts of the run and its outcomes, from an evaluation.json with its rows beside it.

    Raises MissingFile and BadTable.
    """
    try:
        run = json.loads(path.read_bytes())["run"]
    except FileNotFoundError as error:
        fix = "evaluate with --out"
        raise MissingFile("there is no such file", where=str(path), fix=fix) from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadTable("is no evaluation.json", where=str(path)) from error
    if not isinstance(run, dict):
        raise BadTable("is no evaluation.json", where=str(path))
    return run, read_outcomes(path.with_name(RECORDS))


def _differences(
    level: tuple[str, str], values: tuple[Floats, Floats], change: Floats, known: bool
) -> list[ScoreDifference]:
    low, high = bounds(change)
    found = []
    for index, metric in enumerate(METRICS):
        first, second = float(values[0][index]), float(values[1][index])
        if np.isnan(first) or np.isnan(second):
            continue
        estimate, p = Estimate(second - first), None
        if known and not np.isnan(low[index]):
            estimate = Estimate(second - first, float(low[index]), float(high[index]))
            p = _p_value(change[:, index])
        found.append(ScoreDifference(*level, metric, first, second, estimate, p))
    return found


def _p_value(change: Floats) -> float:
    change = change[~np.isnan(change)]
    tail = min(int((change <= 0).sum()), int((change >= 0).sum()))
    return min(1.0, 2 * (1 + tail) / (1 + change.size))


def _sorted(outcomes: Sequence[QuestionOutcome]) -> list[QuestionOutcome]:
    return sorted(outcomes, key=lambda outcome: outcome.id)


def _key(outcome: QuestionOutcome) -> tuple[Any, ...]:
    return tuple(getattr(outcome, name) for name in _PAIRED)
