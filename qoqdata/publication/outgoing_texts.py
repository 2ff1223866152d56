"""All text in the files of a release, whatever their format."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

#: Where a source's raw paths stand, which are no secret where its card says so.
RAW_PATHS = "provenance.raw"
#: In an SVG of ours, what is drawn and not written: lines, and encoded pixels. They are as long as
#: random texts in which any short key is found.
_DRAWN = re.compile(
    r"""(?<= )d="[MLHVCSQTAZ0-9\s.,-]*"|(?<=")data:image/(?:jpeg|png);base64,[A-Za-z0-9+/=]*""",
    re.IGNORECASE,
)


def texts_of(path: Path, *, raw_paths: bool) -> Iterator[list[str]]:
    """Distinct texts of a file, a row group at a time.

    Of Parquet (compressed) every string and binary-free column, the names of columns and the
    footer's metadata; of JSON every string and key, undone of escapes; of SVG all but lines and
    pixels; any other file as a whole. `raw_paths`: also those of the records and of containers.
    """
    if path.suffix == ".parquet":
        yield from _of_parquet(path, raw_paths)
        return
    text = path.read_bytes().decode("utf-8", errors="replace")
    if path.suffix == ".svg":
        text = _DRAWN.sub("", text)
    try:
        content = json.loads(text) if path.suffix == ".json" else text
    except ValueError:
        content = text
    yield list(dict.fromkeys(strings_of(content, raw_paths)))


def strings_of(content: Any, raw_paths: bool = True) -> Iterator[str]:
    """Strings and keys in parsed JSON; `raw_paths`: also the names of containers."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict):
        for key, value in content.items():
            yield key
            if raw_paths or key != "containers":
                yield from strings_of(value, raw_paths)
    elif isinstance(content, list):
        for value in content:
            yield from strings_of(value, raw_paths)


def _of_parquet(path: Path, raw_paths: bool) -> Iterator[list[str]]:
    with pq.ParquetFile(path) as file:
        footer = file.schema_arrow.metadata or {}
        values = [part.decode("utf-8", "replace") for pair in footer.items() for part in pair]
        yield [*file.schema_arrow.names, *values]
        leaves = [leaf for field in file.schema_arrow for leaf in _leaves(field)]
        columns = [leaf for leaf in leaves if raw_paths or not leaf.startswith(RAW_PATHS)]
        for group in range(file.num_row_groups if columns else 0):
            table = file.read_row_group(group, columns=columns)
            yield list(dict.fromkeys(text for column in table for text in _flat(column.chunks)))


def _leaves(field: pa.Field, path: str = "") -> Iterator[str]:
    """Paths of the columns that hold text, as Parquet spells them."""
    path = f"{path}.{field.name}" if path else field.name
    yield from _leaves_of(field.type, path)


def _leaves_of(kind: pa.DataType, path: str) -> Iterator[str]:
    if pa.types.is_map(kind):
        yield from _leaves_of(kind.key_type, f"{path}.key_value.key")
        yield from _leaves_of(kind.item_type, f"{path}.key_value.value")
    elif (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    ):
        yield from _leaves_of(kind.value_type, f"{path}.list.element")
    elif pa.types.is_struct(kind):
        for member in kind:
            yield from _leaves(member, path)
    elif _is_text(kind):
        yield path


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _flat(arrays: Iterable[pa.Array]) -> Iterator[str]:
    for array in arrays:
        kind = array.type
        if pa.types.is_map(kind):
            yield from _flat([array.keys, array.items])
        elif pa.types.is_struct(kind):
            yield from _flat(array.flatten())
        elif pa.types.is_dictionary(kind):
            yield from _flat([array.dictionary])
        elif _is_text(kind):
            yield from array.drop_null().unique().to_pylist()
        else:
            yield from _flat([array.flatten()])
