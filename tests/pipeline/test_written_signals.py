"""Signals read as they were written: what Arrow reads, to the last bit, and a recording once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings

from qoqdata.pipeline.own_columns import chunk, runs, shard_file, signal_pages, written
from qoqdata.records.ecg_column import ecg_rows
from qoqdata.records.rows import SCHEMA
from tests.pipeline.test_own_columns import cell, recordings, shard
from tests.pipeline.test_shards import recording

STEPS = cell(np.arange(600).reshape(2, 300) % 20 / 1000)
COMPUTED = cell(np.sin(np.arange(600)).reshape(2, 300))


def own(path: Path) -> list[Any]:
    """The signals of all rows; what stands beside them is as Arrow reads it."""
    rows: list[Any] = []
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            beside, ecgs = written.read_row_group(path, file, group)
            assert beside.equals(file.read_row_group(group).drop_columns("ecg"))
            rows += ecgs
    return rows


def by_arrow(path: Path) -> list[Any]:
    return ecg_rows(pq.read_table(path)["ecg"].combine_chunks())


def are_pages_of_ours(path: Path) -> bool:
    return written.written_runs(path, pq.read_metadata(path), 0) is not None


def plain(ecg: Any) -> Any:
    """A value of which no float is rounded and no NaN differs from itself."""
    return ecg and (
        *(ecg["leads"], ecg["fs"]),
        *([one.tobytes() for one in ecg[name]] for name in ("signal", "valid")),
    )


def same(one: list[Any], other: list[Any]) -> bool:
    return list(map(plain, one)) == list(map(plain, other))


@settings(deadline=None, max_examples=40)
@given(recordings())
def test_rows_are_those_that_arrow_reads(tmp_path_factory: Any, ecgs: list[Any]) -> None:
    path = tmp_path_factory.mktemp("shards") / "train-00000.parquet"
    shard(path, ecgs)
    assert same(own(path), ecgs) and same(own(path), by_arrow(path))
    assert are_pages_of_ours(path) or not any(ecgs[:100])


def test_neighbours_share_a_recording_and_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "train-00000.parquet"
    shard(path, [STEPS, STEPS, None, STEPS, STEPS | {"fs": 250.0}])
    first, second, none, later, slower = own(path)
    assert first is second and first is not later and later is not slower
    assert none is None and (later["fs"], slower["fs"]) == (500.0, 250.0)


def test_a_long_run_of_several_pages(tmp_path: Path, monkeypatch: Any) -> None:
    path = tmp_path / "train-00000.parquet"
    ecgs = [recording(n // 10)["ecg"] for n in range(90)]
    monkeypatch.setattr(signal_pages, "_PAGE_BYTES", 4 * 16_000)
    shard(path, ecgs)
    assert are_pages_of_ours(path) and same(own(path), ecgs)


def last_bit_flipped(stored: Callable[..., list[bytes]]) -> Callable[..., list[bytes]]:
    def encoded(values: np.ndarray, rows: int) -> list[bytes]:
        content = bytearray(b"".join(stored(values, rows)))
        content[-2] ^= rows > 1  # Of a place in a dictionary the lower byte.
        return [bytes(content)]

    return encoded


@pytest.mark.parametrize(
    ("ecg", "encoding"),
    [
        (STEPS, signal_pages.BY_DICTIONARY),
        (STEPS, chunk.PLAIN),
        (COMPUTED, signal_pages.BYTE_STREAM_SPLIT),
    ],
)
def test_a_page_whose_last_row_differs_by_a_bit(
    ecg: Any, encoding: int, tmp_path: Path, monkeypatch: Any
) -> None:
    path = tmp_path / "train-00000.parquet"
    with monkeypatch.context() as patch:
        patch.setitem(
            signal_pages._ENCODED, encoding, last_bit_flipped(signal_pages._ENCODED[encoding])
        )
        shard(path, [ecg] * 8)
    assert not are_pages_of_ours(path)
    rows = own(path)
    assert same(rows, by_arrow(path))
    assert same(rows[:7], [ecg] * 7) and not same(rows[7:], [ecg])


def test_pages_that_arrow_wrote(tmp_path: Path, monkeypatch: Any) -> None:
    path = tmp_path / "train-00000.parquet"
    monkeypatch.setattr(runs, "LARGEST", 1000)
    shard(path, [STEPS, STEPS, COMPUTED])
    assert not are_pages_of_ours(path) and same(own(path), by_arrow(path))


def test_columns_of_leads_and_signals_that_disagree(tmp_path: Path) -> None:
    """Of a row that has a signal and no leads what Arrow says is said."""
    path = tmp_path / "train-00000.parquet"
    rows = [recording(n) | {"ecg": ecg} for n, ecg in enumerate((None, STEPS))]
    empty: dict[str, Any] = {"signal": [], "valid": []}
    table = pa.Table.from_pylist([rows[0], rows[1] | {"ecg": STEPS | empty}], SCHEMA)
    compression = dict.fromkeys((shard_file.SIGNAL, shard_file.VALID), "zstd")
    with shard_file.ShardFile(path, SCHEMA, {"compression": compression}) as writer:
        writer.write_table(table, 100, runs=runs.row_runs([STEPS, STEPS]))
    assert are_pages_of_ours(path)
    assert same(own(path), by_arrow(path))


@pytest.mark.parametrize(
    ("levels", "count"),
    [
        (signal_pages._levels(3, 2, 600), 1801),
        (signal_pages._levels(2**22 // 600, 2, 600), 2**22 // 600 * 600 + 600),
        (b"\x06\x00\x00\x00\x02\x00\xfe\xff\xff\x7f", 2**40),
        (b"\x02\x00\x00\x00\x02\x01", 1),
        (b"\x00\x00\x00\x00", 1),
    ],
)
def test_levels_of_no_page_of_ours(levels: bytes, count: int) -> None:
    """Counts that differ, rows that fill more than a page, a row that never begins, nothing."""
    with pytest.raises((ValueError, IndexError)):
        signal_pages.row_shape(levels, count)
