"""From a release and one's own raw files back to the whole set, digest by digest."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from qoqdata import manifest as manifests
from qoqdata.atomic import digest, remove_tree
from qoqdata.contract.manifest import Manifest, Shard, SourceEntry
from qoqdata.curation.correction import CHANGED, is_corrected, with_columns_of
from qoqdata.dataset import Dataset
from qoqdata.errors import DatasetError, UsageError
from qoqdata.layout import Layout
from qoqdata.manifest import shards_digest
from qoqdata.metadata import write_metadata
from qoqdata.pipeline.build import build_requests
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.pipeline.patient_splits import HASH
from qoqdata.pipeline.shards import rewrite_shard
from qoqdata.publication import recipe as recipes
from qoqdata.publication.recipe import ReleaseRecipe
from qoqdata.publication.staging import entries_of
from qoqdata.sources import catalogue
from qoqdata.version import VERSION


@dataclass(frozen=True)
class Rebuilt:
    """What became of one recipe: record ids that agree, differ, or could not be made."""

    source: str
    same: int
    differ: tuple[str, ...]
    missing: tuple[str, ...]
    shards: tuple[Shard, ...] = field(repr=False)

    @property
    def whole(self) -> bool:
        """Whether every record came out as it was released."""
        return not self.differ and not self.missing


def rebuild(
    release: Dataset, raw: Mapping[str, Path], out: Path, setting: BuildSetting
) -> tuple[Manifest, list[Rebuilt]]:
    """Build the recipe sources of `release` from raw folders and join them with its pixels.

    `raw` gives the raw root of each source to rebuild; recipes of other sources are left as they
    are. `out` becomes a data set with the release's pixel shards and the rebuilt ones; records
    that do not agree with their digest are reported, and their shard is left out.

    A file is compared with its digest before it is copied. Raises UsageError when a recipe was
    made by another converter version, when `raw` names a source without a recipe, and when `out`
    holds another data set; DatasetError for a release that is not what its manifest and recipes
    say.
    """
    _check_free(release, out)
    folder = release.files.layout("cards", "recipes").root
    by_source = {recipe.source: (recipe, rows) for recipe, rows in recipes.read_recipes(folder)}
    entries = {slug: recipe.entry for slug, (recipe, _) in by_source.items()}
    if both := sorted(set(entries) & set(release.manifest.sources)):
        what = f"{both[0]} is there with its pixels and as a recipe"
        raise DatasetError(what, where=release.where, fix="download the release again")
    if stray := sorted(set(raw) - set(by_source)):
        fix = f"it has recipes of: {', '.join(by_source) or 'no source'}"
        raise UsageError(f"the release holds no recipe of {stray[0]}", fix=fix)
    # Cards are compared with their digests as they are read.
    cards = release.cards
    _copy_pixels(release, out)
    outcomes = [_rebuild(*by_source[slug], raw[slug], out, setting) for slug in sorted(raw)]
    for outcome in outcomes:
        slug = outcome.source
        if digest(cards[slug].model_dump(mode="json")) != entries[slug].card_digest:
            where = release.files.origin(f"cards/{slug}.json")
            what, fix = "is not the card of its recipe", "download the release again"
            raise DatasetError(what, where=where, fix=fix)
        _copy(Layout(folder).card(slug), Layout(out).card(slug))
    return _finish(release, out, entries, outcomes), outcomes


def _check_free(release: Dataset, out: Path) -> None:
    """Raise UsageError where `out` holds what is not of `release`: it would be left unlisted."""
    layout = Layout(out)
    ours = not layout.build.exists()
    if ours and layout.manifest.is_file():
        ours = manifests.read_manifest(out).release == release.manifest.release
    if not ours:
        raise UsageError("holds another data set", where=str(out), fix="name a new folder")


def _copy_pixels(release: Dataset, out: Path) -> None:
    for shard in release.manifest.shards:
        with release.files.holding(shard, verify=True) as path:
            _copy(path, out / shard.path)
    layout = release.files.layout("cards")
    for slug in release.manifest.sources:
        _copy(layout.card(slug), Layout(out).card(slug))


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _rebuild(
    recipe: ReleaseRecipe, rows: pl.DataFrame, raw: Path, out: Path, setting: BuildSetting
) -> Rebuilt:
    source = catalogue.find_source(recipe.entry.converter)
    if source.code_digest != recipe.entry.code_digest:
        what = f"the recipe of {recipe.source} was made by qoqdata {recipe.qoqdata_version}"
        fix = f"this is {VERSION}, whose converter differs: install that version"
        raise UsageError(what, fix=fix)
    scratch = out / ".rebuild" / recipe.source
    entry = recipe.entry
    request = SourceRequest(
        source=recipe.source, raw=raw, options=entry.options, storage=entry.storage
    )
    hashed = {entry.namespace: HASH} if entry.namespace and entry.patient_splits == HASH else {}
    config = BuildConfig(
        sources=(request,),
        limit=entry.limit,
        shard_units=entry.shard_units,
        patient_splits=hashed,
    )
    build_requests([(source, request)], scratch, setting, config)
    outcome = _compare(recipe, rows, scratch, out)
    remove_tree(out / ".rebuild")
    return outcome


def _compare(recipe: ReleaseRecipe, rows: pl.DataFrame, scratch: Path, out: Path) -> Rebuilt:
    shards: list[Shard] = []
    digests: dict[str, str] = {}
    for shard in recipe.shards:
        own = rows.filter(pl.col("shard") == shard.path)
        path = scratch / shard.path
        if not path.is_file():
            continue
        target = out / shard.path
        result = rewrite_shard(path, target, shard, partial(_as_released, rows=own))
        if result is None:
            continue
        if result == shard:
            # Byte for byte what was released, so every record is.
            shards.append(result)
            digests |= dict(own.select("id", "digest").iter_rows())
        else:
            table = pq.read_table(target)
            ids = table["id"].to_pylist()
            digests |= dict(zip(ids, recipes.record_digests(table), strict=True))
            target.unlink()
    released = dict(rows.select("id", "digest").iter_rows())
    return Rebuilt(
        source=recipe.source,
        same=sum(digests.get(i) == digest for i, digest in released.items()),
        differ=tuple(i for i, digest in released.items() if digests.get(i, digest) != digest),
        missing=tuple(i for i in released if i not in digests),
        shards=tuple(shards),
    )


def _as_released(table: pa.Table, rows: pl.DataFrame) -> pa.Table:
    """The released records of `table`, with the pseudonyms of the release and the answers that
    people corrected."""
    by_id = {row["id"]: row for row in rows.select("id", *recipes.PSEUDONYMS).iter_rows(named=True)}
    ids = table.column("id").to_pylist()
    table = table.filter(pa.array([id_ in by_id for id_ in ids], pa.bool_()))
    rows_in_order = [by_id[id_] for id_ in table.column("id").to_pylist()]
    for name in recipes.PSEUDONYMS:
        index = table.schema.get_field_index(name)
        values = pa.array([row[name] for row in rows_in_order], pa.string())
        table = table.set_column(index, table.schema.field(index), values)
    return with_columns_of(table, _corrected(rows))


def _corrected(rows: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """Of the released records with a corrected answer what a correction changes, by id. A recipe
    shows no reasoning, which a correction takes away."""
    notes = pl.col("provenance").struct.field("notes")
    absent = {name: None for name in CHANGED if name not in rows.columns}
    some = rows.filter(is_corrected(notes))
    return {row["id"]: absent | row for row in some.iter_rows(named=True)}


def _finish(
    release: Dataset, out: Path, entries: dict[str, SourceEntry], outcomes: list[Rebuilt]
) -> Manifest:
    shards = [*release.manifest.shards, *(s for outcome in outcomes for s in outcome.shards)]
    shards.sort(key=lambda shard: shard.path)
    manifest = release.manifest.model_copy(
        update={
            "shards": tuple(shards),
            "meta": write_metadata(out, shards),
            "digest": shards_digest(shards),
        }
    )
    manifest = manifest.model_copy(update={"sources": entries_of(manifest, out, entries)})
    manifests.write_manifest(Layout(out), manifest)
    return manifest
