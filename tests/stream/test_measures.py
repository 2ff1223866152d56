"""Shuffle quality, against a full shuffle and against no shuffle."""

from __future__ import annotations

from pathlib import Path

import pytest

from qoqdata.dataset import Dataset
from tests.stream.sets import Part, write


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """4,000 records in 400 row groups of three sources."""
    parts = (
        Part("films", "chest_xray", (500, 500, 500, 500)),
        Part("scans", "ct", (500, 500, 500)),
        Part("hearts", "ecg", (500,)),
    )
    return write(tmp_path_factory.mktemp("many"), parts, row_group=10)


def test_close_to_a_full_shuffle(many: Dataset) -> None:
    found = many.stream(columns=["id"]).quality()
    assert found.displacement == pytest.approx(1 / 3, abs=0.03)
    assert found.displacement_full == pytest.approx(1 / 3, abs=0.03)
    # 64 lanes draw from 64 row groups in turn, so neighbours are not even of one by chance.
    assert found.group_repeats <= found.group_repeats_full
    # Sources of 1/2, 3/8 and 1/8: neighbours are of one with probability 0.406.
    assert found.source_repeats == pytest.approx(0.406, abs=0.05)
    assert found.source_repeats_full == pytest.approx(0.406, abs=0.05)
    assert found.batch_groups > 0.5 * found.batch_groups_full


def test_no_shuffle_is_told_apart(many: Dataset) -> None:
    found = many.stream(columns=["id"], shuffle=False).quality()
    assert found.displacement == 0
    assert found.group_repeats == pytest.approx(0.9, abs=0.001)
    assert found.source_repeats > 0.999
    assert found.batch_groups < 28
    assert found.displacement_full == pytest.approx(1 / 3, abs=0.03)


def test_a_narrow_order_measures_worse(many: Dataset) -> None:
    wide, narrow = (
        many.stream(columns=["id"], lanes=lanes, window=window).quality()
        for lanes, window in ((64, 4), (1, 2))
    )
    assert narrow.group_repeats > 10 * wide.group_repeats + 0.2
    assert narrow.batch_groups < 0.5 * wide.batch_groups


def test_one_record(tmp_path: Path) -> None:
    dataset = write(tmp_path, [Part("films", "chest_xray", (1,))])
    found = dataset.stream().quality()
    assert found.displacement == 0 and found.batch_groups == 1
