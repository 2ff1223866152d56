"""How much memory a Parquet file takes once it is decoded, told before any of it is.

A file may come from anyone, and its footer may lie. Two kilobytes can stand for fifty gigabytes: a
long text once in a dictionary and a thousand places that name it, a page of zeros, a run of two
billion equal numbers. So the headers of its pages are read, which the decoder believes too, and
texts that a dictionary holds once are counted as often as they occur.

The format: https://parquet.apache.org/docs/file-format/, headers in Thrift's compact protocol.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

#: Bytes of a whole table in memory; 2.61 million verdicts take 0.2 GB.
LARGEST_TABLE = 16 * 2**30
#: Bytes of a value by physical type; those of the other types have a length of their own.
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "INT64": 8, "DOUBLE": 8, "INT96": 12}
_TEXT = "BYTE_ARRAY"
#: Of a value beside itself: where it begins, and its levels.
_BESIDE = 8
#: Of the format: kinds of pages and encodings.
_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3
_BY_DICTIONARY, _BY_PREFIX = (2, 8), 7
#: Of a dictionary, how many are looked at for the longest: larger ones are read by Arrow.
_MOST_TEXTS = 2**17
_LENGTH = struct.Struct("<I").unpack_from
#: Bytes of a header, most of which is a page's least and greatest value: as a rule, and at most.
_HEADER, _LONGEST_HEADER = 512, 16 * 2**20


class _Page(NamedTuple):
    """`place`, `stored`: where its content begins in the file and how many bytes it has there;
    `size`: bytes once inflated; `values`: how many it holds, nulls among them."""

    kind: int
    place: int
    stored: int
    size: int
    values: int
    encoding: int


class _Named(NamedTuple):
    """A column whose texts are named `times` times, and of which the longest may be `longest`."""

    leaf: str
    times: int
    longest: int
    codec: str
    dictionary: list[_Page]

    @property
    def most(self) -> int:
        return self.times * self.longest


def require_memory(path: Path, footer: pq.FileMetaData | None = None) -> None:
    """Raise ValueError where the file at `path` takes more than `LARGEST_TABLE` bytes once it is
    decoded, or where its pages cannot be told; OSError where it cannot be read."""
    footer = pq.read_metadata(path) if footer is None else footer
    size, most = 0, LARGEST_TABLE
    for group in range(footer.num_row_groups):
        fair = most // footer.num_row_groups
        size += row_group_memory(path, footer, group, most - size, enough=fair)


def row_group_memory(
    path: Path,
    footer: pq.FileMetaData,
    group: int,
    most: int,
    enough: int | None = None,
    leaves: Iterable[int] | None = None,
) -> int:
    """Bytes that a row group takes once its `leaves` (by their numbers; None: all) are decoded, at
    most; a bound of `enough` (None: of `most`) need be no closer.

    Raises ValueError where it takes more than `most`, and where its pages cannot be told.
    """
    enough = most if enough is None else enough
    facts = footer.row_group(group)
    size, named = 0, []
    with path.open("rb") as file:
        for number in range(facts.num_columns) if leaves is None else leaves:
            chunk = facts.column(number)
            # A column without values is never looked for, and Arrow says that it begins at 0.
            told = max(chunk.num_values, facts.num_rows)
            pages = list(_pages(file, chunk)) if told else []
            values = sum(page.values for page in pages if page.kind != _DICTIONARY)
            if values < told:
                what = f"holds {values:,} values, {told:,} by its footer"
                raise ValueError(f"column {chunk.path_in_schema} {what}")
            texts = chunk.physical_type == _TEXT
            width = _WIDTHS.get(chunk.physical_type, footer.schema.column(number).length)
            size += values * (_BESIDE + (0 if texts else width)) + sum(map(_inflated, pages))
            if texts and (one := _named(pages, chunk)) is not None:
                named.append(one)
        _require(size, most)
        # Where the longest text fits everywhere, nobody needs to look which of them stands where.
        rest = size + sum(one.most for one in named)
        for one in sorted(named, key=lambda one: one.most, reverse=True):
            if rest <= enough:
                break
            rest -= one.most - one.times * _longest(file, one)
    if rest <= enough:
        return rest
    for one in named:
        size += _spelt_out(path, footer, group, one.leaf)
        _require(size, most)
    return size


def _named(pages: list[_Page], chunk: pq.ColumnChunkMetaData) -> _Named | None:
    dictionary = [page for page in pages if page.kind == _DICTIONARY]
    places = [p for p in pages if p.kind != _DICTIONARY and p.encoding in _BY_DICTIONARY]
    if not places:
        return None
    longest, times = sum(page.size for page in dictionary), sum(page.values for page in places)
    return _Named(chunk.path_in_schema, times, longest, chunk.compression, dictionary)


def _require(size: int, most: int) -> None:
    if size > most:
        raise ValueError(f"takes {size:,} bytes of memory, more than any of ours")


def _inflated(page: _Page) -> int:
    """Bytes of a page's texts. Where each repeats the beginning of the one before, any may be as
    long as the page."""
    return page.size * (page.values if page.encoding == _BY_PREFIX else 1)


def _longest(file: BinaryIO, named: _Named) -> int:
    """Bytes of the longest text of a column's dictionary, at most."""
    longest = 0
    try:
        for page in named.dictionary:
            file.seek(page.place)
            content = memoryview(file.read(page.stored))
            if named.codec != "UNCOMPRESSED":
                codec = pa.Codec(named.codec.lower())
                content = memoryview(codec.decompress(content, page.size))
            at, end = 0, len(content)
            for _ in range(_MOST_TEXTS):
                if at >= end:
                    break
                (length,) = _LENGTH(content, at)
                at += 4 + length
                if length > longest:
                    longest = length
            else:
                return named.longest
    except (ValueError, OSError, pa.ArrowException, struct.error):
        return named.longest
    return min(longest, named.longest)


