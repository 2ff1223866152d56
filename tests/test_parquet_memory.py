"""What a Parquet file takes once it is decoded, told by its pages and not by its footer."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qoqdata import parquet_memory
from qoqdata.parquet_memory import require_memory, row_group_memory
from tests.attacks.hostile_files import altered

LONG = "x" * 1000


def write(folder: Path, column: pa.Array, **more: Any) -> Path:
    path = folder / "table.parquet"
    pq.write_table(pa.table({"c": column}), path, **more)
    return path


def memory(path: Path, most: int = 10**9, **more: Any) -> int:
    return row_group_memory(path, pq.read_metadata(path), 0, most, **more)


def test_a_table_without_rows(tmp_path: Path) -> None:
    assert memory(write(tmp_path, pa.array([], pa.string()))) == 0


#: An array, and the bytes of its texts.
ARRAYS = {
    "texts": (pa.array([LONG] * 40 + ["y"]), 40_001),
    "nulls first": (pa.array([None] * 5 + [LONG] * 5), 5000),
    "empty lists first": (pa.array([[]] * 5 + [[LONG, LONG]] * 5), 10_000),
    "lists of nulls": (pa.array([[None]] * 5 + [[LONG]] * 5), 5000),
    "structs": (pa.array([{"x": None}] * 5 + [{"x": LONG}] * 5), 5000),
    "maps": (pa.array([[("k", LONG)]] * 5, pa.map_(pa.string(), pa.string())), 5005),
    "large": (pa.array([LONG] * 5, pa.large_string()), 5000),
    "fixed lists": (pa.array([[LONG]] * 5, pa.list_(pa.string(), 1)), 5000),
    "bytes": (pa.array([LONG.encode()] * 5), 5000),
    "dictionary": (pa.array([LONG] * 5).dictionary_encode(), 5000),
}


@pytest.mark.parametrize("codec", ["zstd", "snappy", "gzip", "none"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("what", ARRAYS)
def test_texts_count_as_often_as_they_occur(
    tmp_path: Path, what: str, version: str, codec: str
) -> None:
    column, texts = ARRAYS[what]
    path = write(tmp_path, column, compression=codec, data_page_version=version)
    # Beside the texts of the column: the dictionary, the pages, 8 bytes a value.
    exact = memory(path, enough=0)
    assert texts < exact <= texts + 4 * len(LONG)
    # Where that is enough, every text counts as the longest.
    assert exact <= memory(path) <= 100 * len(LONG)
    assert memory(path, exact, enough=0) == exact
    with pytest.raises(ValueError, match=rf"takes {exact:,} bytes of memory"):
        memory(path, exact - 1, enough=0)


def test_each_leaf_is_spelt_out_by_itself(tmp_path: Path) -> None:
    def spelt_out(column: pa.Array, *leaves: str) -> list[int]:
        path = write(tmp_path, column)
        footer = pq.read_metadata(path)
        return [parquet_memory._spelt_out(path, footer, 0, leaf) for leaf in leaves]

    maps, _ = ARRAYS["maps"]
    assert spelt_out(maps, "c.key_value.key", "c.key_value.value") == [5, 5000]
    assert spelt_out(pa.array([None] * 5, pa.string()), "c") == [0]
    assert spelt_out(pa.array([{"x": "ab", "y": "cde"}]), "c.x", "c.y") == [2, 3]


@pytest.mark.parametrize("codec", ["zstd", "snappy", "gzip", "none"])
def test_no_more_is_read_than_tells_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str
) -> None:
    """The longest text of a dictionary tells enough where texts are alike, and its size where
    that does."""
    path = write(tmp_path, pa.array([f"{n % 99:03}" for n in range(1000)]), compression=codec)

    def never(*_: object) -> int:
        raise AssertionError

    monkeypatch.setattr(parquet_memory, "_spelt_out", never)
    assert 11_000 < memory(path, enough=15_000) < 15_000
    monkeypatch.setattr(parquet_memory, "_longest", never)
    assert memory(path) > 99 * 7 * 1000
    with pytest.raises(AssertionError):
        memory(path, enough=15_000)


@pytest.mark.parametrize(
    ("column", "width"),
    [
        (pa.array([1.5] * 100_000, pa.float64()), 8),
        (pa.array([7] * 100_000, pa.int32()), 4),
        (pa.array([True] * 100_000), 1),
        (pa.array([b"ab"] * 100_000, pa.binary(2)), 2),
        (pa.array([[7] * 50_000] * 2, pa.list_(pa.int16())), 4),
    ],
)
def test_runs_of_equal_numbers_count_whole(tmp_path: Path, column: pa.Array, width: int) -> None:
    path = write(tmp_path, column)
    assert path.stat().st_size < 20_000
    assert 0 <= memory(path) - 100_000 * (width + 8) < 30_000


def test_pages_that_repeat_the_beginning_of_a_text(tmp_path: Path) -> None:
    """Each of 100 texts may be as long as the page."""
    column = pa.array([LONG + str(n) for n in range(100)])
    encoding = {"c": "DELTA_BYTE_ARRAY"}
    path = write(tmp_path, column, use_dictionary=False, column_encoding=encoding)
    assert memory(path) >= 100_000
    with pytest.raises(ValueError, match="bytes of memory"):
        memory(path, 100_000)


def test_a_footer_that_tells_little_of_its_pages(tmp_path: Path) -> None:
    """The sizes of a footer are not asked: here a page says that it inflates to a gigabyte."""
    path = write(tmp_path, pa.array(["ab"]), use_dictionary=False, compression="none")
    content = path.read_bytes()
    chunk = pq.read_metadata(path).row_group(0).column(0)
    header = content[chunk.data_page_offset :]
    # Fields 1 (the kind) and 2 of the header: a byte each, and a number in zigzag.
    assert header[:3] == b"\x15\x00\x15"
    rest = header[4:]
    giant = bytes([0x80, 0x80, 0x80, 0x80, 0x08])  # 2**30, twice, seven bits a byte
    path.write_bytes(content[: chunk.data_page_offset + 3] + giant + rest)
    footer = pq.read_metadata(io.BytesIO(content))
    with pytest.raises(ValueError, match=r"takes 1,073,74\d,\d\d\d bytes"):
        row_group_memory(path, footer, 0, 2**20)


def test_pages_hold_what_the_footer_tells(tmp_path: Path) -> None:
    """The reader goes on beyond the last page for values that its footer promises."""
    path = write(tmp_path, pa.array(["a"] * 7))
    content = path.read_bytes()
    few = write(tmp_path, pa.array(["a"] * 6))
    length = pq.read_metadata(few).row_group(0).column(0).total_compressed_size
    footer = pq.read_metadata(io.BytesIO(content))
    assert footer.row_group(0).column(0).total_compressed_size == length
    with pytest.raises(ValueError, match="column c holds 6 values, 7 by its footer"):
        row_group_memory(few, footer, 0, 10**6)


def test_a_dictionary_of_more_texts_than_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, pa.array([f"{n % 9:03}" for n in range(1000)]))
    assert memory(path, enough=15_000) < 15_000
    monkeypatch.setattr(parquet_memory, "_MOST_TEXTS", 9)
    spelt_out = memory(path, enough=15_000)
    assert 8000 + 3000 < spelt_out < 15_000


def test_a_table_is_weighed_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, pa.array([LONG] * 40), row_group_size=10)
    require_memory(path)
    whole = sum(
        row_group_memory(path, pq.read_metadata(path), group, 10**9, enough=0) for group in range(4)
    )
    monkeypatch.setattr(parquet_memory, "LARGEST_TABLE", whole)
    require_memory(path)
    monkeypatch.setattr(parquet_memory, "LARGEST_TABLE", whole - 1)
    with pytest.raises(ValueError, match="bytes of memory"):
        require_memory(path)


def test_headers_are_read_as_thrift_reads_them() -> None:
    """A struct that comes twice goes on, the later number counts, other kinds are refused."""

    def read(content: bytes) -> parquet_memory._Struct:
        struct = parquet_memory._Struct()
        assert struct.read(content, 0) == len(content)
        return struct

    # Field 1: 3. Field 5: a struct with field 1 = 7, then again with field 2 = 8. Field 5: 2.
    twice = read(b"\x15\x06\x4c\x15\x0e\x00\x0c\x0a\x25\x10\x00\x05\x0a\x04\x00")
    assert (twice.number(1, -1), twice.number(5, -1), twice.number(9, -1)) == (3, 2, -1)
    assert (twice.structs[5].number(1, -1), twice.structs[5].number(2, -1)) == (7, 8)
    # Texts are passed over, truths too; a number of ten bytes of seven bits.
    assert read(b"\x18\x03abc\x11\x12\x15\x02\x00").number(4, -1) == 1
    assert read(b"\x15" + b"\xff" * 9 + b"\x01\x00").number(1, 0) == -(2**63)
    for content in (b"\x19\x00", b"\x1b\x00", b"\x15" + b"\xff" * 11, b"\x1c" * 9):
        with pytest.raises(ValueError, match="has no page where its footer says"):
            read(content)
    for content in (b"", b"\x15", b"\x18\x7fa", b"\x1c\x15\x02\x00"):
        with pytest.raises(IndexError):
            read(content)


def test_no_file_takes_longer_or_more_than_it_tells(tmp_path: Path) -> None:
    sound = write(tmp_path, pa.array(["a", None, LONG] * 3)).read_bytes()
    path = tmp_path / "altered.parquet"

    @settings(database=None)
    @given(altered(sound) | st.binary(max_size=60))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        try:
            size = memory(path, 10**6)
            table = pq.read_table(path)
        except (ValueError, OSError, pa.ArrowException):
            return
        assert table.nbytes <= size

    check()
