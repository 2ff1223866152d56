"""DISCO and MedGRPO by hand, from what their papers and code say."""

from __future__ import annotations

import math

import numpy as np
import pytest

from qoqdata.errors import UsageError
from qoqtrain import DRPO
from qoqtrain.drpo.published_scaling import domain_factors
from qoqtrain.drpo.settings import settings_of

#: Three quarters of the data are of one domain; the other three share the rest.
SIZES = {"math": 9000, "arc": 1000, "imdb": 1000, "nq": 1000}


def test_domain_factors_are_those_in_the_authors_code() -> None:
    drpo = DRPO.from_stats(None, preset="disco", priors=SIZES)
    factors = domain_factors(SIZES, {}, drpo.priors)
    assert [round(factors[name], 3) for name in SIZES] == [0.847, 2.565, 2.565, 2.565]


def test_disco_scales_rewards_before_their_mean_is_taken() -> None:
    rewards, questions = [1, 0, 0, 0, 1, 1, 1, 0], [1] * 4 + [2] * 4
    domains = ["nq"] * 4 + ["math"] * 4
    step = DRPO.from_stats(None, preset="disco", priors=SIZES).step(rewards, questions, domains)
    by_hand = []
    for group, share in (([1, 0, 0, 0], 1 / 12), ([1, 1, 1, 0], 3 / 4)):
        mean = sum(group) / 4
        scaled = [r * math.log(1 + 1 / share) / (mean + 1e-5) for r in group]
        by_hand += [r - sum(scaled) / 4 for r in scaled]
    assert step.advantages == pytest.approx(by_hand, rel=1e-12)
    assert step.report["domains"]["nq"]["weight"] > step.report["domains"]["math"]["weight"]


def test_a_question_that_nobody_answers_has_no_advantage() -> None:
    drpo = DRPO.from_stats(None, preset="disco", priors=SIZES)
    step = drpo.step([0, 0, 0, 1], [1, 1, 2, 2], ["nq", "nq", "arc", "arc"])
    assert step.advantages[:2].tolist() == [0.0, 0.0] and np.isfinite(step.advantages).all()


def test_starting_weights_of_disco() -> None:
    priors = {
        name: {"n_records": n, "success_rate": rate, "n_questions": 50}
        for (name, n), rate in zip(SIZES.items(), (0.8, 0.4, 0.2, None), strict=True)
        if rate is not None
    } | {"nq": 1000}
    rows = {
        row["domain"]: row for row in DRPO.from_stats(None, preset="disco", priors=priors).weights()
    }
    # The same rarity, half the success rate: twice the weight, but for the floor.
    assert rows["imdb"]["weight"] / rows["arc"]["weight"] == pytest.approx(2, rel=1e-4)
    assert rows["arc"]["weight"] / rows["math"]["weight"] == pytest.approx(
        2 * math.log(13) / math.log(1 + 4 / 3), rel=1e-4
    )
    assert rows["nq"]["rarity_factor"] == pytest.approx(rows["arc"]["rarity_factor"])
    for row in rows.values():
        assert row["rarity_factor"] * row["difficulty_factor"] == pytest.approx(row["weight"])


def test_medgrpo_maps_the_median_to_a_half_and_scales_by_the_quartiles() -> None:
    histogram = [(0.1, 25, 0.0), (0.3, 25, 0.0), (0.5, 30, 0.0), (0.9, 20, 0.0)]
    priors = {
        "a": {"n_records": 100, "success_rate": 0.43, "n_questions": 100, "histogram": histogram}
    }
    drpo = DRPO.from_stats(None, preset="medgrpo", priors=priors)
    rewards = np.array([0.3, 0.5, 0.1])
    step = drpo.step(rewards, [1, 1, 1], ["a"] * 3)
    # Quartiles 0.1, 0.3, 0.5.
    mapped = 1 / (1 + np.exp(-3 * (rewards - 0.3) / 0.4))
    assert mapped[0] == 0.5
    by_hand = (mapped - mapped.mean()) / (mapped.std(ddof=1) + 1e-6)
    assert step.advantages == pytest.approx(by_hand, rel=1e-12)
    # Difficulty is still the success itself.
    assert step.report["domains"]["a"]["N"] == 100


def test_equal_quartiles_divide_by_a_bin_and_unknown_domains_are_refused() -> None:
    priors = {
        "a": {"n_records": 9, "success_rate": 0.0, "n_questions": 9, "histogram": [(0.0, 9, 0)]}
    }
    drpo = DRPO.from_stats(None, preset="medgrpo", priors=priors)
    step = drpo.step([0.0, 1.0], [1, 1], ["a", "a"])
    assert np.isfinite(step.advantages).all() and step.advantages[1] > 0
    with pytest.raises(UsageError, match="'b' has no success rates"):
        drpo.step([0.0, 1.0], [1, 1], ["b", "b"])
    for wrong in ({"reward_range": (-1, 1)}, {"group": "gdpo"}):
        with pytest.raises(UsageError, match="normalise"):
            settings_of("medgrpo", **wrong)
    with pytest.raises(UsageError, match="weighting"):
        settings_of("disco", weight_clip=10)
