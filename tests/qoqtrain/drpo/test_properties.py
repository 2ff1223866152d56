"""Properties that hold for any rewards in [0, 1], any groups and any domains."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qoqtrain import DRPO

PRIORS = {
    "a": 1_300_000,
    "b": {"n_records": 400, "success_rate": 0.25, "n_questions": 64},
    "c": {
        "n_records": 9_000,
        "success_rate": 0.75,
        "histogram": [(0.5, 10, 0.001), (1.0, 10, 0.0)],
    },
}

# Differences below this lose digits to the end of the float64 range.
UNDERFLOW = 1e-290

reward = st.one_of(
    st.floats(0, 1, allow_subnormal=True),
    st.sampled_from([0.0, 1.0, 0.5, 1e-300, 1 - 2**-53, 0.1 + 0.2, 0.3]),
)
question = st.tuples(
    st.sampled_from(["a", "b", "c", "new"]), st.lists(reward, min_size=1, max_size=6)
)
questions = st.lists(question, min_size=1, max_size=14)
presets = st.sampled_from(
    [
        ("streaming", {}),
        ("streaming", {"bounds": None}),
        ("streaming", {"bounds": (3.0, 0.3), "half_life_questions": 5}),
        ("streaming", {"mu_domain": "mean", "strength": 0}),
        ("streaming", {"kmeans": "exact1d", "history": "all"}),
        ("paper", {}),
    ]
)


def columns(groups: list[tuple[str, list[float]]]) -> dict[str, Any]:
    sizes = [len(group) for _, group in groups]
    return {
        "rewards": np.concatenate([group for _, group in groups]),
        "questions": np.repeat([f"q{i}" for i in range(len(groups))], sizes),
        "domains": np.repeat([domain for domain, _ in groups], sizes),
    }


def build(preset: str, changes: dict[str, Any], priors: dict[str, Any] | None = None) -> DRPO:
    return DRPO.from_stats(None, preset=preset, priors=priors or PRIORS, **changes)


@given(presets, st.lists(questions, min_size=1, max_size=3))
@settings(max_examples=40)
def test_finite_centred_and_of_the_right_sign(
    preset: tuple[str, dict[str, Any]], steps: list[list[tuple[str, list[float]]]]
) -> None:
    drpo = build(*preset)
    for groups in steps:
        batch = columns(groups)
        step = drpo.step(**batch)
        assert np.isfinite(step.advantages).all()
        assert np.isfinite(step.factors).all()
        assert (step.factors > 0).all()
        largest = np.abs(step.advantages).max() or 1.0
        for i, (_, group) in enumerate(groups):
            mine = batch["questions"] == f"q{i}"
            advantage = step.advantages[mine]
            assert np.unique(step.factors[mine]).size == 1
            if min(group) == max(group):
                assert (advantage == 0).all()
                continue
            assert abs(advantage.sum()) <= 1e-12 * largest + UNDERFLOW
            exact = [Fraction(r) - sum(map(Fraction, group)) / len(group) for r in group]
            spread = max(group) - min(group)
            clear = np.array([abs(gap) > 1e-15 * spread + UNDERFLOW for gap in exact])
            assert (np.sign(advantage) == [np.sign(float(gap)) for gap in exact])[clear].all()


@given(presets, questions, st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_any_order_of_rows_and_any_ids_give_the_same_bits(
    preset: tuple[str, dict[str, Any]], groups: list[tuple[str, list[float]]], random: Any
) -> None:
    batch = columns(groups)
    order = np.array(random.sample(range(len(batch["rewards"])), len(batch["rewards"])))
    names = {f"q{i}": f"{random.random()}-{i}" for i in range(len(groups))}
    first, second = build(*preset), build(*preset)
    for _ in range(2):
        a = first.step(**batch)
        b = second.step(
            rewards=batch["rewards"][order],
            questions=[names[str(q)] for q in batch["questions"][order]],
            domains=batch["domains"][order].tolist(),
        )
        assert np.array_equal(a.advantages[order], b.advantages)
        assert np.array_equal(a.factors[order], b.factors)
        assert a.report == b.report
    assert first.checksum() == second.checksum()


@given(questions, st.integers(2, 10_000))
@settings(max_examples=40)
def test_a_common_factor_of_all_counts_does_not_matter(
    groups: list[tuple[str, list[float]]], factor: int
) -> None:
    """Rewards in thousandths: below 1e-8 the floor eps of the temperatures takes over."""
    counts = {"a": 2_000_000, "b": 3_000, "c": 50_000}
    scaled = {domain: n * factor for domain, n in counts.items()}
    batch = columns([(domain, [round(r, 3) for r in group]) for domain, group in groups])
    a = build("streaming", {"bounds": None}, counts).step(**batch)
    b = build("streaming", {"bounds": None}, scaled).step(**batch)
    np.testing.assert_allclose(a.advantages, b.advantages, rtol=1e-7, atol=1e-12)


@given(questions, questions)
@settings(max_examples=40)
def test_an_absent_domain_does_not_matter(
    groups: list[tuple[str, list[float]]], absent: list[tuple[str, list[float]]]
) -> None:
    batch = columns([(domain if domain != "new" else "a", group) for domain, group in groups])
    plain = build("streaming", {})
    crowded = build("streaming", {}, {**PRIORS, "elsewhere": 77, "nowhere": {"success_rate": 0.1}})
    crowded.step(**columns([("elsewhere", group) for _, group in absent]))
    for _ in range(2):
        a, b = plain.step(**batch), crowded.step(**batch)
        assert np.array_equal(a.advantages, b.advantages)
        assert np.array_equal(a.factors, b.factors)


@given(questions, questions, st.integers(1, 5))
@settings(max_examples=40)
def test_merged_ranks_equal_the_union(
    first: list[tuple[str, list[float]]], second: list[tuple[str, list[float]]], ranks: int
) -> None:
    union = build("streaming", {})
    union.step(**columns(first))
    base = DRPO.from_state(union.state_dict())
    union.step(**columns(second))
    parts = []
    for rank in range(ranks):
        part = DRPO.from_state(base.state_dict())
        if mine := second[rank::ranks]:
            part.step(**columns(mine))
        parts.append(part)
    assert DRPO.merge(parts, base=base).checksum() == union.checksum()


@given(presets, st.lists(questions, min_size=2, max_size=4), st.integers(1, 3))
@settings(max_examples=40)
def test_resumed_equals_unbroken(
    preset: tuple[str, dict[str, Any]],
    steps: list[list[tuple[str, list[float]]]],
    at: int,
) -> None:
    unbroken = build(*preset)
    for groups in steps[: at % len(steps)]:
        unbroken.step(**columns(groups))
    resumed = build(*preset)
    resumed.load_state_dict(unbroken.state_dict())
    for groups in steps[at % len(steps) :]:
        a, b = unbroken.step(**columns(groups)), resumed.step(**columns(groups))
        assert np.array_equal(a.advantages, b.advantages)
        assert a.report == b.report
    assert unbroken.checksum() == resumed.checksum()


@given(questions)
@settings(max_examples=40)
def test_an_affine_map_of_rewards_and_range_changes_nothing(
    groups: list[tuple[str, list[float]]],
) -> None:
    """Rewards in eighths, mapped to [-4, 4] without rounding; eps scales with the std."""
    eighths = [(domain, [round(r * 8) / 8 for r in group]) for domain, group in groups]
    batch = columns(eighths)
    wide = {**batch, "rewards": batch["rewards"] * 8 - 4}
    a = build("streaming", {"bounds": None}).step(**batch)
    b = build("streaming", {"bounds": None, "reward_range": (-4, 4)}).step(**wide)
    np.testing.assert_allclose(a.factors, b.factors, rtol=1e-12)
    np.testing.assert_allclose(a.advantages, b.advantages, rtol=1e-4)


@given(questions)
@settings(max_examples=40)
def test_bounds_hold(groups: list[tuple[str, list[float]]]) -> None:
    batch = columns(groups)
    step = build("streaming", {"bounds": (4.0, 0.2)}).step(**batch)
    factors = step.factors
    assert factors.max() / factors.min() <= 16 * (1 + 1e-9)
    report = step.report
    if report["ess"] is not None:
        assert report["ess"] >= min(0.2, report["ess_unweighted"] / 2) * (1 - 1e-9)
        assert report["ess_floor_met"] == (report["ess"] >= 0.2)


def test_evaluation_leaves_no_trace() -> None:
    batch = columns([("a", [0.1, 0.9]), ("b", [0.2, 0.3, 0.9])])
    drpo = build("streaming", {})
    before = drpo.checksum()
    evaluation = drpo.step(**batch, update=False)
    assert drpo.checksum() == before
    assert np.array_equal(evaluation.advantages, drpo.step(**batch).advantages)
    assert drpo.checksum() != before


def test_invalid_rows_are_padding() -> None:
    batch = columns([("a", [0.1, 0.9, 0.4]), ("b", [0.2, 0.3, 0.9])])
    padded = {
        "rewards": [0.7, *batch["rewards"], float("nan")],
        "questions": ["pad", *batch["questions"], "q0"],
        "domains": [None, *batch["domains"], "a"],
        "valid": [False, *[True] * 6, False],
    }
    plain, with_padding = build("streaming", {}), build("streaming", {})
    a, b = plain.step(**batch), with_padding.step(**padded)
    assert np.array_equal(a.advantages, b.advantages[1:7])
    assert b.advantages[[0, 7]].tolist() == [0, 0]
    assert np.isnan(b.factors[[0, 7]]).all()
    assert plain.checksum() == with_padding.checksum()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rewards": [0.1, 0.9, float("nan")]}, "rollout 2 has a value that is not finite"),
        ({"rewards": [0.1, 0.9, 1.1]}, "rollout 2 has reward 1.1"),
        ({"rewards": [0.1, 0.9]}, r"has shape \(3,\) for 2 rewards"),
        ({"rewards": ["x", 0.9, 0.1]}, "not a number"),
        ({"rewards": []}, "has shape"),
        ({"rewards": [[[0.1]], [[0.2]], [[0.3]]]}, r"pass \(B,\) or \(B, parts\)"),
        ({"rewards": [[0.1, 0.9], [0.2, 0.9], [0.3, 0.1]]}, "rollout 1 has reward 1.1"),
        ({"domains": ["a", "b", "a"]}, "two domains"),
        ({"domains": ["a", "a"]}, "domains"),
        ({"questions": [1.0, 1.0, 1.0]}, "rollout 0 has no label"),
        ({"questions": ["", "", ""]}, "has no label"),
        ({"kl": [0.1, float("inf"), 0.2]}, "kl"),
        ({"valid": [False] * 3}, "no valid rollout"),
    ],
)
def test_unusable_input_is_refused_and_not_remembered(change: dict[str, Any], message: str) -> None:
    drpo = build("streaming", {})
    before = drpo.checksum()
    good = {"rewards": [0.1, 0.9, 0.5], "questions": [1, 1, 1], "domains": ["a", "a", "a"]}
    with pytest.raises(Exception, match=message) as caught:
        drpo.step(**{**good, **change})
    assert type(caught.value).__name__ == "UsageError"
    assert drpo.checksum() == before


def test_rounding_beyond_the_range_is_the_bound() -> None:
    above = np.float32(0.5) + np.float32(0.3) + np.float32(0.1) + np.float32(0.1)
    drpo = build("streaming", {})
    step = drpo.step([float(above) + 1e-7, 1.0, 0.2], [1, 1, 1], ["a"] * 3)
    assert step.advantages[0] == step.advantages[1] > 0
