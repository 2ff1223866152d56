"""What a raw store holds: asked of the store itself, or read from its inventory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from qoqdata.errors import BadTable, OutsideRoot, UsageError
from qoqdata.remote.faults import retried
from qoqdata.remote.urls import file_system, shown
from qoqdata.sources import s3_inventory
from qoqdata.sources.raw_paths import path_parts

#: What file systems call the mark of a file's content, and the time of its last change.
_TAGS = ("ETag", "etag", "md5Hash", "blob_id", "sha256")
_TIMES = ("LastModified", "last_modified", "updated", "mtime", "Last-Modified")


class Entry(NamedTuple):
    """A file of a store by its path below the URL; tag and time as the store spells them."""

    path: str
    size: int
    tag: str | None
    modified: str | None


def list_store(url: str) -> Iterator[Entry]:
    """The files below a URL, in the order of the store.

    Raises UsageError where there are none, where the store tells no sizes, and for names that no
    folder can hold.
    """
    system, inside = file_system(url, {})

    def attempt() -> dict[str, dict[str, Any]]:
        system.invalidate_cache()
        return dict(system.find(inside, detail=True))

    try:
        files = retried(attempt, url=url)
    except FileNotFoundError:
        files = {}
    if not files:
        fix = "check the URL; folders of HTTP servers without an index need an inventory"
        raise UsageError("holds no file", where=shown(url), fix=fix)
    prefix = f"{inside}/"
    for name, facts in files.items():
        if name.endswith("/") or not name.startswith(prefix):
            continue  # The mark of a folder.
        relative = _sound(name.removeprefix(prefix), shown(url))
        size = facts.get("size")
        if size is None:
            size = retried(partial(system.info, name), url=url).get("size")
        if not isinstance(size, int):
            fix = "give an inventory with the column size"
            raise UsageError(f"tells no size of {relative}", where=shown(url), fix=fix)
        yield Entry(relative, size, _text(facts, _TAGS), _text(facts, _TIMES))


def read_inventory(path: Path, url: str) -> Iterator[Entry]:
    """The files that a table lists: Parquet or CSV with the columns path (below the URL) and size
    (in bytes), and perhaps etag and modified; or the `manifest.json` of an S3 inventory.

    Raises BadTable for another table, for a path that is there twice, and where none is below the
    URL.
    """
    table = _of_s3(path, url) if path.name == s3_inventory.MANIFEST else _of_table(path)
    fix = "give it the columns path and size, whole numbers"
    if missing := sorted({"path", "size"} - set(table.columns)):
        raise BadTable(f"lacks {', '.join(missing)}", where=str(path), fix=fix)
    size = table["size"]
    if not size.dtype.is_integer() or size.null_count() or (size < 0).any():
        raise BadTable("holds a size that is none", where=str(path), fix=fix)
    names = table["path"].cast(pl.String)
    if names.null_count() or names.n_unique() != table.height:
        raise BadTable("lists a path twice, or an empty one", where=str(path), fix="list it once")
    for row in table.iter_rows(named=True):
        tag, modified = (None if row.get(one) is None else str(row[one]) for one in _OPTIONAL)
        yield Entry(_sound(str(row["path"]), str(path)), row["size"], tag, modified)


def _of_s3(path: Path, url: str) -> pl.DataFrame:
    table = s3_inventory.below(s3_inventory.read_s3_inventory(path), url)
    if table.is_empty():
        fix = "give the inventory of that bucket, or another URL"
        raise BadTable(f"lists nothing below {shown(url)}", where=str(path), fix=fix)
    return table


def _of_table(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        fix = "write it as CSV or Parquet"
        raise BadTable(f"cannot be read: {reason}", where=str(path), fix=fix) from error


_OPTIONAL = ("etag", "modified")


def _sound(relative: str, where: str) -> str:
    try:
        parts = path_parts(relative)
    except OutsideRoot:
        parts = []
    if not parts or "/".join(parts) != relative or len(max(map(str.encode, parts), key=len)) > 255:
        what = f"{relative!r} is no path that a folder can hold"
        raise UsageError(what, where=where, fix="rename it in the store, or leave it out")
    return relative


def _text(facts: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    value = next((facts[name] for name in names if facts.get(name) is not None), None)
    return None if value is None else str(value)
