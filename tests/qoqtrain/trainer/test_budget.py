"""One budget of attention: the mix takes what it may, the weights supply the rest, once."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

import qoqtrain
from qoqtrain import DRPO
from qoqtrain.drpo.priors import drawn
from qoqtrain.trainer.plan.budget import attention, mix_of, target_of
from qoqtrain.trainer.plan.settings import read_settings

PRIORS = {"ct": 9_000, "mri": 900, "us": 100}


def settings(**values: Any) -> Any:
    return read_settings(values={"data": "d", "model": "m", **values})


def test_the_target_counts_studies_and_no_questions() -> None:
    """Two studies of a, of which one is asked about three times, and one of b."""
    records = pl.DataFrame(
        {"domain": ["a", "a", "a", "a", "b"], "study": ["1", "1", "1", "2", "3"]}
    )
    assert target_of(records, "domain", 1.0) == pytest.approx({"a": 2 / 3, "b": 1 / 3})
    assert target_of(records, "domain", 0.0) == {"a": 0.5, "b": 0.5}
    # A study of two domains is half of each.
    shared = pl.DataFrame({"domain": ["a", "b", "b"], "study": ["1", "1", "2"]})
    assert target_of(shared, "domain", 1.0) == pytest.approx({"a": 0.25, "b": 0.75})


@pytest.mark.parametrize(
    "sampled",
    [
        {"ct": 0.9, "mri": 0.09, "us": 0.01},
        {"ct": 0.45, "mri": 0.45, "us": 0.10},
        {"ct": 1 / 3, "mri": 1 / 3, "us": 1 / 3},
    ],
)
@pytest.mark.parametrize(
    "target", [{"ct": 1 / 3, "mri": 1 / 3, "us": 1 / 3}, {"ct": 0.6, "mri": 0.3, "us": 0.1}]
)
def test_draws_times_weight_is_the_target_whatever_the_sampler_does(
    sampled: dict[str, float], target: dict[str, float]
) -> None:
    drpo = DRPO.from_stats(None, preset="budget", priors=PRIORS, bounds=None)
    rows = attention(target, sampled, drpo.drawn(sampled, target).weights())
    assert {row.domain: row.product for row in rows} == pytest.approx(target)
    # Counts of the data would correct a second time what a sampler has corrected.
    twice = attention(target, sampled, DRPO.from_stats(None, priors=PRIORS, bounds=None).weights())
    right = {row.domain: row.product for row in twice} == pytest.approx(target)
    assert right == (sampled["ct"] == 0.9 and target["ct"] == 1 / 3)


def test_equal_targets_make_n_the_domain_s_draws() -> None:
    priors = DRPO.from_stats(None, priors=PRIORS).priors
    third = dict.fromkeys(PRIORS, 1 / 3)
    after = drawn(priors, {"ct": 0.5, "mri": 0.3, "us": 0.2}, third)
    assert [after.domains[name].n_draws for name in PRIORS] == pytest.approx([5000, 3000, 2000])
    assert after.digest != priors.digest


def test_difficulty_still_weighs_within_the_budget() -> None:
    priors = {
        "easy": {"n_records": 100, "success_rate": 0.9, "n_questions": 50},
        "hard": {"n_records": 100, "success_rate": 0.3, "n_questions": 50},
    }
    half = {"easy": 0.5, "hard": 0.5}
    rows = DRPO.from_stats(None, preset="budget", priors=priors).drawn(half, half).weights()
    # One cluster each: 1 / mu^2, so (0.9 / 0.3)^2 = 9 times the weight.
    assert rows[1]["weight"] / rows[0]["weight"] == pytest.approx(9, rel=1e-3)
    for row in rows:
        assert row["rarity_factor"] * row["difficulty_factor"] == pytest.approx(row["weight"])
        assert row["rarity_factor"] == pytest.approx(1.0)


def test_a_few_failures_do_not_make_an_easy_domain_hard() -> None:
    """Success 0.91 in two clusters: the published mean over clusters, 1 / N_c each, is near 0."""
    priors = {
        "easy": {
            "n_records": 100,
            "success_rate": 0.91,
            "n_questions": 100,
            "histogram": [(0.0, 9, 0.0), (1.0, 91, 0.0)],
        },
        "middle": {"n_records": 100, "success_rate": 0.5, "n_questions": 100},
    }
    half = dict.fromkeys(priors, 0.5)
    published = DRPO.from_stats(None, preset="streaming", priors=priors).weights()
    ours = DRPO.from_stats(None, preset="budget", priors=priors).drawn(half, half).weights()
    assert published[0]["weighted_success_rate"] == pytest.approx(0.09)
    assert published[0]["weight"] > published[1]["weight"]
    assert ours[0]["weighted_success_rate"] == pytest.approx(0.91)
    assert ours[0]["weight"] < ours[1]["weight"]


def test_the_mix_is_the_budget_s_unless_one_is_set() -> None:
    mix = mix_of(settings())
    assert mix is not None and (mix.by, mix.weights) == ("domain/label", "target")
    assert (mix.exponents, mix.max_repeats) == ((0.0, 0.5), 10.0)
    own = mix_of(settings(mix={"by": "source", "weights": "uniform"}))
    assert own is not None and own.by == "source"
    for preset in ("grpo", "paper", "streaming", "authors_mirl"):
        assert mix_of(settings(drpo={"preset": preset})) is None
    assert mix_of(settings(stage="sft")) is None


def test_weights_are_those_that_a_run_starts_with(small: dict[str, Any]) -> None:
    del small["mix"]
    planned = qoqtrain.dry_run(small | {"ecg": "auto"}).weights
    assert qoqtrain.weights(small["data"]) == planned
    assert all(row["measured_by"] == "prior-label-entropy" for row in planned)
    for column in ("weight", "weight_bounded"):
        total = sum(row["n"] for row in planned)
        assert sum(row["n"] * row[column] for row in planned) == pytest.approx(total)
    # Counts of the data, which the mix has corrected already, are another table.
    assert qoqtrain.weights(small["data"], preset="streaming") != planned


def test_the_dry_run_shows_target_draws_weight_and_product(small: dict[str, Any]) -> None:
    del small["mix"]
    planned = qoqtrain.dry_run(small)
    rows = planned.attention
    assert len(rows) == len(planned.weights) > 3
    for name in ("target", "sampled", "product"):
        assert sum(getattr(row, name) for row in rows) == pytest.approx(1.0)
    # Without difficulty, draws times weight is the target, as far as the bounds allow.
    small["drpo"] = {"settings": {"strength": 0.0, "bounds": None}}
    rows = qoqtrain.dry_run(small).attention
    np.testing.assert_allclose(
        [row.product for row in rows], [row.target for row in rows], rtol=1e-6
    )