def _spelt_out(path: Path, footer: pq.FileMetaData, group: int, leaf: str) -> int:
    """Bytes of a column's texts, each as often as it occurs; read as a dictionary, which holds
    each once."""
    with pq.ParquetFile(path, metadata=footer, read_dictionary=[leaf], pre_buffer=False) as file:
        column = file.read_row_group(group, columns=[leaf], use_threads=False).column(0)
    parts = [_texts(chunk) for chunk in column.chunks]
    lengths = (pc.take(pc.binary_length(part.dictionary), part.indices) for part in parts)
    return sum(pc.sum(some).as_py() or 0 for some in lengths)


def _texts(array: pa.Array) -> pa.DictionaryArray:
    """The texts of an array of one leaf, in lists and structs."""
    while not pa.types.is_dictionary(array.type):
        if pa.types.is_struct(array.type):
            array = array.field(0)
        elif pa.types.is_nested(array.type):
            array = array.values
        else:
            raise ValueError("holds texts that are no dictionary")
    return array


def _pages(file: BinaryIO, chunk: pq.ColumnChunkMetaData) -> Iterator[_Page]:
    place = chunk.data_page_offset
    if chunk.has_dictionary_page and 0 < chunk.dictionary_page_offset < place:
        place = chunk.dictionary_page_offset
    end = place + chunk.total_compressed_size
    if place < 0:
        raise ValueError("a page begins before the file")
    while place < end:
        header, length = _header(file, place, end)
        # 1 kind, 2 size inflated, 3 size as stored; 5, 7, 8: what pages of a kind tell.
        kind, size, stored = (header.number(field, -1) for field in (1, 2, 3))
        own = header.structs.get({_DATA: 5, _DICTIONARY: 7, _DATA_V2: 8}.get(kind, 0), _Struct())
        values, encoding = own.number(1, 0), own.number(4 if kind == _DATA_V2 else 2, -1)
        if min(size, stored, values) < 0:
            raise ValueError("a page has a size below zero")
        place += length
        yield _Page(kind, place, stored, max(size, stored), values, encoding)
        place += stored


def _header(file: BinaryIO, place: int, end: int) -> tuple[_Struct, int]:
    """The page header at `place`, and its length in bytes."""
    for most in (_HEADER, _LONGEST_HEADER):
        file.seek(place)
        content = file.read(min(most, end - place))
        try:
            header = _Struct()
            return header, header.read(content, 0)
        except IndexError:
            continue
    raise ValueError("the header of a page is cut short")


class _Struct:
    """A struct of numbers, texts and structs by number of the field, as page headers are.

    What comes twice is read as Thrift's own readers do: the later number counts, and a struct goes
    on where it was.
    """

    def __init__(self) -> None:
        self.numbers: dict[int, int] = {}
        self.structs: dict[int, _Struct] = {}

    def number(self, field: int, default: int) -> int:
        return self.numbers.get(field, default)

    def read(self, content: bytes, at: int, depth: int = 0) -> int:
        """Read the struct at a place of `content`; where it ends. Raises IndexError where the
        content ends first."""
        field = 0
        while content[at]:
            step, kind = content[at] >> 4, content[at] & 15
            at += 1
            if not step:
                field, at = _signed(content, at)
            field += step
            match kind:
                case 1 | 2:
                    pass
                case 4 | 5 | 6:
                    self.numbers[field], at = _signed(content, at)
                case 8:
                    length, at = _unsigned(content, at)
                    at += length
                case 12 if depth < 4:
                    inner = self.structs.setdefault(field, _Struct())
                    at = inner.read(content, at, depth + 1)
                case _:
                    raise ValueError("has no page where its footer says")
        return at + 1


def _signed(content: bytes, at: int) -> tuple[int, int]:
    # Most numbers have one byte, and a file has hundreds of thousands of them.
    value, at = (byte, at + 1) if (byte := content[at]) < 128 else _unsigned(content, at)
    return (value >> 1) ^ -(value & 1), at


def _unsigned(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        byte = content[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise ValueError("has no page where its footer says")
