"""Starting from the statistics of the data: priors, weights before the first step, bad tables."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from qoqdata.errors import BadTable, DuplicateKey, UsageError
from qoqtrain import DRPO


def table(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """The domains (or sources) table of a data set, with nulls where a row says nothing."""
    schema = {
        "key": pl.String, "n_records": pl.Int64, "n_studies": pl.Int64, "n_patients": pl.Int64,
        "n_images": pl.Int64,
        "share": pl.Float64, "rarity": pl.Float64, "label_entropy": pl.Float64,
        "imbalance_ratio": pl.Float64, "success_rate": pl.Float64,
        "success_rate_variance": pl.Float64,
        "n_questions": pl.Int64, "n_rollouts": pl.Int64, "policy": pl.String, "scorer": pl.String,
    }  # fmt: skip
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema)


def histogram(*rows: tuple[str, str, float, int]) -> pl.DataFrame:
    """The clusters table: (level, key, centre, count), no scatter within."""
    return pl.DataFrame(
        [(level, key, i, centre, n, 0.0) for i, (level, key, centre, n) in enumerate(rows)],
        orient="row",
        schema={
            "level": pl.String, "key": pl.String, "cluster": pl.Int32, "centre": pl.Float64,
            "count": pl.Int64, "variance": pl.Float64,
        },
    )  # fmt: skip


@dataclass(frozen=True)
class Stats:
    domains: pl.DataFrame
    sources: pl.DataFrame = field(default_factory=lambda: table([]))
    clusters: pl.DataFrame = field(default_factory=histogram)
    digest: str = "d1"


STATS = Stats(
    domains=table(
        [
            {"key": "chest_xray", "n_records": 90_000, "success_rate": 0.5, "n_questions": 100},
            {"key": "ultrasound", "n_records": 900, "success_rate": 0.25, "n_questions": 80},
            {"key": "ecg", "n_records": 9_100, "n_questions": 0},
        ]
    ),
    sources=table([{"key": "busi", "n_records": 900, "success_rate": 0.25, "n_questions": 80}]),
    clusters=histogram(
        ("domain", "chest_xray", 0.25, 50),
        ("domain", "chest_xray", 0.75, 50),
        ("domain", "ultrasound", 0.25, 80),
        ("source", "busi", 0.25, 80),
    ),
)


def by_domain(drpo: DRPO) -> dict[str, Any]:
    return {row["domain"]: row for row in drpo.weights()}


def batch(domain: str, groups: list[list[float]]) -> dict[str, Any]:
    sizes = [len(group) for group in groups]
    return {
        "rewards": np.concatenate(groups),
        "questions": np.repeat(np.arange(len(groups)), sizes),
        "domains": [domain] * sum(sizes),
    }


def test_starting_weights_by_hand() -> None:
    rows = by_domain(DRPO.from_stats(STATS))
    cxr, us, ecg = rows["chest_xray"], rows["ultrasound"], rows["ecg"]
    assert (cxr["n_records"], us["n_records"], ecg["n_records"]) == (90_000, 900, 9_100)
    assert cxr["share"] == pytest.approx(0.9)
    assert us["rarity"] == pytest.approx(np.sqrt(100_000 / (3 * 900)))
    assert [row["success_rate"] for row in (cxr, us, ecg)] == [
        pytest.approx(0.5),
        pytest.approx(0.25),
        None,
    ]
    assert cxr["temperature"] == pytest.approx(300 * 0.5)
    assert us["temperature"] == pytest.approx(30 * 0.25)
    assert (cxr["k"], us["k"]) == (2, 1)
    # Mean over the questions of 1 / (T_d T_c): half of the X-rays are in each cluster.
    t_c = np.sqrt(45_000) * np.array([0.25, 0.75])
    cxr_weight = np.mean(1 / (150 * t_c))
    us_weight = 1 / (7.5 * 30 * 0.25)
    assert us["weight"] / cxr["weight"] == pytest.approx(us_weight / cxr_weight)
    # ECG has no success rate: rarity 1 / N, and the difficulty of the others, by their records.
    difficulty = (90_000 * 90_000 * cxr_weight + 900 * 900 * us_weight) / 90_900
    assert ecg["weight"] / cxr["weight"] == pytest.approx(difficulty / 9_100 / cxr_weight)
    assert [row["success_rate_from"] for row in (cxr, us, ecg)] == ["prior", "prior", "none"]


def test_starting_weights_have_a_record_weighted_mean_of_one() -> None:
    for changes in ({}, {"bounds": None}, {"alpha": 0.5}, {"mu_domain": "mean"}):
        rows = DRPO.from_stats(STATS, **changes).weights()
        for column in ("weight", "weight_bounded"):
            total = sum(row["n_records"] * row[column] for row in rows)
            assert total == pytest.approx(100_000)


def test_starting_weights_after_the_bounds() -> None:
    rows = by_domain(DRPO.from_stats(STATS, bounds=(2.0, None)))
    # Median cell: half of the X-rays lie at or below the harder cluster's weight. Ultrasound and
    # ECG are rarer than twice that: both sit at the upper bound.
    assert rows["ultrasound"]["weight_bounded"] == pytest.approx(rows["ecg"]["weight_bounded"])
    assert rows["ultrasound"]["weight_bounded"] / rows["chest_xray"]["weight_bounded"] < 4
    plain = by_domain(DRPO.from_stats(STATS, bounds=None))
    for row in plain.values():
        assert row["weight_bounded"] == pytest.approx(row["weight"])


def test_questions_that_always_fail_have_no_say() -> None:
    clusters = histogram(("domain", "hard", 0.0, 75), ("domain", "hard", 0.4, 25))
    rows = table(
        [
            {"key": "hard", "n_records": 100, "success_rate": 0.1, "n_questions": 100},
            {"key": "hopeless", "n_records": 100, "success_rate": 0.0, "n_questions": 100},
        ]
    )
    weights = by_domain(DRPO.from_stats(Stats(rows, clusters=clusters), preset="streaming"))
    # mu_d: inverse-size weights 1/75 and 1/25 give 0.4 * 3/4.
    assert weights["hard"]["weighted_success_rate"] == pytest.approx(0.3)
    assert weights["hopeless"]["success_rate"] == pytest.approx(0.0, abs=1e-12)
    assert weights["hopeless"]["weight"] == pytest.approx(weights["hard"]["weight"])


def test_factors_of_a_probe_by_hand() -> None:
    """A probe answers right or wrong: three domains of equal N, each factor worked out here.

    `half` is right in 40 of 100, `edge` in 1 of 100 and at 0.7 in the others, `never` in none.
    """
    rows = table(
        [
            {"key": "half", "n_records": 100, "success_rate": 0.4, "n_questions": 100},
            {"key": "edge", "n_records": 100, "success_rate": 0.351, "n_questions": 100},
            {"key": "never", "n_records": 100, "success_rate": 0.0, "n_questions": 100},
        ]
    )
    centres = [("half", 0.0, 60), ("half", 1.0, 40), ("edge", 0.002, 50), ("edge", 0.7, 50)]
    clusters = histogram(*(("domain", *one) for one in centres), ("domain", "never", 0.0, 100))
    weights = by_domain(DRPO.from_stats(Stats(rows, clusters=clusters), preset="budget"))
    # Means over the questions of clusters above 0 of 1 / (mu_d sqrt(pi_c) mu_c); N cancels.
    half = 1 / (0.4 * np.sqrt(0.4))
    low, high = (1 / (0.351 * np.sqrt(0.5) * rate) for rate in (0.002, 0.7))
    edge = (low + high) / 2
    others = (half + edge) / 2
    scale = 3 / (half + edge + others)
    wanted = {"half": half * scale, "edge": edge * scale, "never": 1.0}
    for name, weight in wanted.items():
        assert weights[name]["weight"] == pytest.approx(weight)
        assert weights[name]["rarity_factor"] == pytest.approx(1.0)
        assert weights[name]["difficulty_factor"] == pytest.approx(weight)
    # Half of edge's questions are at the bound, ten times the median, which is half's one cluster.
    assert weights["edge"]["bound_share"] == pytest.approx(0.5)
    held = (10 * half + high) / 2
    scale = 3 / (half + held + (half + held) / 2)
    assert weights["half"]["weight_bounded"] == pytest.approx(half * scale)
    assert weights["edge"]["weight_bounded"] == pytest.approx(held * scale)
    # Whatever the bound takes from the others, a domain that was never right has their mean.
    assert weights["never"]["weight_bounded"] == pytest.approx(1.0)


def test_weights_without_any_difficulty_follow_rarity_alone() -> None:
    rows = DRPO.from_stats(None, priors={"a": 9_000, "b": 1_000}, domain_key="sex").weights()
    assert rows[1]["weight"] / rows[0]["weight"] == pytest.approx(9)
    assert {row["success_rate_from"] for row in rows} == {"none"}
    assert DRPO.preset("streaming").weights() == []


def test_the_prior_is_outweighed_by_evidence() -> None:
    drpo = DRPO.from_stats(STATS)
    drpo.step(**batch("ultrasound", [[0.8, 0.9, 1.0]] * 24))
    # 24 questions of strength at 0.25, 24 seen at 0.9.
    row = by_domain(drpo)["ultrasound"]
    assert row["success_rate"] == pytest.approx((0.25 + 0.9) / 2)
    assert row["success_rate_from"] == "both"
    for _ in range(40):
        drpo.step(**batch("ultrasound", [[0.8, 0.9, 1.0]] * 60))
    assert by_domain(drpo)["ultrasound"]["success_rate"] == pytest.approx(0.9, abs=0.01)


def test_evidence_like_the_prior_moves_nothing() -> None:
    """Questions drawn exactly as the histogram says leave every statistic where it is."""
    drpo = DRPO.from_stats(STATS)
    before = by_domain(drpo)["chest_xray"]
    drpo.step(**batch("chest_xray", [[0.0, 0.5], [0.5, 1.0]] * 30))
    after = by_domain(drpo)["chest_xray"]
    for name in ("success_rate", "weighted_success_rate", "temperature", "k"):
        assert after[name] == pytest.approx(before[name], rel=1e-12)


def test_strength_never_exceeds_the_questions_behind_mu() -> None:
    rows = table([{"key": "a", "n_records": 10, "success_rate": 0.2, "n_questions": 3}])
    drpo = DRPO.from_stats(Stats(rows))
    drpo.step(**batch("a", [[0.7, 0.9]] * 3))
    assert by_domain(drpo)["a"]["success_rate"] == pytest.approx(0.5)
    drpo = DRPO.from_stats(Stats(rows), strength=0)
    drpo.step(**batch("a", [[0.7, 0.9]] * 3))
    assert by_domain(drpo)["a"]["success_rate"] == pytest.approx(0.8)


def test_decay_forgets_the_prior_too() -> None:
    drpo = DRPO.from_stats(STATS, half_life_questions=10)
    drpo.step(**batch("ultrasound", [[0.7, 0.8]] * 20))
    # Two half-lives: the prior's 24 questions count for 6.
    expected = (6 * 0.25 + 20 * 0.75) / 26
    assert by_domain(drpo)["ultrasound"]["success_rate"] == pytest.approx(expected)


def test_exact_points_take_the_prior_like_bins_do() -> None:
    groups = [[0.0, 0.5], [0.5, 1.0], [1.0, 0.9]]
    binned = DRPO.from_stats(STATS).step(**batch("chest_xray", groups))
    exact = DRPO.from_stats(STATS, kmeans="exact1d", history="all")
    np.testing.assert_allclose(
        exact.step(**batch("chest_xray", groups)).factors, binned.factors, rtol=1e-9
    )


def test_missing_success_rates_and_unseen_domains_are_in_the_report() -> None:
    step = DRPO.from_stats(STATS).step(
        rewards=[0.1, 0.9, 0.2, 0.8, 0.3, 0.7],
        questions=[1, 1, 2, 2, 3, 3],
        domains=["ecg", "ecg", "mri", "mri", "chest_xray", "chest_xray"],
    )
    assert step.report["unseen_domains"] == ["mri"]
    assert step.report["no_difficulty_prior"] == ["ecg", "mri"]
    # One MRI question where one counted question came up per (90,000 + 9,100) / 2 records.
    assert step.report["domains"]["mri"]["N"] == pytest.approx(99_100 / 2)
    assert np.isfinite(step.advantages).all()


def asked(times: int) -> Stats:
    """STATS with so many questions about each ultrasound study, and one about each other."""
    n_studies = pl.col("n_records")
    questions = pl.when(pl.col("key") == "ultrasound").then(times * n_studies).otherwise(n_studies)
    return replace(
        STATS, domains=STATS.domains.with_columns(n_studies=n_studies, n_records=questions)
    )


def test_questions_about_the_same_studies_change_no_starting_weight() -> None:
    before, after = (by_domain(DRPO.from_stats(asked(times))) for times in (1, 2))
    assert after["ultrasound"]["n_records"] == 1_800 and after["ultrasound"]["n_studies"] == 900
    # sqrt(100,000 / (3 * 900)), and shares of studies.
    assert after["ultrasound"]["rarity"] == pytest.approx(6.085806194501846)
    assert after["chest_xray"]["share"] == pytest.approx(0.9)
    for domain, row in before.items():
        assert after[domain] == row | {"n_records": after[domain]["n_records"]}


@pytest.mark.parametrize("preset", ["paper", "authors_mirl", "authors_qoq_med"])
def test_published_presets_count_questions(preset: str) -> None:
    row = by_domain(DRPO.from_stats(asked(2), preset=preset))["ultrasound"]
    assert row["share"] == pytest.approx(1_800 / 100_900)
    assert row["rarity"] == pytest.approx(np.sqrt(100_900 / (3 * 1_800)))


def test_n_is_the_studies_in_a_step_too() -> None:
    """10,000 studies asked about 4 times each weigh like 10,000 and not like 40,000."""
    priors = {
        "a": {"n_records": 40_000, "n_studies": 10_000, "success_rate": 0.5},
        "b": {"n_records": 2_500, "success_rate": 0.5},
    }
    rollouts = batch("a", [[0.0, 1.0]] * 2) | {"domains": ["a"] * 2 + ["b"] * 2}
    step = DRPO.from_stats(None, priors=priors).step(**rollouts)
    assert [step.report["domains"][name]["N"] for name in "ab"] == [10_000, 2_500]
    # The divisor T_d T_c goes with N: 4 to 1.
    assert step.factors[0] / step.factors[2] == pytest.approx(4)


def test_counted_studies_survive_a_state() -> None:
    drpo = DRPO.from_stats(asked(2))
    assert DRPO.from_state(drpo.state_dict()).priors == drpo.priors
    plain = DRPO.from_stats(None, priors={"a": 5}).state_dict()["priors"]["domains"]["a"]
    assert "n_studies" not in plain


def test_sources_and_other_columns() -> None:
    rows = DRPO.from_stats(STATS, domain_key="source").weights()
    assert [(row["domain"], row["temperature"]) for row in rows] == [("busi", pytest.approx(7.5))]
    with pytest.raises(UsageError, match="no table for the column 'sex'"):
        DRPO.from_stats(STATS, domain_key="sex")
    drpo = DRPO.from_stats(STATS, domain_key="sex", priors={"F": 700, "M": {"n_records": 300}})
    assert [row["n_records"] for row in drpo.weights()] == [700, 300]


def test_other_data_has_another_digest() -> None:
    one = DRPO.from_stats(STATS, domain_key="sex", priors={"F": 700})
    two = DRPO.from_stats(replace(STATS, digest="d2"), domain_key="sex", priors={"F": 700})
    three = DRPO.from_stats(STATS, domain_key="sex", priors={"F": 701})
    assert len({drpo.priors.digest for drpo in (one, two, three)}) == 3
    with pytest.raises(UsageError, match="digest"):
        two.load_state_dict(one.state_dict())
    with pytest.raises(UsageError, match="digest"):
        DRPO.from_stats(replace(STATS, digest="d2")).load_state_dict(
            DRPO.from_stats(STATS).state_dict()
        )


@pytest.mark.parametrize(
    ("rows", "clusters", "message"),
    [
        ([{"key": None, "n_records": 5}], histogram(), "no key"),
        ([{"key": "a", "n_records": -5}], histogram(), "counts -5 records"),
        ([{"key": "a", "n_records": 5, "n_studies": 6}], histogram(), "6 studies of 5 records"),
        ([{"key": "a", "n_records": 5, "success_rate": 1.5}], histogram(), "success_rate = 1.5"),
        (
            [{"key": "a", "n_records": 5, "success_rate": float("nan")}],
            histogram(),
            "success_rate = nan",
        ),
        (
            [{"key": "a", "n_records": 5, "success_rate": 0.5, "n_questions": 9}],
            histogram(("domain", "a", 0.9, 9)),
            "clusters have the mean 0.9000",
        ),
        (
            [{"key": "a", "n_records": 5, "success_rate": 0.5}],
            histogram(("domain", "a", 1.5, 9)),
            "cluster",
        ),
    ],
)
def test_impossible_tables_are_refused(
    rows: list[dict[str, Any]], clusters: pl.DataFrame, message: str
) -> None:
    with pytest.raises(BadTable, match=message):
        DRPO.from_stats(Stats(table(rows), clusters=clusters))


def test_incomplete_tables_are_refused() -> None:
    with pytest.raises(BadTable, match="lacks success_rate"):
        DRPO.from_stats(replace(STATS, domains=STATS.domains.drop("success_rate")))
    with pytest.raises(BadTable, match="lacks n_studies"):
        DRPO.from_stats(replace(STATS, domains=STATS.domains.drop("n_studies")))
    with pytest.raises(BadTable, match="lacks centre"):
        DRPO.from_stats(replace(STATS, clusters=STATS.clusters.drop("centre")))
    with pytest.raises(DuplicateKey, match="'ecg' is listed twice"):
        DRPO.from_stats(replace(STATS, domains=pl.concat([STATS.domains, STATS.domains[2:]])))


@pytest.mark.parametrize(
    "value", [1.5, "many", True, {"success_rate": 2.0}, {"records": 5}, {"mu": "hard"}, 0, [1, 2]]
)
def test_priors_that_are_none_are_refused(value: Any) -> None:
    with pytest.raises(UsageError, match="is no prior"):
        DRPO.from_stats(None, priors={"a": value})


def test_the_older_name_of_the_success_rate_is_read() -> None:
    fields = {"n_records": 50, "n_questions": 40}
    new = DRPO.from_stats(None, priors={"a": {**fields, "success_rate": 0.3}})
    old = DRPO.from_stats(None, priors={"a": {**fields, "mu": 0.3}})
    assert old.priors == new.priors
    assert old.checksum() == new.checksum()
    with pytest.raises(UsageError, match="one field"):
        DRPO.from_stats(None, priors={"a": {"mu": 0.3, "success_rate": 0.4}})
