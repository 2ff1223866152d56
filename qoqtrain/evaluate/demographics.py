"""Figures by sex and age band, and the gaps between the groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from qoqtrain.evaluate.levels import hierarchy_of, levels
from qoqtrain.evaluate.results import DemographicGroups, Group, QuestionOutcome
from qoqtrain.evaluate.sheet import METRICS, Sheet, figures

#: Upper ends of the age bands, in years, as in the evaluation of QoQ-Med's successors.
_BANDS = ((25, "<=25"), (50, "<=50"), (75, "<=75"))
_OLDEST = ">75"


def age_band(age: int | None) -> str | None:
    """The band of an age in years: <=25, <=50 (26 to 50), <=75 (51 to 75), >75."""
    if age is None:
        return None
    return next((name for end, name in _BANDS if age <= end), _OLDEST)


ATTRIBUTES: dict[str, tuple[Callable[[QuestionOutcome], str | None], tuple[str, ...]]] = {
    "sex": (lambda outcome: outcome.sex, ("female", "male", "other")),
    "age": (lambda outcome: age_band(outcome.age), (*(name for _, name in _BANDS), _OLDEST)),
}


def demographics(
    outcomes: Sequence[QuestionOutcome], sheets: Sequence[Sheet], cluster: NDArray[np.intp]
) -> dict[str, DemographicGroups]:
    """Groups by attribute over the records of the sheets; attributes nobody has are left out.

    `outcomes` and `cluster` (n,) are all records, to which the sheets' rows refer.
    """
    attributes = {
        name: _groups([group(outcome) for outcome in outcomes], order, sheets, cluster)
        for name, (group, order) in ATTRIBUTES.items()
    }
    return {name: groups for name, groups in attributes.items() if groups.groups}


def _groups(
    member: Sequence[str | None],
    order: Sequence[str],
    sheets: Sequence[Sheet],
    cluster: NDArray[np.intp],
) -> DemographicGroups:
    rows = np.concatenate([sheet.rows for sheet in sheets])
    masks = {name: np.array([one == name for one in member], np.bool_) for name in order}
    masks = {name: mask for name, mask in masks.items() if mask[rows].any()}
    sources = _shared_sources(sheets, list(masks.values()))
    comparable = [sheet for sheet in sheets if (sheet.domain, sheet.source) in sources]
    groups = tuple(
        Group(
            name=name,
            records=int(mask[rows].sum()),
            patients=len(np.unique(cluster[rows[mask[rows]]])),
            metrics=_metrics(comparable, mask),
        )
        for name, mask in masks.items()
    )
    return DemographicGroups(
        groups=groups,
        gaps={metric: _gap([group.metrics[metric] for group in groups]) for metric in METRICS},
        unknown=sum(member[row] is None for row in rows),
        sources=tuple(sorted(source for _, source in sources)),
    )


def _shared_sources(
    sheets: Sequence[Sheet], masks: Sequence[NDArray[np.bool_]]
) -> set[tuple[str, str]]:
    rows: dict[tuple[str, str], list[NDArray[np.intp]]] = {}
    for sheet in sheets:
        rows.setdefault((sheet.domain, sheet.source), []).append(sheet.rows)
    return {
        key
        for key, parts in rows.items()
        if masks and all(mask[np.concatenate(parts)].any() for mask in masks)
    }


def _metrics(sheets: Sequence[Sheet], mask: NDArray[np.bool_]) -> dict[str, float | None]:
    if not sheets:
        return dict.fromkeys(METRICS)
    tasks = np.stack([figures(sheet, mask[sheet.rows].astype(np.float64)) for sheet in sheets])
    overall = levels(tasks, hierarchy_of(sheets)).overall
    return {
        name: None if np.isnan(value) else float(value)
        for name, value in zip(METRICS, overall, strict=True)
    }


def _gap(values: Sequence[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    return max(numbers) - min(numbers) if len(numbers) > 1 else None
