"""Side tables of other records are told."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import qoqdata
from qoqdata.dataset import Dataset
from qoqdata.description.freshness import stale_answerers, stale_statistics
from tests.records.sound_rows import image_row
from tests.validation.written_set import write


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    rows = [
        image_row(id=f"{n:032x}", study=f"{n:032x}", patient=f"{n:032x}", split=split)
        for n, split in enumerate(["train"] * 4 + ["test"] * 2)
    ]
    return write(tmp_path / "set", rows)


def test_statistics(dataset: Dataset) -> None:
    assert "no statistics yet" in (stale_statistics(dataset, dataset.kept()) or "")
    qoqdata.stats(dataset)
    assert stale_statistics(dataset, dataset.kept()) is None
    qoqdata.decide(dataset, f"{0:032x}", False, why="cut off")
    assert "the verdicts have changed since" in (stale_statistics(dataset, dataset.kept()) or "")
    qoqdata.stats(dataset)
    assert stale_statistics(dataset, dataset.kept()) is None


def test_answerers(dataset: Dataset) -> None:
    kept = dataset.kept()
    row = {"source": "films", "task": "diagnosis", "split": "train", "questions": 4}
    train = pl.DataFrame([row])
    whole = pl.DataFrame([row, row | {"split": "test", "questions": 2}])
    assert not stale_answerers(whole, kept)
    assert stale_answerers(train, kept)  # the test split was added since
    assert stale_answerers(whole.with_columns(questions=pl.lit(5)), kept)
    assert stale_answerers(whole.with_columns(task=pl.lit("other")), kept)
