"""Histograms of question difficulty, and that those of sources merge into those of domains."""

from __future__ import annotations

from random import Random

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqdata.statistics import bins
from qoqdata.statistics.bins import BINS


def scored(*means: float | None, source: str = "a", domain: str = "ct") -> pl.DataFrame:
    frame = pl.DataFrame({"success_rate": pl.Series(means, dtype=pl.Float64)})
    own = {"source": pl.lit(source), "domain": pl.lit(domain), "n_rollouts": pl.lit(4)}
    return frame.with_columns(**own)


def clusters(rows: pl.DataFrame, key: str) -> pl.DataFrame:
    return bins.clusters(bins.bins(rows), key)


def test_bins_by_hand() -> None:
    """1/64 = 0.015625; 0.5 begins bin 32; 1 falls into the last."""
    table = clusters(scored(0.0, 0.01, 0.015625, 0.5, 0.51, 0.999, 1.0, None), "domain")
    assert table.columns == ["level", "key", "cluster", "centre", "count", "variance"]
    assert table.select("cluster", "centre", "count").rows() == [
        (0, pytest.approx(0.005), 2),
        (1, pytest.approx(0.015625), 1),
        (32, pytest.approx(0.505), 2),
        (63, pytest.approx(0.9995), 2),
    ]
    # Two members d apart have the variance d^2 / 4.
    assert table["variance"].to_list() == pytest.approx([0.01**2 / 4, 0, 0.01**2 / 4, 0.001**2 / 4])
    assert set(table["level"]) == {"domain"} and set(table["key"]) == {"ct"}


def test_the_level_names_the_key() -> None:
    table = clusters(scored(0.3), "source")
    assert table.row(0)[:2] == ("source", "a")


MEANS = st.lists(st.floats(0, 1), min_size=0, max_size=40)


@given(MEANS, MEANS)
def test_bins_of_sources_merge_into_those_of_their_domain(a: list[float], b: list[float]) -> None:
    rows = pl.concat([scored(*a, source="a"), scored(*b, source="b")])
    whole = {row["cluster"]: row for row in clusters(rows, "domain").to_dicts()}
    merged: dict[int, list[tuple[int, float, float]]] = {}
    for row in clusters(rows, "source").to_dicts():
        part = (row["count"], row["centre"], row["variance"])
        merged.setdefault(row["cluster"], []).append(part)
    assert set(whole) == set(merged)
    for number, parts in merged.items():
        count = sum(n for n, _, _ in parts)
        centre = sum(n * c for n, c, _ in parts) / count
        # Within parts and between them (law of total variance).
        variance = sum(n * (v + (c - centre) ** 2) for n, c, v in parts) / count
        assert whole[number]["count"] == count
        assert whole[number]["centre"] == pytest.approx(centre, abs=1e-12)
        assert whole[number]["variance"] == pytest.approx(variance, abs=1e-12)


@given(MEANS)
def test_no_question_is_lost_and_all_lie_in_their_bin(means: list[float]) -> None:
    table = clusters(scored(*means), "domain")
    assert table["count"].sum() == len(means)
    for row in table.to_dicts():
        assert row["cluster"] / BINS <= row["centre"] + 1e-12
        assert row["centre"] <= (row["cluster"] + 1) / BINS + 1e-12


@given(st.permutations([0.1, 0.2, 0.3, 0.1001, 0.1002, 0.7, 0.7, 0.70001]))
def test_order_does_not_change_a_bit(means: list[float]) -> None:
    assert clusters(scored(*means), "domain").equals(clusters(scored(*sorted(means)), "domain"))


def test_nothing_scored() -> None:
    assert clusters(scored(None, None), "domain").height == 0


def test_merged_bins_by_hand() -> None:
    """0.25 twice of one source, 0.26 of another: 0.76 / 3, variance 2 / 9 of 0.01 squared."""
    rows = pl.concat([scored(0.25, 0.25, source="a"), scored(0.26, source="b")])
    whole = bins.merged_bins(bins.bins(rows), "domain").to_dicts()
    assert whole == [
        {
            "domain": "ct",
            "centre": pytest.approx(0.76 / 3),
            "count": 3,
            "variance": pytest.approx(2 / 9 * 1e-4),
            "n_rollouts": 12,
        }
    ]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.randoms())
def test_the_order_of_parts_does_not_change_a_bit(means: list[float], random: Random) -> None:
    rows = pl.concat([scored(mean, source=f"s{n % 5}") for n, mean in enumerate(means)])
    parts = bins.bins(rows)
    mixed = parts[random.sample(range(parts.height), parts.height)]
    assert bins.merged_bins(mixed, "domain").equals(bins.merged_bins(parts, "domain"))
