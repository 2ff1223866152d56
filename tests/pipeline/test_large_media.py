"""Large media of a shard: what everyone reads back, and what is copied for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qoqdata.contract.manifest import Shard
from qoqdata.pipeline.own_columns import media_page
from qoqdata.pipeline.shards import rewrite_shard, write_shard
from qoqdata.records.rows import SCHEMA
from tests.pipeline.test_own_columns import chunks as column_chunks
from tests.pipeline.test_own_columns import locations
from tests.pipeline.test_shards import Row, image, recording

LEAF = "images.list.element.bytes"

media = st.fixed_dictionaries(
    {"bytes": st.binary(max_size=300), "path": st.none() | st.text(max_size=3)}
)
cells = st.none() | st.lists(media, max_size=3)


@pytest.fixture
def all_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_page, "LEAST", 1)


def shard(path: Path, rows: list[Row]) -> Shard:
    written = write_shard(path, rows, source="films", split="train")
    assert written is not None
    return written


def chunk(path: Path, leaf: str, group: int = 0) -> Any:
    facts = pq.read_metadata(path).row_group(group)
    columns = map(facts.column, range(facts.num_columns))
    return next(column for column in columns if column.path_in_schema == leaf)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(cells, cells, st.booleans()), min_size=1, max_size=130))
def test_rows_come_back_as_arrow_writes_them(tmp_path_factory: Any, drawn: list[Any]) -> None:
    path = tmp_path_factory.mktemp("shards") / "train-00000.parquet"
    rows = [
        recording(n) | {"images": images, "masks": masks} | ({} if signal else {"ecg": None})
        for n, (images, masks, signal) in enumerate(drawn)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(media_page, "LEAST", 2**40)
        shard(path, rows)
        by_arrow = pq.read_table(path)
        patch.setattr(media_page, "LEAST", 1)
        entry = shard(path, rows)
        table = pq.read_table(path, page_checksum_verification=True)
        assert table.equals(by_arrow) and table.schema.metadata == SCHEMA.metadata
        for column in ("images", "masks"):
            wanted = pa.array([row[column] for row in rows], SCHEMA.field(column).type)
            assert table[column].combine_chunks().equals(wanted)
            assert pl.read_parquet(path)[column].equals(pl.Series(column, wanted))
        target = path.with_name("rewritten.parquet")
        assert rewrite_shard(path, target, entry, lambda table: table) == entry
        assert target.read_bytes() == path.read_bytes()


@pytest.mark.usefixtures("all_are_large")
def test_they_are_read_by_duckdb_and_datasets(tmp_path: Path) -> None:
    from datasets import Image, load_dataset

    path = tmp_path / "train-00000.parquet"
    rows = [image(n) for n in range(130)]
    rows[7]["images"] = None
    shard(path, rows)
    wanted = [row["images"] and row["images"][0]["bytes"] for row in rows]
    found = duckdb.sql(f"select images[1].bytes from '{path}'").fetchall()
    assert [content for (content,) in found] == wanted
    few = duckdb.sql(f"select images[1].bytes from '{path}' limit 2 offset 110").fetchall()
    assert [content for (content,) in few] == wanted[110:112]
    for streaming in (True, False):
        loaded = load_dataset("parquet", data_files=str(path), split="train", streaming=streaming)
        loaded = loaded.cast_column("images", [Image(decode=False)])
        assert [cell and cell[0]["bytes"] for cell in loaded["images"]] == wanted


@pytest.mark.usefixtures("all_are_large")
def test_a_row_group_is_a_page_where_footer_and_index_say(tmp_path: Path) -> None:
    path = tmp_path / "train-00000.parquet"
    rows = [image(n, 3000) for n in range(250)]
    shard(path, rows)
    ours = [
        (group, one)
        for one, group in column_chunks(path)
        if b".".join(one[3][1][3][1][1]).decode() == LEAF
    ]
    assert [group for group, _ in ours] == [100, 100, 50]
    for number, (group, one) in enumerate(ours):
        ((place, size, first),) = locations(path, one)
        assert (first, place) == (0, one[3][1][9][1]) and size == one[3][1][7][1]
        facts = chunk(path, LEAF, number)
        assert (facts.num_values, facts.encodings) == (group, ("PLAIN", "RLE"))
        # 4 bytes of length before each image, some of levels and the header.
        assert 0 < facts.total_uncompressed_size - group * 3004 < 100
        row_group = pq.read_metadata(path).row_group(number)
        columns = map(row_group.column, range(row_group.num_columns))
        assert row_group.total_byte_size == sum(one.total_uncompressed_size for one in columns)


def test_large_media_are_not_copied_to_be_written(tmp_path: Path) -> None:
    """20 MB of images; Arrow's writer took 72 MB for them."""
    rows = [image(n, 1_000_000) for n in range(20)]
    before = pa.default_memory_pool()
    pool = pa.proxy_memory_pool(before)
    pa.set_memory_pool(pool)
    try:
        shard(tmp_path / "train-00000.parquet", rows)
    finally:
        pa.set_memory_pool(before)
    assert 0 < pool.max_memory() < 2_000_000


@pytest.mark.usefixtures("all_are_large")
def test_what_repeats_and_what_records_never_have_arrow_writes(tmp_path: Path) -> None:
    path = tmp_path / "train-00000.parquet"
    shard(path, [image(n // 4) for n in range(100)])
    assert "RLE_DICTIONARY" in chunk(path, LEAF).encodings
    kind = SCHEMA.field("images").type
    item = {"bytes": b"a film", "path": "1.png"}
    assert media_page.row_media([[item], None, []]) is not None
    assert media_page.column_media(pa.array([[item], None, []], kind)) is not None
    nulls: list[list[Any]] = [[[item, None]], [[item | {"bytes": None}]], [None, []]]
    for broken in nulls:
        assert media_page.row_media(broken) is None
        assert media_page.column_media(pa.array(broken, kind)) is None


@pytest.mark.usefixtures("all_are_large")
def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    path = tmp_path / "train-00000.parquet"
    shard(path, [image(n) for n in range(40)])
    facts = chunk(path, LEAF)
    data = bytearray(path.read_bytes())
    data[facts.data_page_offset + facts.total_compressed_size // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises((OSError, pa.ArrowException)):
        pq.read_table(path, page_checksum_verification=True)


@given(st.lists(st.binary(max_size=2), max_size=40))
def test_repeated_bytes_are_counted_but_for_their_first(content: list[bytes]) -> None:
    saved = sum(len(one) for n, one in enumerate(content) if one in content[:n])
    assert media_page.repeats(content) == (saved > sum(map(len, content)) / 8)


@pytest.mark.usefixtures("all_are_large")
def test_a_page_by_hand() -> None:
    """Three rows: two images, none, no list."""
    item, other = {"bytes": b"ab", "path": "1"}, {"bytes": b"c", "path": "2"}
    large = media_page.row_media([[item, other], [], None])
    assert large is not None
    assert large.bare == [[item | {"bytes": b""}, other | {"bytes": b""}], [], None]
    made = media_page.media_chunk(large)
    header, *parts = made.parts
    repetition = bytes([2, 0, 2, 1, 4, 0])  # Once 0, once 1, twice 0.
    definition = bytes([4, 4, 2, 1, 2, 0])  # Twice 4, once 1, once 0.
    levels = b"".join(b"\6\0\0\0" + runs for runs in (repetition, definition))
    assert b"".join(map(bytes, parts)) == levels + b"\2\0\0\0ab" + b"\1\0\0\0c"
    assert (made.values, made.size) == (4, len(header) + 20 + 11)
