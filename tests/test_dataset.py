"""Opening and reading a data set."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import datasets
import duckdb
import numpy as np
import polars as pl
import pytest
from PIL import Image

import qoqdata
from qoqdata.contract.record import RECORD
from qoqdata.dataset import Dataset
from qoqdata.errors import DatasetError, MissingKey
from qoqdata.sources import catalogue
from qoqdata.suite.examples import build_example
from tests.records.sound_rows import ecg_row, image_row
from tests.validation.written_set import load, save, write


def image(number: int, split: str = "train", **changes: Any) -> dict[str, Any]:
    keys = {"id": f"r{number}", "patient": f"p{number}", "study": f"s{number}", "split": split}
    return image_row(**keys | changes)


ROWS = [
    image(1),
    image(2, "validation"),
    image(3, "test"),
    ecg_row(id="r4", source="films", study="s4"),
    image(5, images=None, image_info=None),
    image(6, images=None, image_info=None, regions=None, masks=None, context="Cough."),
]


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Two images, an ECG, a text and an annotation-only record in three splits."""
    return write(tmp_path / "set", ROWS, annotation_only=1)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hugging Face caches into the test's folder."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def test_records(dataset: Dataset) -> None:
    frame = dataset.records.collect()
    assert tuple(frame.columns) == RECORD.names
    assert sorted(frame["id"]) == ["r1", "r2", "r3", "r4", "r5", "r6"]
    wanted = dataset.records.filter(pl.col("split") == "test").select("id", "answer").collect()
    assert wanted.rows() == [("r3", "Opacity, Effusion")]


def test_paths_are_those_of_the_manifest(dataset: Dataset) -> None:
    assert [path.relative_to(dataset.root).as_posix() for path in dataset.paths] == [
        f"data/films/{split}-00000.parquet" for split in ("test", "train", "validation")
    ]


def test_metadata_is_light(dataset: Dataset) -> None:
    frame = dataset.metadata()
    assert not {"images", "masks", "ecg", "image_info", "context"} & set(frame.columns)
    shown = {row["id"]: (row["n_images"], row["shows"]) for row in frame.iter_rows(named=True)}
    assert shown == {
        "r1": (1, True),
        "r2": (1, True),
        "r3": (1, True),
        "r4": (0, True),
        "r5": (0, False),
        "r6": (0, True),
    }
    first = frame.filter(pl.col("id") == "r1").to_dicts()[0]
    assert first["options"] == ["Clear", "Opacity", "Effusion"]
    assert first["labels"] == ["Opacity", "Effusion"] and first["uncertain"] == []
    ecg = frame.filter(pl.col("id") == "r4").to_dicts()[0]
    assert ecg["options"] is None and ecg["labels"] is None and ecg["patient"] is None


def test_kept_leaves_out_what_shows_nothing_and_what_was_dropped(dataset: Dataset) -> None:
    assert sorted(dataset.kept()["id"]) == ["r1", "r2", "r3", "r4", "r6"]
    dataset.layout.verdicts.parent.mkdir()
    verdicts = pl.DataFrame({"id": ["r1", "r2", "gone"], "keep": [False, True, False]})
    verdicts = verdicts.with_columns(rule=pl.lit("leakage"))
    verdicts.write_parquet(dataset.layout.verdicts)
    assert sorted(dataset.kept()["id"]) == ["r2", "r3", "r4", "r6"]


def test_ids_of_no_record_are_refused(dataset: Dataset) -> None:
    dataset.refuse_unknown(["r5", "r1"], of="rollout")
    dataset.refuse_unknown([], of="rollout")
    with pytest.raises(DatasetError) as raised:
        dataset.refuse_unknown({"z": 0, "r1": 1, "": 2}, of="rollout")
    assert raised.value.what == "2 of 3 rollout ids are not in the data set, such as "
    assert raised.value.where == str(dataset.root)
    with pytest.raises(MissingKey, match="such as z") as told:
        dataset.refuse_unknown(["z"], of="prediction", where="file", error=MissingKey)
    assert (told.value.where, told.value.fix) == ("file", "use the predictions of this data set")


@pytest.mark.usefixtures("cache")
def test_to_hugging_face(dataset: Dataset) -> None:
    loaded = dataset.to_hf()
    assert {split: part.num_rows for split, part in loaded.items()} == {
        "train": 4,
        "validation": 1,
        "test": 1,
    }
    (row,) = loaded["test"]
    assert isinstance(row["images"][0], Image.Image) and row["images"][0].size == (6, 4)
    ecg = next(row for row in loaded["train"] if row["id"] == "r4")
    assert np.array(ecg["ecg"]["signal"]).shape == (2, 3)


@pytest.mark.usefixtures("cache")
def test_names_of_folders_are_no_patterns(dataset: Dataset, tmp_path: Path) -> None:
    for name in ("films [2026]", "lr=3", "s*"):
        shutil.copytree(dataset.root, tmp_path / name / "set")
        opened = qoqdata.open(tmp_path / name / "set")
        assert opened.records.collect().height == 6
        assert opened.metadata().height == 6
        assert sum(opened.to_hf().num_rows.values()) == 6


def test_duckdb_reads_the_shards_as_they_are(dataset: Dataset) -> None:
    query = f"select count(*), max(age) from '{dataset.root}/data/*/*.parquet'"
    assert duckdb.sql(query).fetchall() == [(6, 61)]


def test_cards_and_statistics(tmp_path: Path) -> None:
    built = build_example(catalogue.find_source("image_table"), tmp_path / "set").dataset
    assert set(built.cards) == {"our_films"}
    assert built.cards["our_films"].name == "Chest films of our hospital"
    with pytest.raises(DatasetError, match="no statistics yet"):
        built.stats  # noqa: B018


def test_a_lost_or_broken_card(dataset: Dataset) -> None:
    path = dataset.layout.card("films")
    for content in ("{", "{}", None):
        if content is None:
            path.unlink()
        else:
            path.write_text(content)
        with pytest.raises(DatasetError, match="no card as built") as raised:
            qoqdata.open(dataset.root).cards  # noqa: B018
        assert str(path) in str(raised.value)


def test_an_empty_set_says_so(tmp_path: Path) -> None:
    empty = write(tmp_path / "set", [])
    for read in (lambda: empty.records, empty.metadata, empty.kept, empty.to_hf):
        with pytest.raises(DatasetError, match="holds no record"):
            read()


def test_open_takes_text_and_paths(dataset: Dataset) -> None:
    assert qoqdata.open(str(dataset.root)) == qoqdata.open(dataset.root) == dataset


def test_nothing_to_open(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such data set"):
        qoqdata.open(tmp_path / "none")
    with pytest.raises(DatasetError, match=r"holds no manifest.*folder that `qoqdata build` wrote"):
        qoqdata.open(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff", b"null"])
def test_what_is_no_manifest(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(DatasetError, match="is not a manifest"):
        qoqdata.open(tmp_path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schema_version": 1}, "schema version 1, this is 2"),
        ({"shards": None}, "shards"),
        ({"digest": "short"}, "digest"),
        ({"extra": 1}, "extra"),
    ],
)
def test_other_versions_and_faults(dataset: Dataset, changes: dict, said: str) -> None:
    save(dataset.root, load(dataset.root) | changes)
    with pytest.raises(DatasetError, match=said):
        qoqdata.open(dataset.root)
