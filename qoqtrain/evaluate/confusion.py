"""Precision, recall, F1 and balanced accuracy from counts of right and wrong answers."""

from __future__ import annotations

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
    answered, void = confusion[:, :-1], confusion[:, -1]
    hits = np.diagonal(answered).astype(np.float64)
    missed = confusion.sum(axis=1) - hits
    extra = answered.sum(axis=0) - hits
    unread = void.sum() - void
    rest = confusion.sum() - hits - missed - extra - unread
    return np.stack([hits, extra, missed, rest, unread], axis=1)


def rates(counts: Floats) -> Rates:
    """Rates of the classes from (K, 5) counts.

    Specificity has the void answers in its denominator: a response that cannot be read is never
    right about an absent class. F1 = 2 TP / (2 TP + FP + FN), undefined for a class that is never
    true and never answered, and 0 for one that is answered and never true.
    """
    hits, extra, missed, rest, void = np.moveaxis(counts, -1, 0)
    return Rates(
        precision=ratio(hits, hits + extra),
        recall=ratio(hits, hits + missed),
        specificity=ratio(rest, rest + extra + void),
        f1=ratio(2 * hits, 2 * hits + extra + missed),
    )


def macro_f1(found: Rates) -> float:
    """Mean F1 over the classes that occur in the truth or in the answers."""
    return float(mean_defined(found.f1))


def balanced_accuracy(found: Rates, *, exclusive: bool) -> float:
    """Mean recall over the classes that occur (`exclusive`: one class a record), else the mean
    over classes of (recall + specificity) / 2, over those with positives and negatives.

    Brodersen et al., "The balanced accuracy and its posterior distribution", 2010. What QoQ-Med
    reports under the name is (TP + TN) / all, which true negatives of rare classes lift to 1.
    """
    if exclusive:
        return float(mean_defined(found.recall))
    return float(mean_defined((found.recall + found.specificity) / 2))


def ratio(part: Floats, whole: Floats) -> Floats:
    """part / whole, NaN where whole is 0."""
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def mean_defined(values: Floats, axis: int = -1) -> Floats:
    """Mean along an axis of what is not NaN; NaN where nothing is defined."""
    known = ~np.isnan(values)
    count = known.sum(axis=axis).astype(np.float64)
    return ratio(np.where(known, values, 0.0).sum(axis=axis), count)
