"""State: what is saved, what is refused, and how ranks are merged."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qoqdata.errors import UsageError
from qoqtrain import DRPO

PRIORS = {"a": 1000, "b": {"n_records": 50, "success_rate": 0.3, "n_questions": 40}}


def batch(seed: int, questions: int = 30, names: str = "ab") -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        "rewards": rng.integers(0, 11, questions * 4) / 10,
        "questions": np.repeat(np.arange(questions), 4),
        "domains": np.repeat(rng.choice(list(names), questions), 4),
    }


def trained(seeds: tuple[int, ...] = (1, 2), **changes: Any) -> DRPO:
    drpo = DRPO.from_stats(None, priors=PRIORS, **changes)
    for seed in seeds:
        drpo.step(**batch(seed))
    return drpo


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"half_life_questions": 7},
        {"kmeans": "exact1d", "history": "all"},
        {"preset": "authors_mirl", "kmeans": "global"},
        {"preset": "paper"},
    ],
)
def test_a_state_survives_json(changes: dict[str, Any]) -> None:
    drpo = trained(**changes)
    text = json.dumps(drpo.state_dict())
    resumed, rebuilt = trained(seeds=(), **changes), DRPO.from_state(json.loads(text))
    resumed.load_state_dict(json.loads(text))
    expected = drpo.step(**batch(9))
    for other in (resumed, rebuilt):
        step = other.step(**batch(9))
        assert np.array_equal(step.advantages, expected.advantages)
        assert step.report == expected.report
        assert other.checksum() == drpo.checksum()
    assert json.dumps(rebuilt.state_dict()) == json.dumps(drpo.state_dict())


def test_a_state_of_the_first_release_still_loads() -> None:
    """Written before success rates had their name; a checksum that holds the whole state."""
    state = json.loads((Path(__file__).parents[1] / "vectors" / "drpo_state.json").read_text())
    priors = {"a": 1000, "b": {"n_records": 50, "success_rate": 0.25, "n_questions": 40}}
    drpo = DRPO.from_stats(None, preset="streaming", priors=priors, bins=16, std_floor=0.0)
    drpo.load_state_dict(state)
    assert drpo.checksum() == "b3355479ff37f1eb2484b7137a0923b2553571c20aeec0fdee976efc9bc1c125"
    step = drpo.step([0.0, 1.0, 0.25, 0.75], [1, 1, 2, 2], ["a", "a", "b", "b"], update=False)
    assert step.factors[[0, 2]] == pytest.approx([250, 4.597479423868314], rel=1e-12)


def test_a_state_is_a_copy() -> None:
    drpo = trained()
    state, before = drpo.state_dict(), drpo.checksum()
    state["history"]["a"]["counts"][0] += 5
    assert drpo.checksum() == before


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"bins": 256}, "bins is 128 there and 256 here"),
        ({"alpha": 0.5}, "alpha is 1.0 there and 0.5 here"),
        ({"preset": "paper"}, "feature is 'mean' there and 'sorted' here"),
        ({"domain_key": "source"}, "domain_key is 'domain' there and 'source' here"),
    ],
)
def test_another_estimator_is_refused(other: dict[str, Any], message: str) -> None:
    drpo = trained(seeds=(), **other)
    before = drpo.checksum()
    with pytest.raises(UsageError, match=message):
        drpo.load_state_dict(trained().state_dict())
    assert drpo.checksum() == before


def test_equal_settings_written_differently_are_equal() -> None:
    a = DRPO.preset("streaming", alpha=1, reward_range=[0, 1], weight_clip=10)
    a.load_state_dict(DRPO.preset("streaming").state_dict())


def set_at(path: list[str], value: Any) -> Any:
    def change(state: dict[str, Any]) -> None:
        for key in path[:-1]:
            state = state[key]
        state[path[-1]] = value

    return change


@pytest.mark.parametrize(
    "damage",
    [
        set_at(["version"], 0),
        set_at(["version"], None),
        set_at(["settings"], {}),
        set_at(["settings"], None),
        set_at(["settings", "kmeans"], "magic"),
        set_at(["priors"], {}),
        set_at(["priors", "domains"], {"a": 3}),
        set_at(["history"], None),
        set_at(["history"], {"a": {}}),
        set_at(["history", "a", "counts"], [1.0]),
        set_at(["history", "a", "bins"], [600]),
        set_at(["history", "a", "bins"], "x"),
        set_at(["history", "a", "n_seen"], -1),
        set_at(["history", "a", "n_seen"], None),
        set_at(["history", "a", "retained"], 2.0),
        lambda state: state["history"]["a"]["counts"].__setitem__(0, -3.0),
        lambda state: state["history"]["a"]["counts"].__setitem__(0, float("nan")),
        lambda state: state["history"]["a"]["offsets"].__setitem__(0, 5.0),
        lambda state: state["history"]["a"]["bins"].__setitem__(0, -1),
        lambda state: state["history"]["a"]["bins"].reverse(),
        lambda state: state.pop("history"),
        lambda state: state.pop("domain_key"),
    ],
)
def test_a_damaged_state_is_refused_whole(damage: Any) -> None:
    state = copy.deepcopy(trained().state_dict())
    damage(state)
    drpo = trained(seeds=(5,))
    before = drpo.checksum()
    with pytest.raises(UsageError):
        drpo.load_state_dict(state)
    assert drpo.checksum() == before
    with pytest.raises(UsageError):
        DRPO.from_state(state)


@pytest.mark.parametrize("state", [None, [], 3, {}, "state"])
def test_what_is_no_state_is_refused(state: Any) -> None:
    with pytest.raises(UsageError, match="DRPO state"):
        DRPO.preset("streaming").load_state_dict(state)
    with pytest.raises(UsageError, match="DRPO state"):
        DRPO.from_state(state)


def test_a_damaged_vector_history_is_refused() -> None:
    drpo = trained(preset="authors_mirl", kmeans="global")
    state = drpo.state_dict()
    state["history"]["a"]["points"][0] = [0.1]
    with pytest.raises(UsageError, match="history is damaged"):
        drpo.load_state_dict(state)


def test_merging_ranks_in_any_order_gives_the_bits_of_one() -> None:
    alone = trained(seeds=(1, 2, 3, 4))
    ranks = [trained(seeds=(seed,)) for seed in (3, 1, 4, 2)]
    assert DRPO.merge(ranks).checksum() == alone.checksum()
    assert DRPO.merge([DRPO.merge(ranks[:2]), DRPO.merge(ranks[2:])]).checksum() == alone.checksum()


def test_merging_after_a_common_checkpoint_counts_it_once() -> None:
    base = trained(seeds=(1,))
    ranks = [DRPO.from_state(base.state_dict()) for _ in range(3)]
    for seed, rank in enumerate(ranks, start=5):
        rank.step(**batch(seed))
    alone = trained(seeds=(1, 5, 6, 7))
    assert DRPO.merge(ranks, base=base).checksum() == alone.checksum()
    assert DRPO.merge(ranks).checksum() != alone.checksum()


def test_merging_vectors_equals_the_union() -> None:
    changes: dict[str, Any] = {"kmeans": "exact1d", "history": "all"}
    base = trained(seeds=(1,), **changes)
    ranks = [DRPO.from_state(base.state_dict()) for _ in range(2)]
    for seed, rank in enumerate(ranks, start=5):
        rank.step(**batch(seed))
    merged = DRPO.merge(ranks, base=base).step(**batch(9))
    alone = trained(seeds=(1, 5, 6), **changes).step(**batch(9))
    np.testing.assert_allclose(merged.advantages, alone.advantages, rtol=1e-12)


def test_merging_needs_equal_settings_and_no_decay() -> None:
    with pytest.raises(UsageError, match="no estimators"):
        DRPO.merge([])
    with pytest.raises(UsageError, match="alpha"):
        DRPO.merge([trained(), trained(alpha=0.5)])
    with pytest.raises(UsageError, match="decayed states cannot be merged"):
        DRPO.merge([trained(half_life_questions=9), trained(half_life_questions=9)])


def test_the_estimators_merged_are_left_alone() -> None:
    ranks = [trained(seeds=(1,)), trained(seeds=(2,))]
    before = [rank.checksum() for rank in ranks]
    DRPO.merge(ranks).step(**batch(3))
    assert [rank.checksum() for rank in ranks] == before


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.integers(1, 59))
@settings(max_examples=40)
def test_any_cut_of_any_means_sums_to_the_same_bits(means: list[float], cut: int) -> None:
    def seen(part: list[float]) -> DRPO:
        drpo = DRPO.preset("streaming")
        if part:
            drpo.step(np.repeat(part, 1), np.arange(len(part)), ["a"] * len(part))
        return drpo

    whole = seen(means)
    assert DRPO.merge([seen(means[cut:]), seen(means[:cut])]).checksum() == whole.checksum()
    assert seen(means[::-1]).checksum() == whole.checksum()
