"""Tasks whose held-out labels a probe that was fitted to train tells far worse than those of train:
labels are wrong in one of the two, or the images of the two are strangers.

Agreement is compared label by label, so that a split whose labels are spread otherwise is not told
for that: what is expected of it is how well each of its labels is told in train, on patients that
the probe has not seen.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import norm

from qoqdata.statistics.probe.table import Probed

#: A row a source, task and later split: `agreement` is the share of its answers that the probe
#: gives too, of tasks with several labels the share of labels of which it says what the answer
#: says; `expected` is what it would be if each label were told as in train; `p` how likely chance
#: brings it so far below.
HELD_OUT = {
    "source": pl.String,
    "task": pl.String,
    "split": pl.String,
    "questions": pl.Int64,
    "agreement": pl.Float64,
    "expected": pl.Float64,
    "p": pl.Float64,
}
#: Of each label in train at least so many questions, or nothing is expected of it.
_LEAST = 10


def held_out_agreement(train: Probed, later: Probed) -> tuple[Any, ...] | None:
    """A row of HELD_OUT; None where no label of the split is known from train."""
    strata, hits = _agreement(train)
    own_strata, own_hits = _agreement(later, train)
    count = max(int(strata.max(initial=0)), int(own_strata.max(initial=0))) + 1
    asked = np.bincount(strata, minlength=count)
    rate = (np.bincount(strata, hits, count) + 1) / (asked + 2)
    known = asked[own_strata] >= _LEAST
    if not known.any():
        return None
    own_strata, own_hits = own_strata[known], own_hits[known]
    own = np.bincount(own_strata, minlength=count)
    expected = float((own * rate).sum() / own.sum())
    # Both the split and the rates of train are samples. Labels of one question hang together.
    together = 1 if train.single else len(train.options)
    variance = together * float(
        (own * rate * (1 - rate) * (1 + own / np.maximum(asked, 1))).sum() / own.sum() ** 2
    )
    agreement = float(own_hits.mean())
    p = float(norm.sf((expected - agreement) / max(variance, 1e-12) ** 0.5))
    first = later.questions.row(0, named=True)
    named = (first["source"], first["task"], first["split"])
    return (*named, later.questions.height, agreement, expected, p)


def _agreement(
    probed: Probed, train: Probed | None = None
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Of each answer, or of each label of each answer, which label and state it is, and whether the
    probe says the same. A label counts as seen where its score is above its share in train."""
    if probed.single:
        right = probed.present.argmax(axis=1)
        return right, probed.scores.argmax(axis=1) == right
    seen = probed.scores > (train or probed).present.mean(axis=0)
    strata = np.arange(probed.present.shape[1]) * 2 + probed.present
    return strata.ravel(), (seen == probed.present).ravel()
