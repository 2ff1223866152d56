"""What share of training each domain is to have, from whoever trains."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import qoqdata
import qoqtrain
from qoqdata.dataset import Dataset
from qoqdata.description import attention
from tests.records.sound_rows import ecg_row, image_row
from tests.validation.written_set import write

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Three films and one ECG."""
    rows = [image_row(id=f"{n:032x}", study=f"{n:032x}") for n in range(3)]
    rows.append(ecg_row(id="e" * 32, source="films", study="e" * 32))
    dataset = write(tmp_path / "set", rows)
    qoqdata.stats(dataset, prior=True)
    return dataset


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The entry points as pyproject.toml says them, whatever is installed here."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    entries = project["entry-points"][attention.GROUP]
    points = [EntryPoint(name, value, attention.GROUP) for name, value in entries.items()]
    monkeypatch.setattr(attention, "entry_points", lambda group: points)
    yield


def test_the_training_package_says_it(dataset: Dataset, registered: None) -> None:
    table = attention.read_attention(dataset)
    assert table is not None
    assert table["domain"].to_list() == ["chest_xray", "ecg"]
    # The default budget gives each domain alike, and the stream draws so: no one is repeated more
    # than ten times.
    assert table["target"].to_list() == [0.5, 0.5]
    assert table["sampled"].to_list() == pytest.approx([0.5, 0.5], abs=1e-6)
    weights = {row.domain: row.weight for row in qoqtrain.attention(dataset)}
    assert dict(zip(table["domain"], table["weight"], strict=True)) == weights
    products = (table["sampled"] * table["weight"]).to_list()
    assert table["product"].to_list() == pytest.approx([p / sum(products) for p in products])


def test_no_package_trains(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "entry_points", lambda group: [])
    assert attention.read_attention(dataset) is None
