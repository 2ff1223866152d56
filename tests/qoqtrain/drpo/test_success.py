"""Success apart from the reward: annotated regions must not move the weight of a domain."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from qoqdata.errors import UsageError
from qoqdata.statistics import difficulty as difficulty_table
from qoqdata.statistics import tables
from qoqdata.statistics.tables import Stats
from qoqtrain import DRPO
from qoqtrain.rewards import score, success

OPTIONS = ["Melanoma", "Nevus", "Keratosis"]
REGION = {"label": "lesion", "image": 0, "x_min": 10, "y_min": 10, "x_max": 50, "y_max": 50}
QUESTIONS, ROLLOUTS = 12, 4


def response(right: bool, boxed: bool) -> str:
    box = '```json\n[{"bbox_2d": [2, 2, 30, 30], "label": "Melanoma"}]\n```\n' if boxed else ""
    return f"<think>seen</think>\n{box}\\boxed{{{'Melanoma' if right else 'Nevus'}}}"


def rollouts(seed: int) -> tuple[list[str], list[str], list[str]]:
    """Responses, question ids and domains: half of each domain's answers are right."""
    rng = np.random.default_rng(seed)
    texts, ids, domains = [], [], []
    for domain in ("derm", "xray"):
        for question in range(QUESTIONS):
            for right in rng.permutation([True, True, False, False])[:ROLLOUTS]:
                texts.append(response(bool(right), bool(rng.random() < 0.5)))
                ids.append(f"{domain}-{question}")
                domains.append(domain)
    return texts, ids, domains


def scored(texts: list[str], domains: list[str], *, annotated: set[str]) -> list[dict[str, Any]]:
    """Scores of the same answers, where only the `annotated` domains have region truth."""
    plain = {"answer": "Melanoma", "options": OPTIONS}
    truth = {**plain, "regions": [REGION], "stored_sizes": [(99, 99)]}
    return score(texts, [truth if domain in annotated else plain for domain in domains])


COVERAGES: list[set[str]] = [set(), {"derm"}, {"xray"}, {"derm", "xray"}]


def written_statistics(folder: Path, scores: list[dict[str, Any]], ids: list[str]) -> Stats:
    """The statistics of two domains of 12 records, with the difficulty of these rollouts."""
    path = folder / "rollouts.jsonl"
    rows = zip(ids, success(scores).tolist(), strict=True)
    path.write_text("\n".join(json.dumps({"id": name, "reward": reward}) for name, reward in rows))
    table = difficulty_table.from_rollouts(path, policy="base", scorer="answer")
    names = sorted(set(ids))
    kept = pl.DataFrame(
        {
            "id": names,
            "source": [name.split("-")[0] for name in names],
            "domain": [name.split("-")[0] for name in names],
            "split": ["train"] * len(names),
            "patient": names,
            "study": names,
            "kind": ["single"] * len(names),
            "task": ["diagnosis"] * len(names),
            "answer": ["Melanoma"] * len(names),
            "options": [OPTIONS] * len(names),
            "labels": [["Melanoma"]] * len(names),
            "uncertain": [[]] * len(names),
            "absent": [[]] * len(names),
            "n_images": [1] * len(names),
        },
        schema_overrides=dict.fromkeys(("uncertain", "absent"), pl.List(pl.String)),
    )
    found = tables.compute(kept, table)
    return Stats(
        found["domains"], found["sources"], found["labels"], found["clusters"], digest="written"
    )


def test_starting_weights_do_not_depend_on_annotation(tmp_path: Path) -> None:
    texts, ids, domains = rollouts(0)
    weights = []
    for coverage in COVERAGES:
        scores = scored(texts, domains, annotated=coverage)
        stats = written_statistics(tmp_path, scores, ids)
        assert stats.domains["success_rate"].to_list() == [0.5, 0.5]
        weights.append(DRPO.from_stats(stats, "domain").weights())
    assert all(rows == weights[0] for rows in weights)
    # Equal counts and equal answers: equal weights, however many regions are drawn.
    assert [row["weight"] for row in weights[0]] == pytest.approx([1.0, 1.0], abs=1e-12)


