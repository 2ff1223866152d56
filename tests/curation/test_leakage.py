"""Which pairs of images make two records share theirs."""

from __future__ import annotations

import polars as pl
import pytest

from qoqdata.curation.leakage import half_of_a_record


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
