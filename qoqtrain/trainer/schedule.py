"""The learning rate over the optimizer steps."""

from __future__ import annotations

import math

from qoqtrain.trainer.settings import Optimizer


def learning_rate(settings: Optimizer, step: int, steps: int) -> float:
    """Learning rate of optimizer step `step` (0-based) of `steps`.

    Warm-up is linear and reaches the full rate at its last step; then it is constant, or half a
    cosine that ends at `floor` times the rate.
    """
    if step < settings.warmup:
        return settings.learning_rate * (step + 1) / settings.warmup
    if settings.schedule == "constant":
        return settings.learning_rate
    done = min(1.0, (step - settings.warmup) / max(1, steps - settings.warmup))
    share = settings.floor + (1.0 - settings.floor) * (1.0 + math.cos(math.pi * done)) / 2.0
    return settings.learning_rate * share
