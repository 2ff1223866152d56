"""Recipes: what leaves of a source whose pixels may not, and the way back to the same records.

A recipe holds annotations (ids, questions, answers, boxes), the raw files' relative names and
digests, and a digest of every record. Images, signals, masks and context texts stay behind.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from qoqdata.atomic import canonical, replacing, write_json
from qoqdata.contract.card import Slug
from qoqdata.contract.manifest import Shard, SourceEntry
from qoqdata.errors import DatasetError
from qoqdata.json_document import document_bytes
from qoqdata.parquet_memory import require_memory

FOLDER = "recipes"
#: They come from the publisher's secret salt, so a rebuild takes them from the recipe.
PSEUDONYMS = ("patient", "study")
_FIX = "download the recipe again"
#: Columns of the record that a recipe may show.
ANNOTATIONS = (
    "id",
    "source",
    "domain",
    "modality",
    "task",
    "kind",
    "item",
    "split",
    "patient",
    "study",
    "regions",
    "question",
    "options",
    "answer",
    "number",
    "labels",
    "uncertain",
    "absent",
    "licence",
    "redistribution",
    "provenance",
)


class ReleaseRecipe(BaseModel):
    """How one source was built. `shards` are those that a rebuild has to give, byte for byte."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: Slug
    qoqdata_version: str
    entry: SourceEntry
    shards: tuple[Shard, ...]


def path_of(root: Path, source: str, suffix: str) -> Path:
    """The annotations (`.parquet`) or the description (`.json`) of a source's recipe."""
    return root / FOLDER / f"{source}{suffix}"


def write_recipe(root: Path, recipe: ReleaseRecipe, parts: Sequence[pa.Table]) -> list[Path]:
    """Write a recipe below `root`; `parts` are the `annotations_of` the source's shards."""
    table, description = (path_of(root, recipe.source, suffix) for suffix in (".parquet", ".json"))
    with replacing(table) as draft:
        pq.write_table(pa.concat_tables(parts), draft, compression="zstd")
    write_json(description, recipe.model_dump(mode="json"))
    return [table, description]


def read_recipes(root: Path) -> Iterator[tuple[ReleaseRecipe, pl.DataFrame]]:
    """The recipes below `root` with their annotations.

    Raises DatasetError for damaged ones, and for one that is not about the source that its file and
    its shards name.
    """
    for path in sorted((root / FOLDER).glob("*.json")):
        try:
            recipe = ReleaseRecipe.model_validate_json(document_bytes(path))
            table = path.with_suffix(".parquet")
            with pq.ParquetFile(table) as file:
                require_memory(table, file.metadata)
                content = file.read()
                # Polars takes texts at their word, and ends in a panic where they are none.
                content.validate(full=True)
                rows = pl.DataFrame(content)
        except (ValueError, OSError, MemoryError, pa.ArrowException) as error:
            raise DatasetError("is not a whole recipe", where=str(path), fix=_FIX) from error
        if (fault := _fault(recipe, rows, path.stem)) is not None:
            raise DatasetError(f"is not a whole recipe: {fault}", where=str(path), fix=_FIX)
        yield recipe, rows


def _fault(recipe: ReleaseRecipe, rows: pl.DataFrame, name: str) -> str | None:
    paths = [shard.path for shard in recipe.shards]
    keys = {name: rows.schema.get(name) for name in ("id", "shard", "digest", *PSEUDONYMS)}
    if stray := next((name for name, kind in keys.items() if kind != pl.String), None):
        return f"its annotations have no texts {stray!r}"
    if {recipe.source, *(shard.source for shard in recipe.shards)} != {name}:
        return f"it is about another source than {name}"
    if len(set(paths)) < len(paths):
        return "it lists a shard twice"
    if not set(rows["shard"]) <= set(paths):
        return "its annotations are of shards that it does not list"
    return "an id occurs twice" if rows["id"].is_duplicated().any() else None


def record_digests(table: pa.Table) -> list[str]:
    """sha256 of each record: over all columns, with media and signals by their own digests."""
    return [_digest(row) for batch in table.to_batches(1) for row in _rows(batch)]


def annotations_of(shard: str, table: pa.Table) -> pa.Table:
    """What a recipe has of the records of the shard at a path."""
    digests = record_digests(table)
    columns = table.select(list(ANNOTATIONS)).replace_schema_metadata(None)
    columns = columns.append_column("shard", pa.array([shard] * table.num_rows, pa.string()))
    return columns.append_column("digest", pa.array(digests, pa.string()))


def _rows(batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    ecg = batch.column("ecg")
    light = batch.select([name for name in batch.schema.names if name != "ecg"]).to_pylist()
    for index, row in enumerate(light):
        yield row | {"ecg": _signal(ecg[index])}


def _signal(ecg: pa.StructScalar) -> Any:
    """Leads and rate as they are, samples by digest: a recording is 60,000 numbers."""
    if not ecg.is_valid:
        return None
    hasher = hashlib.sha256()
    for name in ("signal", "valid"):
        for lead in ecg[name].values:
            # Samples may be null nowhere, so the values are the lead.
            hasher.update(np.asarray(lead.values).tobytes())
    return [ecg["leads"].as_py(), ecg["fs"].as_py(), hasher.hexdigest()]


def _digest(row: dict[str, Any]) -> str:
    return hashlib.sha256(canonical(_plain(row)).encode()).hexdigest()


def _plain(value: Any) -> Any:
    match value:
        case bytes():
            return hashlib.sha256(value).hexdigest()
        case dict():
            return {name: _plain(item) for name, item in value.items()}
        case list():
            return [_plain(item) for item in value]
    return value
