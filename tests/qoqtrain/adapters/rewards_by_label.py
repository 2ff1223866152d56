"""Rewards of toy rollouts that depend on labels alone."""

from __future__ import annotations

import hashlib
from typing import Any


def share(*labels: Any) -> float:
    """A number in {0, .1, ... 1} that depends on the labels and on nothing else."""
    return hashlib.sha256(repr(labels).encode()).digest()[0] % 11 / 10
