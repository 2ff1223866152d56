"""Parquet written by plain pyarrow opens as it should in the readers that people use."""

from __future__ import annotations

from pathlib import Path

import datasets
import duckdb
import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from PIL import Image

from qoqdata.contract.record import RECORD
from tests.records.sound_rows import HEIGHT, WIDTH, ecg_row, image_row, table


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An image record and an ECG record."""
    path = tmp_path / "records.parquet"
    pq.write_table(table(image_row(), ecg_row()), path)
    return path


def test_hugging_face_decodes_images_and_signals(file: Path, tmp_path: Path) -> None:
    loaded = datasets.load_dataset(
        "parquet", data_files=str(file), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert tuple(loaded.column_names) == RECORD.names
    image, ecg = loaded[0], loaded[1]
    assert isinstance(image["images"][0], Image.Image)
    assert image["images"][0].size == (WIDTH, HEIGHT)
    assert np.array_equal(np.asarray(image["images"][0])[1], range(WIDTH))
    assert isinstance(image["masks"][0], Image.Image)
    assert image["image_info"][0]["spacing"] == [0.5, 0.25]
    assert image["image_info"][0]["window"]["centre"] == -600
    assert image["uncertain"] == [] and ecg["uncertain"] is None
    assert ecg["images"] is None and ecg["age"] is None
    assert ecg["ecg"]["signal"] == [[0.0, 0.5, -0.25], [1.0, 1.5, 0.125]]
    assert ecg["ecg"]["valid"][1] == [True, False, True]


def test_polars(file: Path) -> None:
    first, second = pl.read_parquet(file).to_dicts()
    assert first["images"][0]["bytes"] == image_row()["images"][0]["bytes"]
    assert first["regions"][0]["x_max"] == WIDTH
    assert second["ecg"]["signal"] == ecg_row()["ecg"]["signal"]


def test_duckdb(file: Path) -> None:
    query = f"""
        select id, len(images), images[1].bytes, regions[1].label, ecg.signal[2][3], age
        from '{file}' order by source desc
    """
    image, ecg = duckdb.sql(query).fetchall()
    row = image_row()
    assert image == (row["id"], 1, row["images"][0]["bytes"], "opacity", None, 61)
    assert ecg == (ecg_row()["id"], None, None, None, 0.125, None)