def test_steps_do_not_depend_on_annotation() -> None:
    texts, ids, domains = rollouts(1)
    factors, states = [], []
    for coverage in COVERAGES:
        scores = scored(texts, domains, annotated=coverage)
        drpo = DRPO.preset("streaming", bounds=None)
        rewards = [row["overall"] for row in scores]
        step = drpo.step(rewards, ids, domains, success=success(scores))
        factors.append(step.factors)
        states.append(drpo.checksum())
        assert step.report["domains"]["derm"]["success_rate"] == pytest.approx(0.5, abs=1e-12)
    assert len(set(states)) == 1
    for other in factors[1:]:
        np.testing.assert_array_equal(other, factors[0])


def test_the_reward_itself_would_move_the_weights() -> None:
    """What `success` is there to prevent: region truth lowers the mean reward of a domain."""
    texts, ids, domains = rollouts(1)
    means = []
    for coverage in (set(), {"derm"}):
        scores = scored(texts, domains, annotated=coverage)
        step = DRPO.preset("streaming").step([row["overall"] for row in scores], ids, domains)
        means.append(step.report["domains"]["derm"]["success_rate"])
    assert abs(means[0] - means[1]) > 0.05


def test_advantages_are_of_the_reward_and_clusters_of_the_success() -> None:
    # Two questions: equal answers, unequal rewards. By the reward the second would be harder.
    rewards = [0.9, 0.7, 0.5, 0.3, 0.5, 0.3, 0.1, 0.0]
    answers = [1.0, 1.0, 0.0, 0.0] * 2
    ids, domains = ["a"] * 4 + ["b"] * 4, ["derm"] * 8
    drpo = DRPO.preset("streaming", bounds=None, batch_norm="none")
    step = drpo.step(rewards, ids, domains, success=answers)
    assert step.report["domains"]["derm"]["k"] == 1
    assert step.report["domains"]["derm"]["cluster_success_rates"] == [0.5]
    assert np.unique(step.factors).size == 1
    first = np.array(rewards[:4])
    grpo = (first - first.mean()) / (first.std(ddof=1) + drpo.settings.eps)
    ratio = step.advantages[:4] / grpo
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-12)
    alone = DRPO.preset("streaming", bounds=None).step(rewards, ids, domains)
    assert alone.report["domains"]["derm"]["k"] == 2


@pytest.mark.parametrize("preset", ["streaming", "paper"])
def test_a_reward_on_the_unit_scale_is_its_own_success(preset: str) -> None:
    rng = np.random.default_rng(3)
    rewards, ids = rng.random(40), np.repeat(np.arange(8), 5)
    domains = np.repeat(["a", "b"], 20)
    plain = DRPO.preset(preset).step(rewards, ids, domains)
    same = DRPO.preset(preset).step(rewards, ids, domains, success=rewards)
    np.testing.assert_array_equal(plain.advantages, same.advantages)


@pytest.mark.parametrize("preset", ["streaming", "paper"])
def test_the_order_of_rollouts_does_not_matter(preset: str) -> None:
    rng = np.random.default_rng(4)
    columns = {
        "rewards": rng.choice([0.2, 0.5, 0.8], 40),
        "success": rng.choice([0.0, 0.5, 1.0], 40),
        "questions": np.repeat(np.arange(8), 5),
        "domains": np.repeat(["a", "b"], 20),
    }
    order = rng.permutation(40)
    step = DRPO.preset(preset).step(**columns)
    moved = DRPO.preset(preset).step(**{name: column[order] for name, column in columns.items()})
    np.testing.assert_array_equal(step.advantages[order], moved.advantages)


@pytest.mark.parametrize(
    ("success", "message"),
    [
        ([0.5, 0.5], "has shape"),
        ([0.5, 0.5, 1.5], "rollout 2 has success 1.5, not in"),
        ([0.5, float("nan"), 0.5], "rollout 1 has a value that is not finite"),
        (["x", 0.5, 0.5], "not a number"),
    ],
)
def test_impossible_success_is_refused(success: list[Any], message: str) -> None:
    drpo = DRPO.preset("streaming")
    before = drpo.checksum()
    with pytest.raises(UsageError, match=message):
        drpo.step([0.1, 0.2, 0.3], [1, 1, 1], ["a"] * 3, success=success)
    assert drpo.checksum() == before
