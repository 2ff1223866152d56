"""Figures of classes: rates from counts of right and wrong answers, AUROC from scores by ranks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Columns of class counts. `void`: the class is not true and no answer could be read, which is no
#: true negative and no false positive.
TP, FP, FN, TN, VOID = STATES = tuple(range(5))


class Rates(NamedTuple):
    """(K,) rates of the classes, NaN where undefined."""

    precision: Floats
    recall: Floats
    specificity: Floats
    f1: Floats


def one_against_rest(confusion: Floats) -> Floats:
    """(K, 5) counts of each class, from a (K, K + 1) confusion matrix: truth by answer.

    The last column holds the questions without a usable answer.
    """
    answers, void = confusion[:, :-1], confusion[:, -1]
    hits = np.diagonal(answers).astype(np.float64)
    misses = confusion.sum(axis=1) - hits
    extra = answers.sum(axis=0) - hits
    unread = void.sum() - void
    rest = confusion.sum() - hits - misses - extra - unread
    return np.stack([hits, extra, misses, rest, unread], axis=1)


def rates(counts: Floats) -> Rates:
    """Rates of the classes from (K, 5) counts.

    Specificity has the void answers in its denominator: a response that cannot be read is never
    right about an absent class. F1 = 2 TP / (2 TP + FP + FN), undefined for a class that is never
    true and never answered, and 0 for one that is answered and never true.
    """
    hits, extra, misses, rest, void = np.moveaxis(counts, -1, 0)
    return Rates(
        precision=ratio(hits, hits + extra),
        recall=ratio(hits, hits + misses),
        specificity=ratio(rest, rest + extra + void),
        f1=ratio(2 * hits, 2 * hits + extra + misses),
    )


def macro_f1(classes: Rates) -> float:
    """Mean F1 over the classes that occur in the truth or in the answers."""
    return float(mean_defined(classes.f1))


def balanced_accuracy(classes: Rates, *, exclusive: bool) -> float:
    """Mean recall over the classes that occur (`exclusive`: one class a record), else the mean
    over classes of (recall + specificity) / 2, over those with positives and negatives.

    Brodersen et al., "The balanced accuracy and its posterior distribution", 2010. What QoQ-Med
    reports under the name is (TP + TN) / all, which true negatives of rare classes lift to 1.
    """
    if exclusive:
        return float(mean_defined(classes.recall))
    return float(mean_defined((classes.recall + classes.specificity) / 2))


def quadratic_kappa(places: Floats, weights: Floats) -> float:
    """Cohen's kappa of (2, n) right and answered places with squared distance as disagreement; NaN
    where both are one constant.

    Cohen, "Weighted kappa", 1968. The expected disagreement of independent places has a closed
    form: the sum of both variances and the squared difference of the means.
    """
    total = weights.sum()
    if not total:
        return float("nan")
    shares = weights / total
    means = places @ shares
    spread = (places - means[:, None]) ** 2 @ shares
    expected = float(spread.sum() + (means[0] - means[1]) ** 2)
    observed = float((places[0] - places[1]) ** 2 @ shares)
    return 1 - observed / expected if expected else float("nan")


def ratio(part: Floats, whole: Floats) -> Floats:
    """part / whole, NaN where whole is 0."""
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def mean_defined(values: Floats, axis: int = -1) -> Floats:
    """Mean along an axis of what is not NaN; NaN where nothing is defined."""
    defined = ~np.isnan(values)
    count = defined.sum(axis=axis).astype(np.float64)
    return ratio(np.where(defined, values, 0.0).sum(axis=axis), count)


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
