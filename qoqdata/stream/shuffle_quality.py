"""How well an order is shuffled, in numbers that a full shuffle sets the scale of.

Two records that lie close together on disk should not come close together in the stream, and a
record's place on disk should say nothing about its place in the stream.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qoqdata.stream import keyed
from qoqdata.stream.draws import DrawSegment
from qoqdata.stream.sequence import Sequence

#: Draws within which the repeats of a row group are counted: about a global batch.
BATCH = 256


@dataclass(frozen=True)
class Quality:
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


def quality(sequence: Sequence, segment: DrawSegment | None, *, epoch: int) -> Quality:
    """The quality of an epoch's order, beside that of one full shuffle of its draws."""
    n = len(sequence.index)
    records = sequence.stretch(np.arange(epoch * n, (epoch + 1) * n), segment).records
    full = records[keyed.permutation(n, *sequence.key, "full shuffle", epoch)]
    ours, theirs = _measures(sequence, records), _measures(sequence, full)
    return Quality(*(value for pair in zip(ours, theirs, strict=True) for value in pair))


def _measures(sequence: Sequence, records: np.ndarray) -> tuple[float, float, float, float]:
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
