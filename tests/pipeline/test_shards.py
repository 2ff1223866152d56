"""Shards: their row groups, and bytes that depend on nothing but their rows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qoqdata.contract.record import RECORD
from qoqdata.pipeline import shards
from qoqdata.pipeline.shards import rewrite_shard, write_shard

Row = dict[str, Any]


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
