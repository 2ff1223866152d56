"""Faults of the published DRPO: each shown on its formula, each absent from `streaming`.

The published side runs as a preset with the seedless k-means, which is right on these small
cases, or is spelled out where the fault lies outside the formula.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np
import pytest

from benchmarks.drpo.climb import SIZES as CLIMB
from qoqdata.errors import UsageError
from qoqtrain import DRPO
from qoqtrain.drpo import Step


def published(name: str = "authors_qoq_med", **settings: Any) -> DRPO:
    return DRPO.preset(name, kmeans="global", **settings)


def columns(groups: dict[str, list[list[float]]]) -> dict[str, Any]:
    """Rewards, questions and domains of `groups`, domain -> rewards of each question."""
    rewards, questions, domains = [], [], []
    for domain, of_domain in groups.items():
        for number, group in enumerate(of_domain):
            rewards += group
            questions += [f"{domain}{number}"] * len(group)
            domains += [domain] * len(group)
    return {"rewards": rewards, "questions": questions, "domains": domains}


def climb_batch(rng: np.random.Generator, questions: int = 512) -> dict[str, Any]:
    """Five rollouts of each question, sources in proportion to their records."""
    names, sizes = np.array(list(CLIMB)), np.array(list(CLIMB.values()), dtype=float)
    success_rate = np.random.default_rng(7).beta(2, 2, names.size)
    source = rng.choice(names.size, questions, p=sizes / sizes.sum())
    mean = np.clip(success_rate[source] + rng.normal(0, 0.2, questions), 0.02, 0.98)[:, None]
    right = rng.random((questions, 5)) < mean
    rewards = (
        0.5 * right + 0.3 * mean * rng.random((questions, 5)) + 0.2 * rng.random((questions, 5))
    )
    return {
        "rewards": rewards.ravel(),
        "questions": np.repeat(np.arange(questions), 5),
        "domains": np.repeat(names[source], 5),
    }


def effective_share(advantages: np.ndarray) -> float:
    squares = advantages**2
    return float(squares.sum() ** 2 / (advantages.size * (squares**2).sum()))


def test_d1_one_zero_cluster_poisons_the_batch() -> None:
    batch = columns(
        {"A": [[0, 0, 0, 0], [0.5, 0.5, 0, 1], [0.2, 0.4, 0.6, 0.9]], "B": [[0.1, 0.9, 0.4, 0.3]]}
    )
    assert np.isnan(published().step(**batch).advantages).all()

    step = DRPO.preset("streaming").step(**batch)
    assert np.isfinite(step.advantages).all()
    assert (step.advantages[:4] == 0).all()
    assert (step.advantages[4:].reshape(-1, 4).std(axis=1) > 0.1).all()
    assert step.report["n_not_finite"] == 0


def test_d2_the_guard_mixes_scales() -> None:
    """A cluster with mean exactly 0 and spread keeps its z unscaled among z / factor."""
    groups = {
        "A": [[-0.5, 0.5, -0.5, 0.5]],
        "B": [[0.1, 0.2, 0.15, 0.3]] * 6 + [[0.8, 0.9, 0.7, 0.6]] * 6,
    }
    batch = columns(groups)
    guarded = published("authors_mirl").step(**batch)
    bare = np.abs(guarded.advantages[:4])
    # Unscaled: what is left of z after the batch std alone.
    assert guarded.factors[0] == 0
    z = 0.8660251  # 0.5 / (0.5774 + 1e-6)
    assert bare == pytest.approx(z / (guarded.report["batch_std"] + 1e-6), rel=1e-4)

    plain = {"reward_range": (-1, 1), "std_floor": 0.0, "bounds": None}
    step = DRPO.preset("streaming", **plain).step(**batch)
    z_all = DRPO.preset("grpo", reward_range=(-1, 1)).step(**batch).advantages
    scale = step.advantages * step.factors / z_all
    assert scale == pytest.approx(scale[0], rel=1e-9)


def test_d3_negative_rewards_flip_the_sign() -> None:
    batch = columns(
        {"A": [[-1, -0.5, -0.8, -1, -0.2]], "B": [[0.2, 0.9, 0.5, 0.4, 0.1], [0.3, 0.1, 0.7, 1, 0]]}
    )
    rewards = np.array(batch["rewards"])
    better = rewards - np.repeat(rewards.reshape(-1, 5).mean(axis=1), 5)
    flipped = published().step(**batch)
    assert (np.sign(flipped.advantages[:5]) == -np.sign(better[:5])).all()
    assert flipped.factors[0] < 0

    step = DRPO.preset("streaming", reward_range=(-1, 1)).step(**batch)
    assert (np.sign(step.advantages) == np.sign(better)).all()
    assert (step.factors > 0).all()
    with pytest.raises(UsageError, match=r"rollout 0 has reward -1, not in \[0, 1\]"):
        DRPO.preset("streaming").step(**batch)


def test_d4_a_few_rollouts_carry_the_update() -> None:
    rng = np.random.default_rng(0)
    theirs, ours = published("authors_mirl"), DRPO.from_stats(None, "source", priors=CLIMB)
    for _ in range(4):
        batch = climb_batch(rng)
        poor, step = theirs.step(**batch), ours.step(**batch)
    assert effective_share(poor.advantages) < 0.02
    assert np.abs(poor.advantages).max() > 15
    assert poor.report["domains"]["RSPECT"]["squared_mass"] < 0.01

    assert effective_share(step.advantages) >= 0.1
    assert step.report["ess"] == pytest.approx(effective_share(step.advantages), rel=1e-12)
    assert np.abs(step.advantages).max() < 12
    assert step.factors.max() / step.factors.min() <= 100 * (1 + 1e-9)
    assert step.report["domains"]["RSPECT"]["squared_mass"] > 0.01
    # Rare domains still weigh more than under GRPO, whose squared mass follows the rollouts.
    common = step.report["domains"]["RSPECT"]
    assert common["squared_mass"] < 0.8 * common["n_rollouts"] / 2560


def test_d5_memory_does_not_grow_with_history() -> None:
    rng = np.random.default_rng(1)
    theirs, ours = published("authors_mirl", k_max=1), DRPO.preset("streaming")
    sizes = []
    for _ in range(2):
        for _ in range(5):
            batch = climb_batch(rng, 400)
            theirs.step(**batch)
            ours.step(**batch)
        history = ours.state_dict()["history"]
        sizes.append(sum(len(domain["counts"]) for domain in history.values()))
        assert all(len(domain["counts"]) <= 128 for domain in history.values())
    assert sizes[1] < 1.5 * sizes[0]
    vectors = theirs.state_dict()["history"]
    assert sum(len(domain["points"]) for domain in vectors.values()) == 4000
    assert sum(domain["n_seen"] for domain in history.values()) == 4000


def test_d6_the_order_of_rollouts_changes_the_clusters() -> None:
    rng = np.random.default_rng(3)
    rewards = (rng.random((24, 5)) < 0.4) * 0.5 + 0.1
    shuffled = rng.permuted(rewards, axis=1)
    questions = np.repeat(np.arange(24), 5)
    domains = np.repeat(["A", "B"], 60)
    first = published().step(rewards.ravel(), questions, domains)
    again = published().step(shuffled.ravel(), questions, domains)
    ratio = again.factors[::5] / first.factors[::5]
    assert np.maximum(ratio, 1 / ratio).max() > 1.2

    first = DRPO.preset("streaming").step(rewards.ravel(), questions, domains)
    again = DRPO.preset("streaming").step(shuffled.ravel(), questions, domains)
    assert np.array_equal(first.factors, again.factors)
    for q in range(24):
        span = slice(5 * q, 5 * q + 5)
        assert np.array_equal(np.sort(first.advantages[span]), np.sort(again.advantages[span]))


def test_d8_rarity_is_what_the_sampler_showed() -> None:
    """A balanced sampler hides from the published counts that one domain is 100 times rarer."""
    rng = np.random.default_rng(4)
    questions = np.repeat(np.arange(40), 5)
    domains = np.repeat(["common", "rare"] * 20, 5)
    rewards = rng.permuted(np.tile([0.1, 0.3, 0.5, 0.7, 0.9], (40, 1)), axis=1).ravel()
    theirs = published("authors_mirl", feature="sorted").step(rewards, questions, domains)
    assert theirs.factors[domains == "common"][0] == pytest.approx(
        theirs.factors[domains == "rare"][0]
    )
    ours = DRPO.from_stats(None, priors={"common": 100_000, "rare": 1_000}, bounds=None)
    step = ours.step(rewards, questions, domains)
    weight = 1 / step.factors
    assert weight[domains == "rare"][0] / weight[domains == "common"][0] == pytest.approx(100)


def test_d9_state_is_lost_on_resume_and_shared_in_the_process() -> None:
    rng = np.random.default_rng(5)
    batches = [climb_batch(rng, 100) for _ in range(6)]

    # Published: the history lives in the module, so a new process starts from nothing.
    unbroken = published("authors_mirl")
    for batch in batches[:-1]:
        unbroken.step(**batch)
    expected = unbroken.step(**batches[-1])
    restarted = published("authors_mirl").step(**batches[-1])
    assert not np.allclose(expected.advantages, restarted.advantages, rtol=0.05)

    unbroken = DRPO.from_stats(None, "source", priors=CLIMB)
    for batch in batches[:-1]:
        unbroken.step(**batch)
    saved = json.loads(json.dumps(unbroken.state_dict()))
    neighbour = DRPO.from_stats(None, "source", priors=CLIMB)
    neighbour.step(**batches[0])
    resumed = DRPO.from_stats(None, "source", priors=CLIMB)
    resumed.load_state_dict(saved)
    expected, step = unbroken.step(**batches[-1]), resumed.step(**batches[-1])
    assert np.array_equal(expected.advantages, step.advantages)
    assert unbroken.checksum() == resumed.checksum() != neighbour.checksum()


def test_d10_old_rewards_weigh_as_much_as_new_ones() -> None:
    """A policy that went from 0.1 to 0.9: without decay the rate lags, with it it follows."""
    low = columns({"A": [[0, 0.1, 0.2]] * 300})
    high = columns({"A": [[0.8, 0.9, 1.0]] * 300})
    rates = {}
    for half_life in (None, 50):
        drpo = DRPO.preset("streaming", half_life_questions=half_life)
        drpo.step(**low)
        rates[half_life] = drpo.step(**high).report["domains"]["A"]["success_rate"]
    assert rates[None] == pytest.approx(0.5)
    # 300 questions are six half-lives: the old ones keep 1/64 of their weight.
    assert rates[50] == pytest.approx((0.9 + 0.1 / 64) / (1 + 1 / 64), abs=1e-9)


def test_d11_a_repeated_question_gets_its_old_cluster() -> None:
    """The published lookup: position of the id in the list of all ids, the first one found."""
    hard, easy = [0.0, 0.0, 0.1, 0.1], [0.9, 0.9, 1.0, 1.0]
    other = [[0.0, 0.1, 0.0, 0.1]] * 4 + [[1.0, 0.9, 1.0, 0.9]] * 4
    history_ids = ["q", *[f"o{i}" for i in range(8)], "q"]
    history = np.array([hard, *other, easy])
    labels = (history.mean(axis=1) > 0.5).astype(int)  # two plain clusters, hard and easy
    assert labels[history_ids.index("q")] == 0  # stale: the question is easy by now
    assert labels[-1] == 1

    drpo = DRPO.preset("streaming", bounds=None)
    first = drpo.step(**columns({"A": [hard, *other]}))
    second = drpo.step(**columns({"A": [easy, [0.0, 0.1, 0.0, 0.1]]}))
    assert first.factors[0] < first.factors[-1]
    assert second.factors[0] > second.factors[-1]


def test_d12_equal_rewards_score_noise() -> None:
    reward = np.full(10, 0.97, dtype=np.float32)
    mean = reward.sum(dtype=np.float32) / np.float32(10)
    noise = np.abs(reward - mean) / (reward.std(ddof=1) + np.float32(1e-6))
    assert noise.max() > 0.01  # the published score of ten equal rewards

    batch = {
        "rewards": np.concatenate([reward, np.linspace(0, 1, 10, dtype=np.float32)]),
        "questions": [0] * 10 + [1] * 10,
        "domains": ["A"] * 20,
    }
    step = DRPO.preset("streaming").step(**batch)
    assert (step.advantages[:10] == 0).all()
    assert step.report["n_degenerate_groups"] == 1


def test_d12_crumbs_are_stretched_to_unit_variance() -> None:
    """Groups that differ by 1e-4 get the score of groups that differ by 1, unless floored."""
    batch = columns({"A": [[0.5, 0.5001, 0.5, 0.5001], [0, 1, 0, 1]]})
    theirs = published().step(**batch)
    z = theirs.advantages * theirs.factors
    assert np.abs(z[:4]) == pytest.approx(np.abs(z[4:]), rel=0.05)

    step = DRPO.preset("streaming", std_floor=0.05, bounds=None).step(**batch)
    z = step.advantages * step.factors
    assert np.abs(z[:4]).max() < 0.01 * np.abs(z[4:]).max()
    assert (np.sign(z) == [-1, 1] * 4).all()


def test_d13_ragged_single_and_unnamed() -> None:
    ragged = columns({"A": [[0.1, 0.9], [0.2, 0.4, 0.9], [0.5]]})
    with pytest.raises(UsageError, match="different numbers of rollouts"):
        published().step(**ragged)
    step = DRPO.preset("streaming").step(**ragged)
    assert np.isfinite(step.advantages).all()
    assert step.advantages[-1] == 0
    assert step.report["n_groups_of_one"] == 1
    for span in (slice(0, 2), slice(2, 5)):
        assert step.advantages[span].sum() == pytest.approx(0, abs=1e-12)

    numbered = {**ragged, "domains": [7] * 6}
    assert DRPO.preset("streaming").step(**numbered).report["unseen_domains"] == ["7"]
    with pytest.raises(UsageError, match="rollout 2 has no label"):
        DRPO.preset("streaming").step(**{**ragged, "domains": ["A", "A", None, "A", "A", "A"]})
    with pytest.raises(UsageError, match="no record count for new"):
        DRPO.from_stats(None, priors={"A": 10}, strict_domains=True).step(
            **{**ragged, "domains": ["new"] * 6}
        )


def test_d14_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    step = DRPO.preset("streaming").step(**columns({"A": [[0.1, 0.9]], "B": [[0.5, 0.6]]}))
    assert capsys.readouterr() == ("", "")
    assert json.loads(json.dumps(step.report)) == step.report


def test_the_batch_std_swallows_the_update_as_counts_grow() -> None:
    """Published: eps is added to the std of z / factor, and factors grow with the history."""
    batch = columns({"A": [[0.0, 1.0], [0.25, 0.75]], "B": [[0.1, 0.8], [0.4, 0.6]]})
    theirs, ours = published("authors_mirl", k_max=1), DRPO.preset("streaming")
    spread: list[Counter[str]] = []
    for repeat in (1, 20_000):
        many = {
            "rewards": batch["rewards"] * repeat,
            "questions": np.repeat(np.arange(4 * repeat), 2),
            "domains": batch["domains"] * repeat,
        }
        stds: Counter[str] = Counter()
        for name, drpo in (("theirs", theirs), ("ours", ours)):
            step: Step = drpo.step(**many)
            stds[name] = step.advantages.std(ddof=1)
        spread.append(stds)
    assert spread[1]["theirs"] < 0.99  # after 40,000 questions a domain; 0.75 at a million
    assert spread[1]["ours"] == pytest.approx(1, abs=1e-5)
