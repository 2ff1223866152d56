"""The `authors_*` presets against reference vectors of the published code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qoqtrain import DRPO
from qoqtrain.drpo.advantage import rollout_damping

PUBLISHED = {"authors_qoq_med": "drpo_qoq_med", "authors_mirl": "drpo_mirl"}

# Its second step meets the published stale lookup of a repeated id, which no preset copies.
STALE = ("repeated_question_ids", 1)


@pytest.fixture(scope="module")
def vectors() -> dict[str, Any]:
    """Inputs and outputs of the functions that the authors published."""
    path = Path(__file__).parents[1] / "vectors" / "drpo.json"
    return json.loads(path.read_text())


def floats(values: list[Any]) -> np.ndarray:
    return np.array([float(value) for value in values])


def steps_of(vectors: dict[str, Any], preset: str, **settings: Any) -> Any:
    """(name, step number, reference step, our step) for every step of every scenario."""
    for scenario in vectors["scenarios"]:
        drpo = DRPO.preset(preset, **settings)
        for number, step in enumerate(scenario["steps"]):
            inputs = step["inputs"]
            ours = drpo.step(
                rewards=inputs["reward"],
                questions=inputs["question_id"],
                domains=inputs["domain"],
            )
            yield scenario["name"], number, step, ours


def assert_published(name: str, step: dict[str, Any], expected: dict[str, Any], ours: Any) -> None:
    np.testing.assert_allclose(ours.factors, floats(expected["factor"]), rtol=1e-4, err_msg=name)
    for domain, statistics in expected["domains"].items():
        if statistics["in_batch"]:
            row = ours.report["domains"][domain]
            assert row["weighted_success_rate"] == pytest.approx(statistics["mu_d"], abs=1e-5), name
            assert row["N"] == statistics["N_d"], name
            assert row["k"] == statistics["k"], name
            assert row["temperature"] == pytest.approx(statistics["T_d"], rel=1e-4), name
            assert sorted(row["cluster_counts"]) == sorted(statistics["cluster_counts"]), name
    noisy = np.isin(step["inputs"]["question_id"], step["float32_noise_questions"])
    tolerance = 1e-2 if noisy.any() else 2e-3 if name == "tiny_differences" else 1e-3
    advantages = floats(expected["advantage"])
    np.testing.assert_allclose(
        ours.advantages[~noisy], advantages[~noisy], atol=tolerance, err_msg=name
    )
    assert (ours.advantages[noisy] == 0).all(), name


@pytest.fixture(scope="module")
def with_their_kmeans(vectors: dict[str, Any]) -> dict[str, list[Any]]:
    """All steps of both presets with scikit-learn's k-means, which takes most of the time."""
    pytest.importorskip("sklearn")
    threads = pytest.importorskip("threadpoolctl")
    with threads.threadpool_limits(1):
        return {preset: list(steps_of(vectors, preset)) for preset in PUBLISHED}


@pytest.mark.parametrize("preset", PUBLISHED)
def test_every_finite_step_with_the_authors_kmeans(
    with_their_kmeans: dict[str, list[Any]], preset: str
) -> None:
    checked = 0
    for name, number, step, ours in with_their_kmeans[preset]:
        expected = step["expected"][PUBLISHED[preset]]
        if expected["all_finite"] and (name, number) != STALE:
            assert_published(name, step, expected, ours)
            checked += 1
    assert checked >= 37


@pytest.mark.parametrize("preset", PUBLISHED)
def test_every_portable_step_with_any_right_kmeans(vectors: dict[str, Any], preset: str) -> None:
    checked = 0
    for name, number, step, ours in steps_of(vectors, preset, kmeans="global"):
        expected = step["expected"][PUBLISHED[preset]]
        if expected["portable"] and expected["all_finite"] and (name, number) != STALE:
            assert_published(name, step, expected, ours)
            checked += 1
    assert checked >= 22


def test_the_unguarded_code_loses_the_whole_batch_where_the_vectors_do(
    with_their_kmeans: dict[str, list[Any]],
) -> None:
    lost = 0
    for _, _, step, ours in with_their_kmeans["authors_qoq_med"]:
        if not step["expected"]["drpo_qoq_med"]["all_finite"]:
            assert np.isnan(ours.advantages).all()
            assert ours.report["n_not_finite"] == len(ours.advantages)
            lost += 1
    assert lost == 3


def test_grpo_scores(vectors: dict[str, Any]) -> None:
    for name, _, step, ours in steps_of(vectors, "grpo", reward_range=(-1.0, 1.0)):
        noisy = np.isin(step["inputs"]["question_id"], step["float32_noise_questions"])
        expected = floats(step["expected"]["grpo"]["advantage"])
        np.testing.assert_allclose(
            ours.advantages[~noisy], expected[~noisy], atol=1e-3, err_msg=name
        )
        assert (ours.advantages[noisy] == 0).all()


def test_streaming_is_finite_and_ordered_alike_on_every_scenario(vectors: dict[str, Any]) -> None:
    for name, _, step, ours in steps_of(vectors, "streaming", reward_range=(-1.0, 1.0)):
        assert np.isfinite(ours.advantages).all(), name
        grpo = floats(step["expected"]["grpo"]["advantage"])
        noisy = np.isin(step["inputs"]["question_id"], step["float32_noise_questions"])
        clear = ~noisy & (np.abs(grpo) > 1e-3)
        assert (np.sign(ours.advantages[clear]) == np.sign(grpo[clear])).all(), name


def test_the_damping_that_the_code_has_commented_out(vectors: dict[str, Any]) -> None:
    for case in vectors["loss_extras"]["kl_damping_commented_out"]:
        scores, expected = np.array(case["scores"]), case["expected"]
        damping = rollout_damping(
            scores, np.array(expected["kl_rollout"]), quantile=case["kl_q"], eps=1e-6
        )
        np.testing.assert_allclose(damping, expected["m"], rtol=1e-5)
        np.testing.assert_allclose(damping * scores, expected["damped"], rtol=1e-5)


def test_means_and_raw_vectors_rank_questions_alike() -> None:
    """Streaming clusters means, the published code vectors: one order, other numbers."""
    rng = np.random.default_rng(11)
    domain = rng.choice(4, 320, p=[0.5, 0.25, 0.15, 0.1])
    mean = np.clip(np.array([0.7, 0.5, 0.3, 0.6])[domain] + rng.normal(0, 0.2, 320), 0.05, 0.95)
    rewards = 0.6 * (rng.random((320, 5)) < mean[:, None]) + 0.4 * mean[:, None] * rng.random(
        (320, 5)
    )
    columns = (rewards.ravel(), np.repeat(np.arange(320), 5), np.repeat(domain, 5))
    theirs = DRPO.preset("authors_qoq_med", kmeans="global").step(*columns)
    ours = DRPO.preset("streaming", rarity="seen", bounds=None).step(*columns)
    logs = np.log(theirs.factors[::5]), np.log(ours.factors[::5])
    assert np.corrcoef(*logs)[0, 1] >= 0.6
    by_domain = [[log[domain == d].mean() for d in range(4)] for log in logs]
    assert np.argsort(by_domain[0]).tolist() == np.argsort(by_domain[1]).tolist()
    np.testing.assert_allclose(by_domain[0], by_domain[1], atol=0.6)
