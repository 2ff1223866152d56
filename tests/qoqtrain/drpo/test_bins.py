"""Bins are a means to constant cost: how many there are must not show in the weights."""

from __future__ import annotations

import numpy as np
import pytest

from qoqtrain import DRPO


def history(seed: int, questions: int = 3000, rollouts: int = 5) -> dict[str, list]:
    """Questions of six domains of unlike size and success rate, with F1-like rewards."""
    rng = np.random.default_rng(seed)
    shares = np.array([0.6, 0.2, 0.1, 0.06, 0.03, 0.01])
    domains = rng.choice(6, questions, p=shares)
    success_rates = rng.beta(2 + domains, 8 - domains)
    rewards = rng.binomial(12, np.repeat(success_rates, rollouts)) / 12
    return {
        "rewards": rewards.tolist(),
        "questions": [f"q{n}" for n in range(questions) for _ in range(rollouts)],
        "domains": [f"d{d}" for d in np.repeat(domains, rollouts)],
    }


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_default_bins_give_the_weights_of_many(seed: int) -> None:
    factors = []
    for settings in ({}, {"bins": 4096}):
        drpo = DRPO.preset("streaming", rarity="seen", **settings)
        drpo.step(**history(seed))
        batch = history(seed + 100, questions=200)
        factors.append(drpo.step(**batch, update=False).factors)
    ratio = factors[0] / factors[1]
    # A question at the border of two clusters may fall on the other side.
    assert np.median(np.abs(ratio - 1)) < 0.01
    assert np.quantile(np.abs(ratio - 1), 0.95) < 0.05
