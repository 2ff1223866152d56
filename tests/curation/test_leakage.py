"""Neighbours by bands against all pairs compared; which pairs make two records share theirs."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqdata.curation import leakage
from qoqdata.curation.leakage import RADIUS_MOST, half_of_a_record, neighbours


def all_pairs(some: np.ndarray, others: np.ndarray, radius: int) -> set[tuple[int, int]]:
    return {
        (n, m)
        for n, one in enumerate(some.tolist())
        for m, other in enumerate(others.tolist())
        if (one ^ other).bit_count() <= radius
    }


def clustered(seed: int, count: int) -> np.ndarray:
    """Hashes around three centres, up to a dozen bits away."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).integers(0, 2**64, 3, dtype=np.uint64)
    found = []
    for _ in range(count):
        bits = rng.choice(64, rng.integers(0, 13), replace=False)
        flipped = np.uint64(sum(1 << int(bit) for bit in bits))
        found.append(centres[rng.integers(3)] ^ flipped)
    return np.array(found, np.uint64)


@pytest.mark.parametrize("radius", [0, 3, 4, 7, RADIUS_MOST])
def test_none_within_the_radius_is_missed(radius: int) -> None:
    some, others = clustered(1, 60), clustered(2, 80)
    here, there = neighbours(some, others, radius)
    found = list(zip(here.tolist(), there.tolist(), strict=True))
    assert found == sorted(all_pairs(some, others, radius))
    assert radius == 0 or found


@given(
    st.lists(st.integers(0, 2**64 - 1), max_size=12),
    st.lists(st.integers(0, 2**64 - 1), max_size=12),
    st.integers(0, RADIUS_MOST),
)
def test_any_hashes(some: list[int], others: list[int], radius: int) -> None:
    first, second = np.array(some, np.uint64), np.array(others, np.uint64)
    here, there = neighbours(first, second, radius)
    found = set(zip(here.tolist(), there.tolist(), strict=True))
    assert found == all_pairs(first, second, radius)


def test_many_equal_ones_are_compared_a_part_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    equal = np.full(40, 7, np.uint64)
    whole = neighbours(equal, equal, 3)
    assert len(whole[0]) == 1600
    monkeypatch.setattr(leakage, "_PAIRS_AT_ONCE", 33)
    for one, other in zip(whole, neighbours(equal, equal, 3), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("images", "alike", "stays"),
    [
        (1, [0], True),
        (2, [0], True),
        (3, [0], False),
        (3, [0, 2], True),
        (5, [0, 0, 0, 1], False),  # one image that is like several counts once
        (4, [1, 3], True),
    ],
)
def test_half_of_the_images_must_be_the_others(images: int, alike: list[int], stays: bool) -> None:
    shown = pl.DataFrame({"id": ["a"] * images + ["b"], "image": [*range(images), 0]})
    found = pl.DataFrame({"id": "a", "other": "b", "image": alike})
    kept = half_of_a_record(found, shown)
    assert kept.height == (len(alike) if stays else 0)


def test_two_records_do_not_share_one_together() -> None:
    shown = pl.DataFrame({"id": ["a"] * 4, "image": range(4)})
    found = pl.DataFrame({"id": "a", "other": ["b", "c"], "image": [0, 1]})
    assert half_of_a_record(found, shown).height == 0
