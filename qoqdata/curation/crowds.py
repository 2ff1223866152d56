"""Bounds where many look alike: each is compared further with those that it is most like, so that
time grows with the number of images and not with its square. What a bound cuts off is told."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Likest(NamedTuple):
    """`kept`: (pairs,) whether a pair stays; `cut`: sorted numbers of those that lost one."""

    kept: NDArray[np.bool_]
    cut: NDArray[np.int64]


def likest(
    one: NDArray[np.integer],
    other: NDArray[np.integer],
    score: NDArray[np.floating] | NDArray[np.integer],
    most: int,
) -> Likest:
    """Of pairs (n,) of numbers those that are among the `most` of highest score of either; of equal
    scores the lowest numbers."""
    kept = np.zeros(len(one), bool)
    for mine, theirs in ((one, other), (other, one)):
        order = np.lexsort((theirs, -score, mine))
        first = np.flatnonzero(np.diff(mine[order].astype(np.int64), prepend=-1))
        lengths = np.diff(np.append(first, len(order)))
        place = np.arange(len(order)) - np.repeat(first, lengths)
        kept[order[place < most]] = True
    return Likest(kept, np.union1d(one[~kept], other[~kept]).astype(np.int64))
