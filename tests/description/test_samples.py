"""Which records stand for a domain."""

from __future__ import annotations

from pathlib import Path

import pytest

from qoqdata.dataset import Dataset
from qoqdata.description.samples import choose_samples, records_by_id
from tests.records.sound_rows import ecg_row, image_row
from tests.validation.written_set import write

BARE = {"regions": None, "masks": None, "mask_info": None}


def film(number: int, **more: object) -> dict:
    return image_row(id=f"{number:032x}", study=f"{number:032x}", **more)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    rows = [
        film(1, task="diagnosis", **BARE),
        film(9, task="diagnosis"),  # with a box: before the one without
        film(2, task="lesion", split="test"),
        film(3, task="lesion", split="train", **BARE),  # train: before test
        film(5, task="site", **BARE),
        film(4, task="site", **BARE),
        ecg_row(id="e" * 32, source="films", study="e" * 32),
    ]
    return write(tmp_path / "set", rows)


def test_one_a_task_in_turn(dataset: Dataset) -> None:
    chosen = choose_samples(dataset, dataset.kept(), 4)
    numbers = [(row["domain"], row["task"], row["id"][-1]) for row in chosen.to_dicts()]
    assert numbers == [
        ("chest_xray", "diagnosis", "9"),
        ("chest_xray", "lesion", "3"),
        ("chest_xray", "site", "4"),
        ("ecg", "diagnosis", "e"),
    ]
    first = choose_samples(dataset, dataset.kept(), 1)
    assert [id_[-1] for id_ in first["id"]] == ["9", "e"]


def test_records_by_id(dataset: Dataset) -> None:
    wanted = [f"{4:032x}", f"{2:032x}", "0" * 32]
    found = list(records_by_id(dataset, wanted, ("id", "split")))
    # In the order of the shards; an unknown id gives none.
    assert found == [{"id": wanted[1], "split": "test"}, {"id": wanted[0], "split": "train"}]
