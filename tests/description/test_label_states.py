"""Label states of each task, against counts by hand."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from qoqdata.dataset import Dataset
from qoqdata.description.label_states import STATES, label_states, label_summary
from tests.records.sound_rows import image_row
from tests.validation.written_set import write

OPTIONS = ["Clear", "Opacity", "Effusion", "Fracture"]


def film(number: int, split: str, labels: list[str], **more: list[str]) -> dict:
    return image_row(
        id=f"{number:032x}",
        study=f"{number:032x}",
        split=split,
        options=OPTIONS,
        answer=", ".join(labels),
        labels=labels,
        **more,
    )


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    rows = [
        film(1, "train", ["Opacity"]),
        film(2, "train", ["Opacity", "Effusion"]),
        film(3, "train", ["Clear"], absent=["Opacity"]),
        film(4, "test", ["Opacity"], uncertain=["Effusion"], absent=["Nodule"]),
    ]
    return write(tmp_path / "set", rows)


def test_states_of_each_label(dataset: Dataset) -> None:
    states = label_states(dataset.kept())
    columns = ("label", "train", "validation", "test", *STATES)
    assert states.select(columns).rows() == [
        # The commonest first; what is asserted as often, by name.
        ("Opacity", 2, 0, 1, 3, 0, 1, 0),
        ("Clear", 1, 0, 0, 1, 0, 0, 3),
        ("Effusion", 1, 0, 0, 1, 1, 0, 2),
        ("Fracture", 0, 0, 0, 0, 0, 0, 4),
        # No option, but one film denies it.
        ("Nodule", 0, 0, 0, 0, 0, 1, 3),
    ]
    assert (states.select(pl.sum_horizontal(STATES)).to_series() == states["questions"]).all()


def test_summary_of_each_task(dataset: Dataset) -> None:
    assert label_summary(label_states(dataset.kept())).to_dicts() == [
        {
            "source": "films",
            "task": "diagnosis",
            "questions": 4,
            "labels": 5,
            "commonest": "Opacity (3), Clear (1), Effusion (1)",
            "rarest": "Effusion (1)",
            "never": 2,
        }
    ]
