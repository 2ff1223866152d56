"""GRPO, Dr. GRPO, RLOO and GDPO on the path of DRPO, the paper's preset, and KL damping."""

from __future__ import annotations

import numpy as np
import pytest

from qoqdata.errors import UsageError
from qoqtrain import DRPO
from qoqtrain.drpo.advantage import question_damping, rollout_damping

REWARDS = np.array([0.1, 0.5, 0.9, 0.2, 0.2, 0.8, 0.4])
QUESTIONS = ["x", "x", "x", "y", "y", "y", "z"]
DOMAINS = ["A", "A", "A", "B", "B", "B", "B"]
X, Y = slice(0, 3), slice(3, 6)


def test_grpo_by_hand() -> None:
    step = DRPO.preset("grpo").step(REWARDS, QUESTIONS, DOMAINS)
    assert step.advantages[X] == pytest.approx([-1, 0, 1], abs=1e-5)  # std 0.4
    assert step.advantages[Y] == pytest.approx(np.array([-1, -1, 2]) / np.sqrt(3), abs=1e-5)
    assert step.advantages[6] == 0
    assert (step.factors == 1).all()


def test_dr_grpo_by_hand() -> None:
    step = DRPO.preset("dr_grpo").step(REWARDS, QUESTIONS, DOMAINS)
    assert step.advantages == pytest.approx([-0.4, 0, 0.4, -0.2, -0.2, 0.4, 0], abs=1e-12)


def test_rloo_by_hand() -> None:
    step = DRPO.preset("rloo").step(REWARDS, QUESTIONS, DOMAINS)
    assert step.advantages == pytest.approx([-0.6, 0, 0.6, -0.3, -0.3, 0.6, 0], abs=1e-12)


def test_gdpo_by_hand() -> None:
    """Two parts that GRPO cannot tell apart: (0, 1) and (1, 0) have the same sum."""
    parts = np.array([[0, 1.0], [1, 0], [0, 0], [1, 1]]) / 2
    columns = (["x"] * 4, ["A"] * 4)
    drpo = DRPO.preset("gdpo", part_weights=(0.75, 0.25))
    step = drpo.step(parts, *columns)
    # Each part is two low, two high: z = +-0.866; the batch std is sqrt(4/3 * 0.75 * 0.625).
    z = 0.75 * np.sqrt(0.75) * np.array([-1, 1, -1, 1]) + 0.25 * np.sqrt(0.75) * np.array(
        [1, -1, -1, 1]
    )
    assert step.advantages == pytest.approx(z / z.std(ddof=1), abs=1e-4)
    single = DRPO.preset("gdpo").step(REWARDS, QUESTIONS, DOMAINS).advantages
    plain = DRPO.preset("grpo", batch_norm="std").step(REWARDS, QUESTIONS, DOMAINS).advantages
    assert np.array_equal(single, plain)


def test_parts_without_gdpo_are_summed_first() -> None:
    parts = np.column_stack([REWARDS, 1 - REWARDS])
    weighted = DRPO.preset("grpo", part_weights=(0.75, 0.25)).step(parts, QUESTIONS, DOMAINS)
    plain = DRPO.preset("grpo").step(0.75 * REWARDS + 0.25 * (1 - REWARDS), QUESTIONS, DOMAINS)
    np.testing.assert_allclose(weighted.advantages, plain.advantages, atol=1e-9)
    with pytest.raises(UsageError, match="2 parts for 1 part_weights"):
        DRPO.preset("grpo", part_weights=(1.0,)).step(parts, QUESTIONS, DOMAINS)


def test_domain_weights_work_on_every_score() -> None:
    """Dr. GRPO scores under DRPO weights: A * factor is the score times the batch's scale."""
    parts = np.column_stack([REWARDS, REWARDS]) / 2
    for group in ("dr_grpo", "rloo", "gdpo"):
        drpo = DRPO.preset("streaming", group=group, bounds=None)
        step = drpo.step(parts, QUESTIONS, DOMAINS)
        scores = DRPO.preset(group, batch_norm="none").step(parts, QUESTIONS, DOMAINS).advantages
        apart = np.abs(scores) > 1e-9
        ratio = step.advantages[apart] * step.factors[apart] / scores[apart]
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-9)


