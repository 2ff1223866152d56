"""The inventory that S3 writes of a bucket: `manifest.json`, and the tables that it names.

The tables (CSV without a header, gzipped; or Parquet) lie beside the manifest, in a folder `data`
beside it or beside its folder: where S3 puts them, or where they were copied to.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from urllib.parse import unquote_plus

import polars as pl

from qoqdata.errors import BadTable
from qoqdata.json_document import parse_json

MANIFEST = "manifest.json"
#: What CSV calls the columns that Parquet has.
_OF_CSV = {
    "Bucket": "bucket",
    "Key": "key",
    "Size": "size",
    "LastModifiedDate": "last_modified_date",
    "ETag": "e_tag",
    "IsLatest": "is_latest",
    "IsDeleteMarker": "is_delete_marker",
}
_FIX = "copy manifest.json and all files that it names, and let the inventory list Size"


def read_s3_inventory(path: Path) -> pl.DataFrame:
    """Objects of an inventory, in its order: bucket, key, size, etag and modified.

    Old versions, deleted objects and marks of folders are left out. Raises BadTable for a manifest
    that is none, for a table that is not there, and where sizes are not listed.
    """
    try:
        manifest = parse_json(path.read_bytes())
        names = [PurePosixPath(one["key"]).name for one in manifest["files"]]
        kind, schema = str(manifest["fileFormat"]), str(manifest["fileSchema"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        what = f"is no manifest of an S3 inventory: {str(error).splitlines()[0]}"
        raise BadTable(what, where=str(path), fix=_FIX) from error
    columns = [_OF_CSV.get(one.strip(), one.strip()) for one in schema.split(",")]
    tables = [_table(_beside(path, name), kind, columns) for name in names]
    if not tables:
        raise BadTable("lists no file", where=str(path), fix=_FIX)
    return pl.concat(tables)


def _beside(manifest: Path, name: str) -> Path:
    places = (manifest.parent, manifest.parent / "data", manifest.parent.parent / "data")
    found = next((place / name for place in places if (place / name).is_file()), None)
    if found is None:
        raise BadTable(f"names {name}, which is not there", where=str(manifest), fix=_FIX)
    return found


def _table(path: Path, kind: str, columns: list[str]) -> pl.DataFrame:
    try:
        if kind == "Parquet":
            table = pl.read_parquet(path)
        elif kind == "CSV":
            table = pl.read_csv(path, has_header=False, new_columns=columns, infer_schema=False)
        else:
            fix = "have S3 write it as CSV or Parquet"
            raise BadTable(f"is an inventory as {kind}", where=str(path), fix=fix)
        there = set(table.columns)
        current = _is(there, "is_latest", otherwise=True)
        table = table.filter(current & ~_is(there, "is_delete_marker", otherwise=False))
        key = pl.col("key")
        if kind == "CSV":
            # Its keys are spelled as in a URL.
            key = key.map_elements(unquote_plus, return_dtype=pl.String)
        return table.select(
            bucket=pl.col("bucket").cast(pl.String),
            key=key,
            size=pl.col("size").cast(pl.Int64),
            etag=_text(there, "e_tag"),
            modified=_text(there, "last_modified_date"),
        ).filter(~pl.col("key").str.ends_with("/"))
    except (pl.exceptions.PolarsError, OSError) as error:
        what = f"cannot be read: {str(error).splitlines()[0]}"
        raise BadTable(what, where=str(path), fix=_FIX) from error


def _is(columns: set[str], name: str, *, otherwise: bool) -> pl.Expr:
    if name not in columns:
        return pl.lit(otherwise)
    return (
        pl.col(name).cast(pl.String).str.to_lowercase().fill_null(str(otherwise).lower()) == "true"
    )


def _text(columns: set[str], name: str) -> pl.Expr:
    column = pl.col(name) if name in columns else pl.lit(None)
    return column.cast(pl.String)


def below(objects: pl.DataFrame, url: str) -> pl.DataFrame:
    """The objects below a URL, each with its path from there."""
    bucket, _, folder = url.partition("://")[2].strip("/").partition("/")
    prefix = f"{folder}/" if folder else ""
    own = objects.filter((pl.col("bucket") == bucket) & pl.col("key").str.starts_with(prefix))
    path = pl.col("key").str.slice(len(prefix))
    return own.select("size", "etag", "modified", path=path)
