"""The comparison of GRPO and DRPO: what it counts, and that it is the same for every arm."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.stats import ttest_1samp, ttest_rel
from sklearn.metrics import f1_score

from benchmarks.drpo.climb import SIZES
from benchmarks.drpo_vs_grpo import (
    core_report,
    domains,
    evaluation,
    figures,
    headline,
    report,
    rollouts,
    sampling,
    supervised,
    sweep,
    training,
)
from benchmarks.drpo_vs_grpo.arms import ARMS, CELLS, CORE, FACTORIAL, MAIN, SCALED
from benchmarks.drpo_vs_grpo.core import core, worlds
from benchmarks.drpo_vs_grpo.domains import ANSWERS, DOMAINS, SETS, VOCABULARY, World
from benchmarks.drpo_vs_grpo.question_set import Questions, build, read, simulate, write_statistics
from benchmarks.drpo_vs_grpo.schedule import Choice, Schedule
from qoqdata.errors import UsageError

pytestmark = pytest.mark.slow

TINY = World(train=60, held=7)
SCHEDULE = Schedule(warm_up=2, batches=2, questions=24, parts=2, validate_every=1)


def questions(seed: int, count: int) -> Questions:
    """`count` questions of every domain, without a data set."""
    rng = np.random.default_rng(seed)
    drawn = [simulate(domain, count, 2.0, rng) for domain in DOMAINS]
    first = [VOCABULARY.index(ANSWERS[domain][0]) for domain in DOMAINS]
    return Questions(
        ids=np.arange(count * len(DOMAINS)).astype(str),
        images=np.concatenate([images for images, _ in drawn]),
        domains=np.repeat(np.arange(len(DOMAINS)), count),
        answers=np.concatenate([a + kinds for a, (_, kinds) in zip(first, drawn, strict=True)]),
    )


def test_every_set_of_climb_is_in_one_domain() -> None:
    assert sorted(name for names in SETS.values() for name in names) == sorted(SIZES)


def test_skew_is_an_exponent_on_the_shares() -> None:
    as_published = domains.shares(1.0)
    counts = [sum(SIZES[name] for name in SETS[domain]) for domain in DOMAINS]
    np.testing.assert_allclose(as_published, np.array(counts) / sum(SIZES.values()))
    np.testing.assert_allclose(domains.shares(0.0), 1 / 9)
    ratios = domains.shares(0.5) / np.sqrt(as_published)
    np.testing.assert_allclose(ratios, ratios[0])


@pytest.mark.parametrize("count", [7, 8, 30, 1000])
def test_class_counts_add_up_with_one_of_each(count: int) -> None:
    found = domains.class_counts("dermoscopy", count)
    assert found.sum() == count
    assert found.min() >= 1


def test_each_class_is_0_6_times_as_common_as_the_last() -> None:
    found = domains.class_counts("chest_xray", 100_000)
    np.testing.assert_allclose(found[1:] / found[:-1], 0.6, rtol=1e-3)


def test_macro_f1_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    held = questions(1, 40)
    answers = held.answers.copy()
    for place, domain in enumerate(DOMAINS):
        mine = np.flatnonzero(held.domains == place)
        first = VOCABULARY.index(ANSWERS[domain][0])
        answers[mine] = first + rng.integers(0, len(ANSWERS[domain]), mine.size)
    found = evaluation.figures(held.domains, held.answers, answers)
    for place, domain in enumerate(DOMAINS):
        mine = held.domains == place
        expected = f1_score(held.answers[mine], answers[mine], average="macro")
        assert found[domain]["f1"] == pytest.approx(expected)


def test_an_answer_of_another_domain_is_a_miss() -> None:
    held = questions(1, 8)
    found = evaluation.figures(held.domains, held.answers, np.roll(held.answers, 8))
    assert evaluation.mean_f1(found) == 0.0
    right = evaluation.figures(held.domains, held.answers, held.answers)
    assert evaluation.worst_f1(right) == 1.0


def test_the_reward_is_1_for_the_right_answer_alone() -> None:
    np.testing.assert_array_equal(rollouts.reward_table(), np.eye(len(VOCABULARY)))


def test_proportional_order_is_whole_epochs() -> None:
    train = questions(2, 8)
    schedule = Schedule(batches=6, questions=24)
    batches = sampling.order(train, schedule, "proportional", np.random.default_rng(0))
    seen = Counter(np.concatenate(list(batches)).tolist())
    assert set(seen) == set(range(72))
    assert set(seen.values()) == {2}


def test_balanced_order_repeats_a_domain_in_turn() -> None:
    train = questions(2, 8)
    schedule = Schedule(batches=50, questions=36)
    rows = np.concatenate(
        list(sampling.order(train, schedule, "balanced", np.random.default_rng(0)))
    )
    by_domain = np.bincount(train.domains[rows])
    assert by_domain.min() > 150  # 1800 draws of 9 domains, expected 200, std 13
    for place in range(len(DOMAINS)):
        times = np.bincount(rows[train.domains[rows] == place], minlength=72)
        held = times[train.domains == place]
        assert held.max() - held.min() <= 1


def test_a_run_is_repeatable_and_arms_differ() -> None:
    sets = {name: questions(seed, 9) for seed, name in enumerate(("train", "validation", "test"))}
    choice = Choice(1e-3, 0.1)
    start = supervised.warm_up(2.0, SCHEDULE.warm_up, 0, sets["train"])
    before = [weights.clone() for weights in start.policy.parameters()]

    def run(name: str) -> str:
        drpo = MAIN[name].estimator(None)  # type: ignore[arg-type]
        return json.dumps(
            training.train_arm(MAIN[name], drpo, start, sets, SCHEDULE, choice, seed=0)
        )

    assert run("grpo") == run("grpo")
    assert run("grpo") != run("cold")
    assert all((a == b).all() for a, b in zip(before, start.policy.parameters(), strict=True))


def test_the_set_is_built_by_the_library_and_loses_nothing(tmp_path: Path) -> None:
    out = build(TINY, tmp_path)
    sets = read(out)
    wanted = domains.train_counts(TINY)
    np.testing.assert_array_equal(np.bincount(sets["train"].domains), wanted)
    np.testing.assert_array_equal(np.bincount(sets["test"].domains), [7] * 9)
    files = sorted((out.parent / "raw" / "mri").glob("test-*.png"))
    written = {np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)).tobytes() for path in files}
    mine = sets["test"].domains == DOMAINS.index("mri")
    assert {image.tobytes() for image in sets["test"].images[mine]} == written
    rewards = np.full((len(sets["train"].ids), 5), 0.4)
    stats = write_statistics(out, sets["train"].ids, rewards, "warm-up-0")
    told = dict(zip(stats.domains["key"], stats.domains["n_records"], strict=True))
    assert [told[domain] for domain in DOMAINS] == wanted.tolist()
    weights = MAIN["stats"].estimator(stats).weights()
    assert {row["success_rate_from"] for row in weights} == {"prior"}


def test_a_paired_interval_is_that_of_the_paired_t_test() -> None:
    rng = np.random.default_rng(3)
    mine, other = rng.random(5), rng.random(5)
    ours, theirs = ({seed: {"x": x} for seed, x in enumerate(held)} for held in (mine, other))
    found = figures.paired(ours, theirs, lambda row: row["x"])
    expected = ttest_rel(mine, other).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_the_journal_keeps_what_is_done_and_cuts_what_is_not(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    sweep.Journal(path).once("a", lambda: {"value": 1})
    with path.open("a") as file:
        file.write('{"key": "b", "val')
    journal = sweep.Journal(path)
    assert journal.once("a", lambda: {"value": 2})["value"] == 1
    journal.once("b", lambda: {"value": 3})
    assert [row["value"] for row in sweep.rows_of(tmp_path).values()] == [1, 3]


def test_the_search_chooses_on_validation_over_all_its_seeds() -> None:
    world = World()
    low, middle, high, highest = sweep.CHOICES
    scores = {
        (low, 100): 0.1,
        (middle, 100): 0.3,
        (high, 100): 0.4,
        (highest, 100): 0.2,
        (middle, 101): 0.5,
        (middle, 102): 0.4,
        (high, 101): 0.3,
        (high, 102): 0.4,
    }
    rows = {}
    for (choice, seed), score in scores.items():
        found = {domain: {"f1": score} for domain in DOMAINS}
        key = f"search {world.name} grpo {choice.rate:g} {choice.entropy:g} {seed}"
        rows[key] = {"curve": [{"validation": found}]}
    assert sweep.choice_of(rows, world, "grpo") == middle
    assert sweep.choice_of({k: rows[k] for k in rows if k.endswith("100")}, world, "grpo") == high


def test_a_page_without_marks_is_refused() -> None:
    main, others = sweep.worlds(quick=True)
    plan = sweep.Plan(main, others, SCHEDULE, seeds=1, few=1)
    with pytest.raises(UsageError, match="marks"):
        report.page("nothing", {}, plan)
    text = report.page(f"a\n{report.BEGIN}\nyesterday\n{report.END}\nb\n", {}, plan)
    assert text.startswith("a\n")
    assert text.endswith("\nb\n")
    assert "yesterday" not in text


def test_the_target_draws_and_the_weights_share_one_budget() -> None:
    """Draws x weight is alike over domains for every sampler, before bounds and difficulty."""
    from benchmarks.drpo_vs_grpo.sampling import knowing_the_draws, target_chances
    from qoqtrain import DRPO

    sizes = [400, 100, 40, 20, 20, 20, 20, 12, 8]
    domains = np.repeat(np.arange(len(DOMAINS)), sizes)
    answers = domains * 4 + np.arange(domains.size) % 2
    train = Questions(domains.astype(str), np.zeros((domains.size, 1, 1)), domains, answers)
    parts, chances = target_chances(train)
    assert chances.sum() == pytest.approx(1.0) and sum(map(len, parts)) == domains.size
    # No part more than ten times an epoch.
    assert all(c <= 10 * len(p) / domains.size + 1e-9 for p, c in zip(parts, chances, strict=True))
    for sampler in ("proportional", "target"):
        drpo = DRPO.preset("budget", bounds=None)
        rows = knowing_the_draws(drpo, sampler, train).weights()
        shares = np.array(sizes) / domains.size
        if sampler == "target":
            shares = np.array(
                [
                    sum(c for p, c in zip(parts, chances, strict=True) if domains[p[0]] == place)
                    for place in range(len(DOMAINS))
                ]
            )
        weights = {row["domain"]: row["weight"] for row in rows}
        products = [share * weights[name] for name, share in zip(DOMAINS, shares, strict=True)]
        assert products == pytest.approx([products[0]] * len(DOMAINS))


SHORT = Schedule(2, 2, 32, 2, 1)


def test_the_headline_goes_on_where_it_stopped_and_has_every_arm(tmp_path: Path) -> None:
    world = World(train=300, held=30, least=10)
    rows = list(core(world, SHORT, 1, tmp_path))
    every = list(core(world, SHORT, 1, tmp_path, factorial=True))
    assert every[: len(rows)] == rows
    runs = headline.Runs.of(every)
    arms = runs.of_skew[1.0]
    assert set(arms) == {"base", "ceiling", "traces", *CORE, *FACTORIAL.values()} | {
        "proportional_paper",
        "authors_core",
        "disco_core",
        "medgrpo_core",
        "dynamic_asked",
        "dynamic_updated",
        *SCALED,
    }
    pair = (0, 0)
    assert runs.pairs(1.0, *CORE) == [pair]
    assert runs.closed(1.0, "base", [pair]) == [0.0]
    assert runs.closed(1.0, "ceiling", [pair]) == [1.0]
    assert {arms[name][pair]["asked"] for name in CORE} == {64}
    default, drawn = arms["default"][pair], arms["dynamic_updated"][pair]
    assert arms["dynamic_asked"][pair]["asked"] == default["asked"] == 64
    assert drawn["updated"] >= default["updated"] > drawn["updated"] - SHORT.questions
    text = core_report.page(f"a\n{core_report.BEGIN}\n{core_report.END}\nb\n", runs)
    for title in (arm.title for arm in CORE.values()):
        assert f"| {title} | 1 |" in text


def test_the_factorial_has_24_cells_and_shares_those_of_the_core() -> None:
    assert len(CELLS) == len(set(FACTORIAL.values())) == 24
    assert set(CORE) <= set(FACTORIAL.values())
    for (sampler, weights, skip_tied), name in FACTORIAL.items():
        arm = ARMS[name]
        assert (arm.sampler, arm.skip_tied) == (sampler, skip_tied)
        assert arm.preset == {"none": "grpo"}.get(weights, weights)


def test_the_worlds_of_the_headline_have_100_images_of_the_rarest_domain() -> None:
    every = worlds([1.0, 0.0], 3, quick=False)
    assert [(world.skew, world.seed) for world in every[:4]] == [(1, 0), (1, 1), (1, 2), (0, 0)]
    assert min(domains.train_counts(world).min() for world in every) == 100


def test_fiellers_bounds_are_the_ratios_that_a_paired_t_test_just_rejects() -> None:
    rng = np.random.default_rng(5)
    other = 0.3 + 0.05 * rng.standard_normal(15)
    mine = 1.6 * other + 0.05 * rng.standard_normal(15)
    found = headline.fieller(mine, other)
    assert found.mean == pytest.approx(mine.mean() / other.mean())
    for bound in (found.low, found.high):
        assert ttest_1samp(mine - bound * other, 0.0).pvalue == pytest.approx(0.05)
    assert found.low < found.mean < found.high


def test_a_ratio_to_what_may_be_nothing_has_no_interval() -> None:
    found = headline.fieller([1.0, 1.1, 0.9], [0.3, -0.2, 0.1])
    assert np.isnan(found.low) and np.isnan(found.high)
    assert "no interval" in headline.bounds(found)


def test_shares_are_averaged_over_the_worlds_of_a_seed() -> None:
    pairs = [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert headline.by_seed([0.1, 0.2, 0.3, 0.6], pairs) == pytest.approx([0.2, 0.4])


def test_a_step_draws_until_enough_groups_differ() -> None:
    """Of every batch two questions differ; four are wanted, or as many as three batches give."""
    import torch

    def ask(rows: np.ndarray) -> training.Asked:
        rewards = np.zeros((rows.size, 5))
        rewards[:2, 0] = 1.0
        nothing = torch.zeros(rows.size, 5)
        return training.Asked(rows, nothing, nothing, rewards, np.zeros((rows.size, 5)))

    def drawn(draws: int, places: int) -> list[list[int]]:
        batches = iter([np.arange(3) + 3 * i for i in range(5)])
        steps = iter(lambda: training.asked_in_a_step(batches, ask, draws, places), None)
        return [step.rows.tolist() for step in steps]

    assert [len(rows) for rows in drawn(1, 4)] == [3] * 5
    assert [len(rows) for rows in drawn(9, 4)] == [6, 6, 3]
    assert [len(rows) for rows in drawn(3, 99)] == [9, 6]
    assert [row for step in drawn(3, 4) for row in step] == list(range(15))


def test_traces_teach_only_what_a_rollout_got_right() -> None:
    sets = {name: questions(seed, 9) for seed, name in enumerate(("train", "validation", "test"))}
    start = supervised.warm_up(2.0, 2, 0, sets["train"])
    rewards = np.zeros((81, 5))
    rewards[sets["train"].domains == 2, 1] = 1.0
    taught = supervised.traced(start, sets, rewards, Schedule(2, 40, 32, 2, 1), seed=0)
    assert taught["ecg"]["accuracy"] > 0
    others = [found["accuracy"] for name, found in taught.items() if name != "ecg"]
    assert max(others) == 0.0