def test_baselines_remember_for_the_report() -> None:
    drpo = DRPO.preset("grpo")
    drpo.step(REWARDS, QUESTIONS, DOMAINS)
    report = drpo.step(REWARDS, QUESTIONS, DOMAINS).report
    assert report["domains"]["A"]["cluster_counts"] == [2.0]
    assert report["alpha"] == 0


def test_the_paper_by_hand() -> None:
    """Two domains of one question each: N = 1, one cluster, factor = mu^2."""
    rewards = [0.2, 0.4, 0.6, 0.7, 0.8, 0.9]
    columns = (["x"] * 3 + ["y"] * 3, ["A"] * 3 + ["B"] * 3)
    step = DRPO.preset("paper").step(rewards, *columns)
    assert step.factors == pytest.approx([0.16] * 3 + [0.64] * 3)
    s = np.array([-1, 0, 1, -0.25, 0, 0.25])
    assert step.advantages == pytest.approx(s / s.std(ddof=1), abs=1e-4)
    assert step.report["kl_damping"]["state"] == "no kl was given"
    again = DRPO.preset("paper")
    again.step(rewards, *columns)
    assert np.array_equal(again.step(rewards, *columns).advantages, step.advantages)


def test_the_paper_compares_ragged_groups_as_distributions() -> None:
    rewards = [0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.4, 0.6, 0.5]
    questions = ["a"] * 2 + ["b"] * 4 + ["c"] * 3
    step = DRPO.preset("paper").step(rewards, questions, ["A"] * 9)
    # Half zeros and half ones, from two or from four rollouts, are the same distribution.
    assert step.factors[0] == step.factors[2]
    assert sum(step.report["domains"]["A"]["cluster_counts"]) == 3


def test_kl_damping_of_rollouts_by_hand() -> None:
    damping = rollout_damping(
        np.array([1.0, -2.0, 3.0, 0.0]), np.array([1.0, 1.0, 1.0, 5.0]), quantile=0.5, eps=1e-6
    )
    # u = 1, 2, 3, 0; the median is 1.5.
    assert damping == pytest.approx([1.5 / 2.5, 1.5 / 3.5, 1.5 / 4.5, 1.0])
    scaled = rollout_damping(
        np.array([10.0, -20.0, 30.0, 0.0]), np.array([1.0, 1.0, 1.0, 5.0]), quantile=0.5, eps=1e-6
    )
    assert scaled == pytest.approx(damping)


def test_kl_damping_of_questions_by_hand() -> None:
    damping = question_damping(
        np.array([1.0, -1.0, 2.0, -2.0]),
        np.array([0.5, 0.5, 1.0, 1.0]),
        np.array([2, 2]),
        quantile=0.5,
        eps=1e-6,
    )
    # k = 1 and 2; positive products 1 and 4, their median 2.5; negative scores are left alone.
    assert damping == pytest.approx([2.5 / 3.5, 1, 2.5 / 6.5, 1])


@pytest.mark.parametrize("kind", ["rollout_abs", "question_pos"])
def test_kl_damping_in_a_step(kind: str) -> None:
    kl = np.array([0.0, 0.0, 2.0, 0.0, 0.1, 0.3, 0.2])
    drpo = DRPO.preset("streaming", kl_damping=kind)
    plain = DRPO.preset("streaming").step(REWARDS, QUESTIONS, DOMAINS)
    damped = drpo.step(REWARDS, QUESTIONS, DOMAINS, kl=kl)
    assert (np.sign(damped.advantages) == np.sign(plain.advantages)).all()
    # The rollout far from the reference loses weight against the one that stayed.
    assert abs(damped.advantages[2] / damped.advantages[0]) < 0.99
    assert damped.report["kl_damping"]["state"] == kind
    assert 0 < damped.report["kl_damping"]["min"] < 1
    order = np.array([6, 3, 0, 5, 2, 4, 1])
    again = DRPO.preset("streaming", kl_damping=kind).step(
        REWARDS[order], [QUESTIONS[i] for i in order], [DOMAINS[i] for i in order], kl=kl[order]
    )
    assert np.array_equal(again.advantages, damped.advantages[order])
