"""Shards: their row groups, and bytes that depend on nothing but their rows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qoqdata.contract.record import RECORD
from qoqdata.pipeline import shards
from qoqdata.pipeline.own_columns import media_page, signal_pages
from qoqdata.pipeline.shards import rewrite_shard, write_shard

Row = dict[str, Any]

SIGNAL = "ecg.signal.list.element.list.element"


def image(number: int, size: int = 14_000) -> Row:
    """A record with incompressible bytes for an image."""
    rng = np.random.default_rng(number)
    image = {"bytes": rng.bytes(size), "path": f"{number}.jpg"}
    return _row(number) | {"images": [image]}


def ecg(number: int) -> Row:
    """A record with an ECG of two leads."""
    rng = np.random.default_rng(number)
    signal = (rng.integers(-3000, 3000, (2, 500)) / 1000).astype(np.float32)
    valid = np.ones(500, np.bool_)
    said = {"leads": ["I", "II"], "fs": 250.0, "signal": list(signal), "valid": [valid, valid]}
    return _row(number) | {"ecg": said}


def asked(make: Callable[[int], Row], times: int, count: int = 240) -> list[Row]:
    """`count` records, `times` neighbours of which show the same; names of files are their own."""
    rows = []
    for number in range(count):
        row = make(number // times)
        images = [item | {"path": f"{number}.jpg"} for item in row["images"] or ()]
        rows.append(_row(number) | {"images": images or None, "ecg": row["ecg"]})
    return rows


def encodings(path: Path, leaf: str) -> set[str]:
    """How the first row group stores a column."""
    group = pq.read_metadata(path).row_group(0)
    chunks = map(group.column, range(group.num_columns))
    return {name for one in chunks if one.path_in_schema == leaf for name in one.encodings}


def recording(number: int) -> Row:
    """A record with an ECG of two long leads in steps of 1 microvolt."""
    rng = np.random.default_rng(number)
    signal = (rng.integers(-200, 200, (2, 2000)) / 1000).astype(np.float32)
    valid = np.ones(2000, np.bool_)
    said = {"leads": ["I", "II"], "fs": 500.0, "signal": list(signal), "valid": [valid, valid]}
    return _row(number) | {"ecg": said}


def _row(number: int) -> Row:
    name = hashlib.sha256(str(number).encode()).hexdigest()[:32]
    return dict.fromkeys(RECORD.names) | {
        "id": name,
        "source": "films",
        "question": "What does it show?",
        "answer": "Effusion" if number % 3 else "No finding",
        "options": ["Effusion", "No finding"],
        "provenance": {
            "raw": [f"{number}.jpg"],
            "digest": name,
            "converter": "films",
            "version": "1",
            "notes": [],
        },
    }


def written(path: Path, rows: list[Row]) -> bytes:
    """The bytes of a shard of `rows`."""
    write_shard(path, rows, source="films", split="train")
    return path.read_bytes()


def groups(path: Path) -> list[int]:
    metadata = pq.read_metadata(path)
    return [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]


def test_row_groups_hold_a_hundred_rows_however_many_are_made_together(tmp_path, monkeypatch):
    path = tmp_path / "train-00000.parquet"
    rows = [image(n, 100) for n in range(1230)]
    first = written(path, rows)
    assert groups(path) == [100] * 12 + [30]
    monkeypatch.setattr(shards, "BATCH_BYTES", 1)
    assert written(path, rows) == first


def test_heavy_rows_are_written_early(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "ROW_GROUP_BYTES", 3000)
    path = tmp_path / "train-00000.parquet"
    written(path, [image(n, 1000) for n in range(8)])
    assert groups(path) == [3, 3, 2]


@pytest.mark.parametrize("make", [image, ecg])
def test_a_shard_rewritten_without_a_change_is_the_same_file(make: Callable, tmp_path):
    path, target = tmp_path / "train-00000.parquet", tmp_path / "rewritten.parquet"
    shard = write_shard(path, [make(n) for n in range(250)], source="films", split="train")
    assert shard is not None
    assert rewrite_shard(path, target, shard, lambda table: table) == shard
    assert target.read_bytes() == path.read_bytes()
    assert hashlib.sha256(target.read_bytes()).hexdigest() == shard.sha256


def test_four_questions_about_a_study_store_its_image_once(tmp_path, monkeypatch):
    rows = asked(image, 4)
    once = written(tmp_path / "a.parquet", rows)
    assert written(tmp_path / "b.parquet", iter(rows)) == once
    monkeypatch.setattr(media_page, "_REPEATED_SHARE", 1)
    plain = written(tmp_path / "c.parquet", rows)
    assert len(once) < 0.3 * len(plain)
    assert pq.read_table(tmp_path / "a.parquet") == pq.read_table(tmp_path / "c.parquet")


@pytest.mark.parametrize("dictionary", [True, False])
def test_four_questions_about_a_recording_store_its_signal_once(dictionary, tmp_path, monkeypatch):
    if not dictionary:
        monkeypatch.setattr(signal_pages, "SAMPLES_A_VALUE", 10**9)
    path = tmp_path / "train-00000.parquet"
    each = written(path, asked(recording, 1))
    assert ("RLE_DICTIONARY" in encodings(path, SIGNAL)) is dictionary
    assert len(written(path, asked(recording, 4))) < 0.35 * len(each)


def test_masks_are_stored_once_where_images_are_not(tmp_path):
    path = tmp_path / "train-00000.parquet"
    mask = {"bytes": image(1)["images"][0]["bytes"], "path": "m.png"}
    written(path, [image(n) | {"masks": [mask, mask]} for n in range(100)])
    assert "RLE_DICTIONARY" in encodings(path, "masks.list.element.bytes")
    assert "RLE_DICTIONARY" not in encodings(path, "images.list.element.bytes")


def test_a_dictionary_is_there_where_it_pays(tmp_path):
    path, leaf = tmp_path / "train-00000.parquet", "images.list.element.bytes"
    for times, wanted in ((1, False), (2, True), (100, True)):
        written(path, asked(image, times))
        assert ("RLE_DICTIONARY" in encodings(path, leaf)) is wanted
    sizes = [image(n, 14_000 + 10 * n) for n in range(50)]
    for rows, wanted in ((sizes, False), ([*sizes, *sizes], True), ([*sizes, *sizes[:4]], False)):
        written(path, rows)
        assert ("RLE_DICTIONARY" in encodings(path, leaf)) is wanted
    one_pair = [image(0), *asked(image, 1)[:99]]
    written(path, one_pair)
    assert "RLE_DICTIONARY" not in encodings(path, leaf)


def test_viewers_find_pages_of_every_column_by_an_index(tmp_path):
    path = tmp_path / "train-00000.parquet"
    written(path, [image(number, 1000) for number in range(250)])
    footer = pq.read_metadata(path)
    for group in range(footer.num_row_groups):
        columns = [footer.row_group(group).column(n) for n in range(footer.num_columns)]
        assert all(column.has_offset_index for column in columns)
        assert columns[0].path_in_schema == "id" and columns[0].has_column_index


def test_computed_signals_have_no_dictionary(tmp_path):
    path = tmp_path / "train-00000.parquet"
    rows = [recording(n) for n in range(20)]
    for row in rows:
        row["ecg"]["signal"] = [np.cumsum(np.exp(lead)) for lead in row["ecg"]["signal"]]
    written(path, rows)
    assert encodings(path, SIGNAL) == {"RLE", "BYTE_STREAM_SPLIT"}


@pytest.mark.parametrize("make", [image, recording])
def test_a_rewritten_shard_stores_once_what_repeats(make: Callable, tmp_path):
    path, target = tmp_path / "train-00000.parquet", tmp_path / "rewritten.parquet"
    shard = write_shard(path, asked(make, 4), source="films", split="train")
    assert shard is not None
    assert rewrite_shard(path, target, shard, lambda table: table) == shard
    assert target.read_bytes() == path.read_bytes()
    less = rewrite_shard(path, target, shard, lambda table: table.slice(1))
    assert less is not None and less.bytes < 1.01 * shard.bytes


def test_images_stored_once_are_read_by_everyone(tmp_path):
    from datasets import Image, load_dataset

    path = tmp_path / "train-00000.parquet"
    rows = asked(image, 4)
    written(path, rows)
    wanted = [hashlib.sha256(row["images"][0]["bytes"]).hexdigest() for row in rows]
    by_polars = pl.read_parquet(path)["images"].to_list()
    loaded = [
        load_dataset("parquet", data_files=str(path), split="train", streaming=streaming)
        for streaming in (True, False)
    ]
    for items in (
        by_polars,
        *(one.cast_column("images", [Image(decode=False)])["images"] for one in loaded),
    ):
        assert [hashlib.sha256(item[0]["bytes"]).hexdigest() for item in items] == wanted
    found = duckdb.sql(f"select sha256(images[1].bytes) from '{path}'").fetchall()
    assert [digest for (digest,) in found] == wanted


def test_a_rewritten_shard_without_rows_is_no_file(tmp_path):
    path, target = tmp_path / "train-00000.parquet", tmp_path / "rewritten.parquet"
    shard = write_shard(path, [image(n) for n in range(3)], source="films", split="train")
    target.write_bytes(b"an older one")
    assert rewrite_shard(path, target, shard, lambda table: table.slice(0, 0)) is None
    assert not target.exists()


def test_signals_and_images_read_back_as_they_were(tmp_path):
    path = tmp_path / "train-00000.parquet"
    rows = [ecg(n) for n in range(3)]
    written(path, rows)
    found = pq.read_table(path).to_pylist()
    for row, back in zip(rows, found, strict=True):
        np.testing.assert_array_equal(back["ecg"]["signal"], row["ecg"]["signal"])
    images = [image(n) for n in range(3)]
    written(path, images)
    stored = pq.read_table(path, columns=["images"]).column(0)
    assert pa.array([row["images"] for row in images], stored.type) == stored.combine_chunks()


def test_a_store_that_cuts_by_content_finds_what_did_not_change(tmp_path):
    """Without the first record every row group holds other rows: most bytes are still known."""
    rows = [image(n) for n in range(600)]
    before = _pieces(written(tmp_path / "a.parquet", rows))
    after = _pieces(written(tmp_path / "b.parquet", rows[1:]))
    new = sum(size for piece, size in after.items() if piece not in before)
    assert new < 0.15 * sum(after.values())


def _pieces(data: bytes) -> dict[bytes, int]:
    """Digest and size of each piece: cut where a rolling hash of 64 bytes says, 8 to 128 KiB."""
    table = np.random.default_rng(1).integers(0, 2**64, 256, dtype=np.uint64)
    values = table[np.frombuffer(data, np.uint8)]
    rolling = np.zeros(len(values), np.uint64)
    for back in range(64):
        rolling[back:] += values[: len(values) - back] << np.uint64(back)
    cuts = np.append(np.flatnonzero(rolling >> np.uint64(48) == 0) + 1, len(data))
    pieces, start = {}, 0
    while start < len(data):
        found = int(cuts[min(np.searchsorted(cuts, start + 2**13), len(cuts) - 1)])
        end = min(found, start + 2**17)
        pieces[hashlib.sha256(data[start:end]).digest()] = end - start
        start = end
    return pieces
