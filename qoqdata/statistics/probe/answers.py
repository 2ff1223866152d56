"""Answers of a cross-validated probe, each by a fit that has not seen the question's patient."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from qoqdata.statistics.probe.ridge import fit

FOLDS = 5


def fold_of(group: str) -> int:
    """The fold, 0 to FOLDS - 1, that a patient or study belongs to, by its hash."""
    return int.from_bytes(hashlib.sha256(group.encode()).digest()[:8], "big") % FOLDS


def out_of_fold(
    features: NDArray[np.floating], present: NDArray[np.bool_], groups: Sequence[str]
) -> NDArray[np.float64] | None:
    """Scores (n, options) of each question from a fit on the other folds, 1 for present, 0 for not.

    `features` (n, features), `present` (n, options) the right answers. None where all questions
    are of one fold, so that there is nothing to learn from.
    """
    folds = np.array([fold_of(group) for group in groups])
    held = np.unique(folds)
    if len(held) < 2:
        return None
    scores = np.empty(present.shape)
    for fold in held:
        out = folds == fold
        scores[out] = fit(features[~out], present[~out].astype(np.float64))(features[out])
    return scores


def rewards(scores: NDArray[np.float64], present: NDArray[np.bool_], *, single: bool) -> NDArray:
    """Label F1 of the answers, float64 (n,): the likeliest option where a `single` one is asked,
    else all above one half, and the likeliest if none is."""
    likeliest = np.zeros_like(present)
    likeliest[np.arange(len(scores)), scores.argmax(axis=1)] = True
    answered = likeliest if single else likeliest | (scores > 0.5)
    hits = (answered & present).sum(axis=1)
    return 2 * hits / (answered.sum(axis=1) + present.sum(axis=1))
