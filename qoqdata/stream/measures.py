"""Measures of an order: how often its components are drawn, and how well it is shuffled.

A shuffle is measured in numbers that a full shuffle sets the scale of: two records that lie close
together on disk should not come close together in the stream, and a record's place on disk should
say nothing about its place in the stream.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from qoqdata.stream.draws import UNITS, DrawSegment
from qoqdata.stream.order import random_permutation
from qoqdata.stream.sequence import RecordSequence

#: Draws within which the repeats of a row group are counted: about a global batch.
BATCH = 256


@dataclass(frozen=True)
class DrawShares:
    """How often a component is drawn.

    `records` it has, `probability` of a draw, `passes` over its records in an epoch on average.
    """

    records: int
    probability: float
    passes: float


@dataclass(frozen=True)
class DrawCounts:
    """How often a component was drawn up to now, by all processes together."""

    draws: int
    share: float
    passes: float


@dataclass(frozen=True)
class ShuffleQuality:
    """Measures of one epoch, each beside its value for a full shuffle of the same draws.

    displacement: mean |place in the stream - place on disk| over the number of draws; 1/3 for a
    full shuffle of distinct records. group_repeats: share of neighbouring draws from one row
    group. source_repeats: the same for sources. batch_groups: distinct row groups in BATCH
    consecutive draws, on average.
    """

    displacement: float
    displacement_full: float
    group_repeats: float
    group_repeats_full: float
    source_repeats: float
    source_repeats_full: float
    batch_groups: float
    batch_groups_full: float


def draw_shares(records: Mapping[str, int], segment: DrawSegment | None) -> dict[str, DrawShares]:
    """How often each component is drawn under a segment's weights; without one, in proportion.

    `records`: how many each component has, in the order of the segment's units.
    """
    total = sum(records.values())
    units = np.array(list(records.values())) if segment is None else segment.units
    chances = units / (total if segment is None else UNITS)
    return {
        name: DrawShares(n, float(p), float(p) * total / n)
        for (name, n), p in zip(records.items(), chances, strict=True)
    }


def draw_counts(
    sequence: RecordSequence, records: Mapping[str, int], segment: DrawSegment | None, position: int
) -> dict[str, DrawCounts]:
    """How often each component was drawn before a global position; without a segment, each domain.

    `records`: how many each of them has.
    """
    if segment is None:
        total = len(sequence.index)
        passes, rest = divmod(position, total)
        counts: Counter[str] = Counter()
        if rest:
            stretch = sequence.stretch(np.arange(position - rest, position), None)
            counts.update(sequence.index.frame["domain"][stretch.records].fill_null("").to_list())
        draws = [passes * n + counts[name] for name, n in records.items()]
    else:
        draws = segment.counts(position).tolist()
    return {
        name: DrawCounts(k, k / max(position, 1), k / n)
        for (name, n), k in zip(records.items(), draws, strict=True)
    }


def shuffle_quality(
    sequence: RecordSequence, segment: DrawSegment | None, *, epoch: int
) -> ShuffleQuality:
    """The quality of an epoch's order, beside that of one full shuffle of its draws."""
    n = len(sequence.index)
    records = sequence.stretch(np.arange(epoch * n, (epoch + 1) * n), segment).records
    full = records[random_permutation(n, *sequence.key, "full shuffle", epoch)]
    ours, theirs = _measures(sequence, records), _measures(sequence, full)
    return ShuffleQuality(*(value for pair in zip(ours, theirs, strict=True) for value in pair))


def _measures(sequence: RecordSequence, records: np.ndarray) -> tuple[float, float, float, float]:
    _, group = np.unique(sequence.index.groups.group, return_inverse=True)
    source = sequence.index.frame["source"].rank("dense").to_numpy()
    groups = group[records]
    batches = np.arange(len(records)) // BATCH
    distinct = len(np.unique(batches * (group.max() + 1) + groups)) / (batches[-1] + 1)
    return (
        float(np.abs(records - np.arange(len(records))).mean() / len(records)),
        _repeats(groups),
        _repeats(source[records]),
        float(distinct),
    )


def _repeats(values: np.ndarray) -> float:
    return float((values[1:] == values[:-1]).mean()) if len(values) > 1 else 0.0
