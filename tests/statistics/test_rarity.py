"""Counts, rarity, entropy and imbalance, worked out by hand."""

from __future__ import annotations

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqdata.statistics.counts import asserted_counts, counts_by, entropy, rarity
from tests.statistics.training_rows import frame, record


@pytest.mark.parametrize(
    ("n_total", "n_groups", "n", "expected"),
    [
        (100, 1, 100, 1.0),
        (100, 4, 25, 1.0),  # an even share
        (100, 4, 4, 2.5),  # 100 / 16 = 6.25
        (90, 2, 80, 0.75),  # 90 / 160 = 0.5625
        (2_610_000, 10, 26_100, math.sqrt(10)),
    ],
)
def test_rarity(n_total: int, n_groups: int, n: int, expected: float) -> None:
    assert rarity(n_total, n_groups, n) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize(
    ("counts", "bits"),
    [
        ([5], 0.0),
        ([3, 3], 1.0),
        ([1, 1, 1, 1], 2.0),
        ([2, 1, 1], 1.5),  # 0.5 * 1 + 2 * 0.25 * 2
        ([3, 1], 0.8112781244591328),  # 0.75 * 0.41504 + 0.25 * 2
        ([4, 0, 4], 1.0),
    ],
)
def test_entropy(counts: list[int], bits: float) -> None:
    assert entropy(counts) == pytest.approx(bits, abs=1e-12)
    assert math.copysign(1, entropy(counts)) == 1  # never -0.0


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=30))
def test_entropy_is_at_most_that_of_even_counts(counts: list[int]) -> None:
    assert -1e-12 <= entropy(counts) <= math.log2(len(counts)) + 1e-12


TRAIN = frame(
    # Source a, ct: five questions about three studies of two patients.
    record(0, "x", study="s0", patient="p1"),
    record(1, "x", study="s1", patient="p1", n_images=8),
    record(2, "x", study="s1", patient="p1", n_images=8, task="severity"),
    record(3, "y", study="s1", patient="p1", n_images=2),
    record(4, "x", "y", study="s2", patient="p2", n_images=0),
    # Source b, ct as well: its x is another label than a's.
    record(5, "x", source="b", patient=None),
    # Source c, ecg, nobody named; nothing asserted.
    record(6, source="c", domain="ecg", patient=None, labels=None, n_images=0),
)


def test_domains() -> None:
    ct, ecg = counts_by(TRAIN, "domain").to_dicts()
    assert ct == {
        "key": "ct",
        "n_records": 6,
        "n_studies": 4,
        "n_patients": 2,
        # 1 of s0; of s1 the 8 that two of its questions show; none of s2; 1 of b.
        "n_images": 10,
        "share": 4 / 5,
        "rarity": math.sqrt(5 / (2 * 4)),
        # Studies: 3 (a's x), 2 (a's y), 1 (a's x of severity), 1 (b's x), of 7:
        # (3 log2(7/3) + 2 log2(7/2) + 2 log2(7)) / 7
        "label_entropy": pytest.approx(1.8423709931771086),
        "imbalance_ratio": 3.0,
    }
    assert ecg == {
        "key": "ecg",
        "n_records": 1,
        "n_studies": 1,
        "n_patients": None,
        "n_images": 0,
        "share": 1 / 5,
        "rarity": math.sqrt(5 / (2 * 1)),
        "label_entropy": None,
        "imbalance_ratio": None,
    }


def test_sources() -> None:
    rows = {row["key"]: row for row in counts_by(TRAIN, "source").to_dicts()}
    assert list(rows) == ["a", "b", "c"]
    assert rows["a"]["n_records"] == 5 and rows["a"]["n_studies"] == 3
    assert rows["a"]["rarity"] == math.sqrt(5 / (3 * 3))
    assert rows["a"]["label_entropy"] == pytest.approx(1.4591479170272448)  # 3, 2 and 1 of 6
    assert rows["b"]["label_entropy"] == 0.0 and rows["b"]["imbalance_ratio"] == 1.0
    assert rows["b"]["n_patients"] is None


def test_shares_sum_to_one_and_rarity_follows_from_them() -> None:
    for key in ("domain", "source"):
        table = counts_by(TRAIN, key)
        assert table["share"].sum() == pytest.approx(1)
        # sqrt(N / (D n)) = 1 / sqrt(D * share)
        expected = (1 / (table.height * table["share"])).sqrt()
        assert table["rarity"].to_list() == pytest.approx(expected.to_list())


def test_a_study_of_two_domains_counts_in_both() -> None:
    """Two sources may share the studies of a namespace."""
    rows = frame(record(0, "x"), record(0, "x", id="r", domain="ecg", source="b"))
    table = counts_by(rows, "domain")
    assert table.select("n_studies", "share").rows() == [(1, 0.5), (1, 0.5)]


@given(st.integers(2, 4), st.sampled_from(["a", "b", "c"]))
def test_more_questions_about_each_study_change_no_rarity(times: int, source: str) -> None:
    """Nor share, images, label bits, nor what a stream by rarity draws: n_studies * rarity."""
    again = TRAIN.filter(pl.col("source") == source)
    more = [again.with_columns(id=pl.col("id") + f"/{n}") for n in range(1, times)]
    asked = pl.concat([TRAIN, *more])
    for key in ("domain", "source"):
        before, after = counts_by(TRAIN, key), counts_by(asked, key)
        assert after["n_records"].sum() == before["n_records"].sum() + (times - 1) * again.height
        assert after.drop("n_records").equals(before.drop("n_records"))


def test_label_counts_keep_tasks_apart() -> None:
    rows = frame(record(0, "x"), record(1, "x", task="severity"), record(2, "x"))
    counts = asserted_counts(rows, "domain")
    assert sorted(counts.rows()) == [(1, "ct"), (2, "ct")]


def test_row_order_does_not_matter() -> None:
    turned = TRAIN.reverse()
    for key in ("domain", "source"):
        assert counts_by(turned, key).equals(counts_by(TRAIN, key))
    assert isinstance(counts_by(TRAIN, "domain"), pl.DataFrame)
