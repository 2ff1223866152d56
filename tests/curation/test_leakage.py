"""Which pairs of images make two records share theirs."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from qoqdata.curation.leakage import half_of_a_record, near_fingerprints


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


def test_near_fingerprints_are_told_both_ways_and_equal_ones_once() -> None:
    images = pl.DataFrame({"fingerprint": np.array([8, 9, 9, 2**40 - 1], np.uint64)})
    near = near_fingerprints(images, 1)
    found = set(near.iter_rows())
    assert found == {(8, 8, 0), (9, 9, 0), (2**40 - 1, 2**40 - 1, 0), (8, 9, 1), (9, 8, 1)}
    assert near.height == len(found)
