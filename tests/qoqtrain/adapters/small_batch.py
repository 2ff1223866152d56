"""An estimator that has met one small batch in two domains, one of them without a record count."""

from __future__ import annotations

from typing import Any

from qoqtrain import DRPO

BATCH = {
    "rewards": [0.0, 1.0, 0.4, 0.5, 0.25, 0.75],
    "questions": [0, 0, 1, 1, 2, 2],
    "domains": ["ct", "ct", "ct", "ct", "fundus", "fundus"],
}


def stepped(**changes: Any) -> DRPO:
    drpo = DRPO.from_stats(None, priors={"ct": 90}, **changes)
    drpo.step(**BATCH)
    return drpo
