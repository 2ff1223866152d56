"""AUROC from scores, by ranks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Ranking:
    """Records of one class in the order of their scores.

    level     (n,) rank of the score from 0; equal scores share a level
    positive  (n,) whether the class is true
    levels    number of levels
    """

    level: NDArray[np.intp]
    positive: NDArray[np.bool_]
    levels: int


def ranking(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> Ranking:
    """The ranking of (n,) scores, NaN where a record has none.

    A record without score is ranked where it is wrong: a positive one below all others, a negative
    one above all. Leaving it out would reward keeping silent on hard records.
    """
    absent = np.isnan(scores)
    values, inverse = np.unique(scores[~absent], return_inverse=True)
    level = np.where(positive, 0, values.size + 1)
    level[~absent] = inverse + 1
    return Ranking(level.astype(np.intp), positive, values.size + 2)


def auroc(ranked: Ranking, weights: NDArray[np.float64]) -> float:
    """Chance that a positive record outranks a negative one, ties counting half; 0 to 1.

    The Mann-Whitney statistic (Hanley and McNeil, 1982) with (n,) weights of 0 or more. NaN where
    either class has no weight: it is undefined then, not one half.
    """
    hits = np.bincount(ranked.level, weights * ranked.positive, ranked.levels)
    rest = np.bincount(ranked.level, weights * ~ranked.positive, ranked.levels)
    pairs = float(hits.sum() * rest.sum())
    if pairs <= 0:
        return float("nan")
    below = np.cumsum(rest) - rest / 2
    return float(hits @ below) / pairs
