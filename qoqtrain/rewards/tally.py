"""What a batch of scores says as a whole: coverage, counts of statuses, comparable rewards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qoqtrain.rewards.scheme import PARTS

Scores = Sequence[Mapping[str, Any]]


def tally(scores: Scores) -> dict[str, dict[str, Any]]:
    """Part -> mean over the scored responses (None without any), coverage and count of each status.

    Coverage is the share of responses with truth for the part. Nothing is left out: the counts of
    a part add up to the number of responses.
    """
    parts: dict[str, dict[str, Any]] = {}
    for part in PARTS:
        values = [score[part] for score in scores if score[part] is not None]
        counts = Counter(score["status"][part] for score in scores)
        parts[part] = {
            "mean": sum(values) / len(values) if values else None,
            "coverage": len(values) / len(scores) if scores else None,
            "statuses": dict(sorted(counts.items())),
        }
    return parts


def columns(scores: Scores, parts: Sequence[str] = PARTS) -> NDArray[np.float64]:
    """(B, P) values of the parts, NaN where the truth is missing: for per-part normalisation."""
    return np.array(
        [[np.nan if score[part] is None else score[part] for part in parts] for score in scores],
        np.float64,
    ).reshape(len(scores), len(parts))


def difficulty(scores: Scores) -> NDArray[np.float64]:
    """(B,) answer part, NaN without truth: what difficulty and domain weights are taken from.

    `overall` is no measure of difficulty across sources: how many records of a domain have
    annotated regions would move its mean, and with it the weight of the domain.
    """
    return columns(scores, ["answer"])[:, 0]
