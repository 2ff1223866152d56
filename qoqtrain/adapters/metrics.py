"""The health report of a step under flat names, as the loggers of training engines want it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Lists of domains whose length is worth a curve.
COUNTED = ("unseen_domains", "no_difficulty_prior")


def metrics_of(report: Mapping[str, Any], prefix: str = "drpo") -> dict[str, float]:
    """`Step.report` as numbers: drpo/ess, drpo/n_unseen_domains, drpo/domains/ct/squared_mass.

    Numbers that do not exist (None), text and the lists of single clusters are left out.
    """
    flat: dict[str, float] = {}
    for name, value in report.items():
        if isinstance(value, Mapping):
            flat |= metrics_of(value, f"{prefix}/{name}")
        elif name in COUNTED:
            flat[f"{prefix}/n_{name}"] = float(len(value))
        elif isinstance(value, int | float):
            flat[f"{prefix}/{name}"] = float(value)
    return flat
