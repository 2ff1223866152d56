"""What those score who see no image: of quantities, and of choices among options of one's own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from qoqdata.statistics.probe.features import Features, of_text
from qoqdata.statistics.probe.ridge import fit
from qoqdata.statistics.probe.table import fold_of


def score_quantities(
    features: Features,
    values: NDArray[np.float64],
    tolerances: NDArray[np.float64],
    groups: Sequence[str],
) -> NDArray[np.float64] | None:
    """1 for each of n quantities that is guessed within its tolerance, else 0; None where all are
    of one fold.

    A guess is of a fit of `features` (n, features) to the other folds, or their median where the
    features of all are the same.
    """
    folds = np.array([fold_of(group) for group in groups])
    if len(np.unique(folds)) < 2:
        return None
    guesses = np.empty(len(values))
    for fold in np.unique(folds):
        out = folds == fold
        if np.ptp(features, axis=0).any():
            fitted = fit(features[~out], values[~out, None])
            guesses[out] = fitted(features[out])[:, 0]
        else:
            guesses[out] = np.median(values[~out])
    return (np.abs(guesses - values) <= tolerances).astype(np.float64)


def score_choices(
    options: Sequence[Sequence[str]], answers: Sequence[str], groups: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """1 for each question that is answered right, else 0, of one who always takes the place that is
    right most often, and of one who goes by the words and the length of the options; both learn
    from the other folds. None where all are of one fold."""
    folds = np.array([fold_of(group) for group in groups])
    if len(np.unique(folds)) < 2:
        return None
    right = np.array([own.index(one) for own, one in zip(options, answers, strict=True)])
    question = np.repeat(np.arange(len(options)), [len(own) for own in options])
    place = np.concatenate([np.arange(len(own)) for own in options])
    is_right = place == right[question]
    words = np.stack([_of_option(text) for own in options for text in own])
    constant, text = np.zeros(len(options)), np.zeros(len(options))
    for fold in np.unique(folds):
        out = folds == fold
        constant[out] = right[out] == np.bincount(right[~out]).argmax()
        asked = out[question]
        said = fit(words[~asked], is_right[~asked, None].astype(np.float64))(words[asked])[:, 0]
        for number in np.flatnonzero(out):
            text[number] = said[question[asked] == number].argmax() == right[number]
    return constant, text


def _of_option(text: str) -> Features:
    return np.append(of_text(text), np.float32(np.log1p(len(text))))
