"""Signals of a shard: what everyone reads back, page by page."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qoqdata.contract.manifest import Shard
from qoqdata.pipeline.own_columns import runs, shard_file, signal_pages, thrift
from qoqdata.pipeline.shards import rewrite_shard, write_shard
from qoqdata.records.rows import SCHEMA
from tests.pipeline.test_shards import Row, image, recording

KIND = SCHEMA.field("ecg").type
LEAVES = (shard_file.SIGNAL, shard_file.VALID)


def cell(signal: np.ndarray, valid: np.ndarray | None = None) -> dict[str, Any]:
    """A value of the column, of a signal (lead, sample)."""
    valid = np.ones(signal.shape, np.bool_) if valid is None else valid
    leads = [f"signal {n}" for n in range(len(signal))]
    rows = list(signal.astype(np.float32))
    return {"leads": leads, "fs": 500.0, "signal": rows, "valid": list(valid)}


def shard(path: Path, ecgs: list[Any], **more: Any) -> Shard:
    """A shard with these values, each in a row of its own."""
    rows = [recording(n) | more | {"ecg": ecg} for n, ecg in enumerate(ecgs)]
    written = write_shard(path, rows, source="films", split="train")
    assert written is not None
    return written


def by_arrow(ecgs: list[Any]) -> pa.Array:
    """What Arrow itself makes of the values."""

    def plain(ecg: Any) -> Any:
        return ecg and ecg | {
            name: [list(one) for one in ecg[name]] for name in ("signal", "valid")
        }

    return pa.array([ecg and plain(ecg) for ecg in ecgs], KIND)


@st.composite
def recordings(draw: st.DrawFn) -> list[Any]:
    """Few different recordings, or none, in runs; steps of a recorder or values of any bits."""
    several: list[Any] = [None]
    for _ in range(draw(st.integers(1, 4))):
        shape = draw(st.integers(1, 3)), draw(st.integers(1, 40))
        rng = np.random.default_rng(draw(st.integers(0, 2**32)))
        if draw(st.booleans()):
            signal = rng.integers(-3, 3, shape) / 1000 * draw(st.sampled_from((1, -1)))
        else:
            signal = rng.integers(0, 2**32, shape, np.uint32).view(np.float32)
            signal = np.where(np.isfinite(signal), signal, np.float32(-0.0))
        several.append(cell(signal, rng.random(shape) < 0.8))
    picks = st.tuples(st.integers(0, len(several) - 1), st.integers(1, 60))
    chosen = draw(st.lists(picks, min_size=1, max_size=6))
    return [several[which] for which, times in chosen for _ in range(times)]


@settings(deadline=None, max_examples=40)
@given(recordings())
def test_rows_come_back_to_the_last_bit(tmp_path_factory: Any, ecgs: list[Any]) -> None:
    path = tmp_path_factory.mktemp("shards") / "train-00000.parquet"
    entry = shard(path, ecgs)
    table = pq.read_table(path, page_checksum_verification=True)
    assert table.schema.equals(SCHEMA) and table.schema.metadata == SCHEMA.metadata
    wanted = by_arrow(ecgs)
    read = table["ecg"].combine_chunks()
    assert read.equals(wanted)
    assert bits(read).tobytes() == bits(wanted).tobytes()
    assert pl.read_parquet(path)["ecg"].equals(pl.Series("ecg", wanted))
    target = path.with_name("rewritten.parquet")
    assert rewrite_shard(path, target, entry, lambda table: table) == entry
    assert target.read_bytes() == path.read_bytes()


def bits(ecg: pa.StructArray) -> np.ndarray:
    """The samples as integers, which tell 0.0 from -0.0."""
    signal = pc.struct_field(ecg, "signal")
    flat = pc.list_flatten(pc.list_flatten(signal))
    return flat.to_numpy().view(np.uint32)


def test_equal_recordings_of_different_objects_are_one(tmp_path: Path) -> None:
    signal = np.arange(600).reshape(2, 300) % 20 / 1000
    one = [cell(signal)] * 30
    each = [cell(signal.copy()) for _ in range(30)]
    shard(tmp_path / "one.parquet", one)
    shard(tmp_path / "each.parquet", each)
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "each.parquet").read_bytes()
    (run,) = runs.row_runs(each) or ()
    assert (run.rows, run.leads, run.samples.size) == (30, 2, 600)


def test_signals_are_read_by_duckdb_and_datasets(tmp_path: Path) -> None:
    from datasets import load_dataset

    path = tmp_path / "train-00000.parquet"
    ecgs = [None, *[recording(n // 3)["ecg"] for n in range(130)]]
    shard(path, ecgs)
    wanted = [ecg and np.stack(ecg["signal"]).tolist() for ecg in ecgs]
    rows = duckdb.sql(f"select ecg.signal, ecg.valid from '{path}'").fetchall()
    assert [signal for signal, _ in rows] == wanted
    assert all(all(map(all, valid)) for _, valid in rows[1:])
    few = duckdb.sql(f"select ecg.signal from '{path}' limit 2 offset 120").fetchall()
    assert [signal for (signal,) in few] == wanted[120:122]
    for streaming in (True, False):
        loaded = load_dataset("parquet", data_files=str(path), split="train", streaming=streaming)
        assert [ecg and ecg["signal"] for ecg in loaded["ecg"]] == wanted


@pytest.mark.parametrize("modality", ["multimodal", None])
def test_media_beside_signals_stay_where_footer_and_index_say(
    modality: str | None, tmp_path: Path
) -> None:
    """Rows of both kinds; every page is where the index of its column puts it."""
    path = tmp_path / "train-00000.parquet"
    rows: list[Row] = [image(n, 3000) | {"modality": modality} for n in range(330)]
    for n, row in enumerate(rows):
        row["ecg"] = recording(n // 7)["ecg"] if n % 4 and not 100 <= n < 200 else None
    write_shard(path, rows, source="films", split="train")
    table = pq.read_table(path, page_checksum_verification=True)
    images = pa.array([row["images"] for row in rows], SCHEMA.field("images").type)
    assert table["images"].combine_chunks().equals(images)
    assert table["ecg"].combine_chunks().equals(by_arrow([row["ecg"] for row in rows]))
    assert pl.scan_parquet(path).filter(pl.col("id") == rows[250]["id"]).collect().height == 1
    ends = [0]
    for chunk, group_rows in chunks(path):
        located = locations(path, chunk)
        firsts = [first for *_, first in located]
        assert firsts[0] == 0 and all(a < b for a, b in pairwise(firsts))
        assert firsts[-1] < group_rows
        facts = chunk[3][1]
        begin = facts.get(11, facts[9])[1]
        assert located[0][0] == facts[9][1]
        assert located[-1][0] + located[-1][1] == begin + facts[7][1]
        assert all(a + size == b for (a, size, _), (b, *_) in pairwise(located))
        ends.append(begin)
    assert len(set(ends)) == len(ends)


def chunks(path: Path) -> Iterator[tuple[Any, int]]:
    """The column chunks of a file, and how many rows their row groups have."""
    data = path.read_bytes()
    size = int.from_bytes(data[-8:-4], "little")
    asked = {4: shard_file._FOOTER[4] | {3: {}}}
    footer, _ = thrift.read_struct(data[-8 - size : -8], 0, asked)
    for group in footer[4][1][1]:
        for chunk in group[1][1][1]:
            yield chunk, group[3][1]


def locations(path: Path, chunk: Any) -> list[tuple[int, int, int]]:
    """Place, length and first row of the pages of a chunk, by its index."""
    begin, size = chunk[4][1], chunk[5][1]
    asked = {1: {1: {}, 2: {}, 3: {}}}
    index, _ = thrift.read_struct(path.read_bytes()[begin : begin + size], 0, asked)
    return [tuple(page[n][1] for n in (1, 2, 3)) for page in index[1][1][1]]


def test_a_recording_is_a_page_and_a_long_run_several(tmp_path: Path, monkeypatch: Any) -> None:
    path = tmp_path / "train-00000.parquet"
    ecgs = [recording(n // 10)["ecg"] for n in range(90)]
    shard(path, ecgs)
    assert page_rows(path) == [list(range(0, 90, 10))] * 2
    monkeypatch.setattr(signal_pages, "_PAGE_BYTES", 4 * 16_000)
    shard(path, ecgs)
    firsts = [ten + at for ten in range(0, 90, 10) for at in (0, 4, 8)]
    assert page_rows(path) == [firsts] * 2
    assert pq.read_table(path)["ecg"].combine_chunks().equals(by_arrow(ecgs))


def page_rows(path: Path) -> list[list[int]]:
    """The first rows of the pages of signal and mask, of a file of one row group."""
    found = []
    for chunk, _ in chunks(path):
        name = pq.read_metadata(path).row_group(0).column(len(found)).path_in_schema
        found.append((name, [first for *_, first in locations(path, chunk)]))
    return [firsts for name, firsts in found if name in LEAVES]


def test_more_values_than_two_bytes_number(tmp_path: Path) -> None:
    """70,000 values, each four times: places in the dictionary are of four bytes."""
    path = tmp_path / "train-00000.parquet"
    values = np.tile(np.arange(35_000), (2, 4)) / 1000
    ecgs = [cell(values), cell(-values - 1), cell(values)]
    shard(path, ecgs)
    group = pq.read_metadata(path).row_group(0)
    facts = {group.column(n).path_in_schema: group.column(n) for n in range(group.num_columns)}
    assert "RLE_DICTIONARY" in facts[shard_file.SIGNAL].encodings
    assert facts[shard_file.SIGNAL].num_values == 3 * 280_000
    assert pq.read_table(path)["ecg"].combine_chunks().equals(by_arrow(ecgs))
    assert pl.read_parquet(path)["ecg"].equals(pl.Series("ecg", by_arrow(ecgs)))


def test_what_has_no_pages_of_ours_arrow_writes(tmp_path: Path, monkeypatch: Any) -> None:
    """A signal too large for them; leads of two lengths, which records never have."""
    path = tmp_path / "train-00000.parquet"
    ecgs = [recording(n)["ecg"] for n in range(3)]
    monkeypatch.setattr(runs, "LARGEST", 1000)
    entry = shard(path, ecgs)
    assert pq.read_table(path)["ecg"].combine_chunks().equals(by_arrow(ecgs))
    assert rewrite_shard(path, tmp_path / "b.parquet", entry, lambda table: table) == entry
    monkeypatch.undo()
    ragged = cell(np.zeros((2, 5)))
    ragged["signal"][1], ragged["valid"][1] = ragged["signal"][1][:3], ragged["valid"][1][:3]
    shard(path, [ragged, ecgs[0]])
    assert pq.read_table(path)["ecg"].combine_chunks().equals(by_arrow([ragged, ecgs[0]]))
    nulls = by_arrow(ecgs).to_pylist()
    for path_, value in ((("signal",), None), (("signal", 0), None), (("valid", 1, 2), None)):
        broken = pa.array([_with(nulls[0], path_, value)], KIND)
        assert runs.column_runs(broken) is None


def _with(ecg: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    ecg = ecg | {name: [list(lead) for lead in ecg[name]] for name in ("signal", "valid")}
    inner: Any = ecg
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return ecg


@pytest.mark.parametrize("leaf", LEAVES)
def test_a_flipped_bit_of_a_page_is_found(leaf: str, tmp_path: Path) -> None:
    path = tmp_path / "train-00000.parquet"
    shard(path, [recording(n // 4)["ecg"] for n in range(40)])
    group = pq.read_metadata(path).row_group(0)
    columns = [group.column(n) for n in range(group.num_columns)]
    (chunk,) = (column for column in columns if column.path_in_schema == leaf)
    data = bytearray(path.read_bytes())
    data[chunk.data_page_offset + chunk.total_compressed_size // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises((OSError, pa.ArrowException)):
        pq.read_table(path, page_checksum_verification=True)


@pytest.mark.parametrize("asked", [{}, shard_file._FOOTER])
def test_a_footer_that_is_not_changed_is_written_as_it_was(asked: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table({"a": [1.5, None], "b": [["x"], []], "c": [True, False]})
    pq.write_table(pa.concat_tables([table] * 40), path, row_group_size=3, write_page_index=True)
    data = path.read_bytes()
    size = int.from_bytes(data[-8:-4], "little")
    footer = data[-8 - size : -8]
    fields, end = thrift.read_struct(footer, 0, asked)
    assert end == size and thrift.write_struct(fields) == footer


@given(st.integers(0, 2**63 - 1))
def test_varints_are_seven_bits_a_byte(number: int) -> None:
    digits = thrift.varint(number)
    assert sum((byte & 127) << 7 * place for place, byte in enumerate(digits)) == number
    assert [byte > 127 for byte in digits] == [True] * (len(digits) - 1) + [False]
