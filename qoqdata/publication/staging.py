"""The outgoing tree: a data set of its own that holds what may leave, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from qoqdata import manifest as manifests
from qoqdata import verdicts
from qoqdata.atomic import digest, file_digest, remove_tree, write_json
from qoqdata.contract.manifest import (
    Counts,
    Manifest,
    Release,
    Shard,
    SourceEntry,
)
from qoqdata.curation.burned_in.blanking import Boxes
from qoqdata.dataset import Dataset
from qoqdata.errors import DatasetError
from qoqdata.layout import Layout
from qoqdata.manifest import config_digest, shards_digest
from qoqdata.progress import ProgressCallback, silent
from qoqdata.publication import recipe as recipes
from qoqdata.publication.leaving_changes import changes_of
from qoqdata.publication.leaving_shards import Leaving, Look
from qoqdata.publication.licences import Term, terms
from qoqdata.publication.recipe import ReleaseRecipe
from qoqdata.remote.files import LocalFiles
from qoqdata.roles import evaluation_sources
from qoqdata.side_table import read_findings_table
from qoqdata.statistics import difficulty, tables
from qoqdata.statistics.basis import basis_of

#: What the table of traces has of a record; the record itself is found by its id.
_TRACE = (
    *("id", "source", "domain", "task", "question", "options", "answer"),
    *("reasoning", "reasoning_policy", "licence"),
)
#: The version of a first release.
FIRST = "1.0.0"


def stage(
    dataset: Dataset,
    root: Path,
    blanked: Boxes | None = None,
    progress: ProgressCallback = silent,
    look: Look | None = None,
) -> Dataset:
    """Write the outgoing tree of `dataset` at `root` and open it; `seal` then gives it a version.

    Records that curation dropped are not in it, and boxes to be `blanked` are black in those whose
    pixels leave. Shards in which nothing changes are linked, not copied; of a set in a bucket none
    stays in the tree, and each is fetched once (see `passing_shards`). `look` and `progress` hear
    of shards. Raises DatasetError when nothing at all may leave.
    """
    if root.exists():
        remove_tree(root)
    root.mkdir(parents=True)
    allowed = terms(dataset.cards)
    shards = [s for s in dataset.manifest.shards if allowed[s.source].form != "withheld"]
    open_pixels = {slug for slug, term in allowed.items() if term.form == "pixels"}
    leaving = Leaving(
        dataset=dataset,
        root=root,
        changes=changes_of(dataset, blanked or {}, open_pixels),
        open_pixels=open_pixels,
        look=look,
    )
    metadata = leaving.visit(shards, progress)
    after = tuple(leaving.after[s.path] for s in shards if s.path in leaving.after)
    if not after:
        what = "nothing of this data set may be published"
        raise DatasetError(what, where=dataset.where, fix="see the terms in its cards")
    own_manifest = dataset.manifest.model_copy(update={"shards": after, "meta": metadata})
    entries = entries_of(own_manifest, root)
    for slug in entries:
        write_json(Layout(root).card(slug), dataset.cards[slug].model_dump(mode="json"))
    closed = [slug for slug in entries if allowed[slug].form == "recipe"]
    for slug in closed:
        own = tuple(shard for shard in after if shard.source == slug)
        version_ = dataset.manifest.qoqdata_version
        recipe = ReleaseRecipe(
            source=slug, qoqdata_version=version_, entry=entries[slug], shards=own
        )
        recipes.write_recipe(root, recipe, [leaving.annotations[s.path] for s in own])
        Layout(root).metadata(slug).unlink()
    open_ = {slug: entry for slug, entry in entries.items() if slug not in closed}
    release = Release(
        version=FIRST,
        recipes=tuple(closed),
        withheld=_withheld(allowed),
        dropped=_dropped_by_rule(dataset),
        shared_images=_shared_images(dataset, after),
    )
    manifest = _manifest(own_manifest, open_, release)
    manifests.write_manifest(Layout(root), manifest)
    staged = Dataset(root, manifest, leaving.files(manifest))
    _describe(dataset, staged)
    _write_trace_table(staged)
    return staged


def seal(staged: Dataset, *, version: str, previous: str | None) -> Dataset:
    """State a staged release's version and the data digest of the release before it."""
    assert staged.manifest.release is not None
    release = staged.manifest.release.model_copy(
        update={"version": version, "previous": previous, "content": content_digest(staged)}
    )
    manifest = staged.manifest.model_copy(update={"release": release})
    manifests.write_manifest(staged.layout, manifest)
    assert isinstance(staged.files, LocalFiles)
    return Dataset(staged.root, manifest, replace(staged.files, manifest=manifest))


def content_digest(staged: Dataset) -> str:
    """The identity of a staged release apart from its version and the pages made for people."""
    root = staged.root
    digests = {shard.path: shard.sha256 for shard in staged.manifest.shards}
    names = {p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()}
    inside = {name for name in names if "/" in name} | set(digests)
    return digest({name: digests.get(name) or file_digest(root / name) for name in inside})


def entries_of(
    manifest: Manifest, root: Path, more: Mapping[str, SourceEntry] | None = None
) -> dict[str, SourceEntry]:
    """Entries of the sources that have shards below `root`, with the counts of these records.

    What was quarantined or filtered stays at home with its table, so units are those that gave
    the records. `more` are entries beside those of `manifest`.
    """
    if not manifest.shards:
        return {}
    staged = Dataset(root, manifest, LocalFiles(root, manifest))
    light = staged.metadata(["source", "study", "split", "shows"])
    entries = {**manifest.sources, **(more or {})}
    return {
        slug: entries[slug].model_copy(
            update={
                "counts": _counts(light.filter(pl.col("source") == slug)),
                # What a complete copy should hold says nothing of what left.
                "expected": None,
            }
        )
        for slug in sorted({shard.source for shard in manifest.shards})
    }


def _counts(own: pl.DataFrame) -> Counts:
    units = own["study"].n_unique()
    return Counts(
        units=units,
        converted=units,
        quarantined=0,
        filtered=0,
        records=own.height,
        annotation_only=own.filter(~pl.col("shows")).height,
        by_split=dict(own.group_by("split").agg(n=pl.len()).sort("split").iter_rows()),
    )


def _dropped_by_rule(dataset: Dataset) -> dict[str, int]:
    dropped = verdicts.dropped(dataset.layout, "rule")
    rules = dropped.group_by("rule").agg(n=pl.col("id").n_unique()).sort("rule")
    return dict(rules.iter_rows())


def _shared_images(dataset: Dataset, shards: tuple[Shard, ...]) -> int | None:
    """Released records of which curation reported that a later split shows their image."""
    path = dataset.layout.leakage_findings
    if not path.is_file():
        return None
    sources = list({shard.source for shard in shards})
    reported = pl.col("source").is_in(sources) & (pl.col("outcome") == "reported")
    columns = dict.fromkeys(("id", "source", "outcome"), pl.String)
    leaks = read_findings_table(path, columns, fix="run `qoqdata curate` again").filter(reported)
    return verdicts.without_dropped(leaks, dataset.layout)["id"].n_unique()


def _withheld(allowed: dict[str, Term]) -> dict[str, str]:
    return {slug: term.reason or "" for slug, term in allowed.items() if term.form == "withheld"}


def _manifest(manifest: Manifest, entries: dict[str, SourceEntry], release: Release) -> Manifest:
    """The manifest of those sources alone whose pixels leave."""
    shards = tuple(shard for shard in manifest.shards if shard.source in entries)
    return manifest.model_copy(
        update={
            "config_digest": config_digest(entries),
            "digest": shards_digest(shards),
            "sources": entries,
            "shards": shards,
            "meta": {slug: entry for slug, entry in manifest.meta.items() if slug in entries},
            "release": release,
        }
    )


def _write_trace_table(staged: Dataset) -> None:
    """Write the train records that a policy wrote reasoning for as one table without images, where
    there are any: what supervised training on text takes, and a configuration of the release."""
    path, parts = staged.layout.traces, []
    traced = (pc.field("split") == "train") & pc.field("reasoning_policy").is_valid()
    for entry in staged.manifest.meta.values():
        with staged.files.holding(entry) as light:
            parts.append(
                pq.read_table(light, columns=list(_TRACE), filters=traced, partitioning=None)
            )
    if not any(part.num_rows for part in parts):
        return
    table = pa.concat_tables(parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.sort_by("id").replace_schema_metadata(None), path, compression="zstd")


def _describe(dataset: Dataset, staged: Dataset) -> None:
    """Statistics and success rates of what leaves, where the data set has them."""
    if not staged.manifest.shards:
        return
    records = staged.kept()
    for path in sorted(dataset.layout.difficulty.glob("*.parquet")):
        table = difficulty.read_difficulty(path).join(records.select("id"), on="id", how="semi")
        if table.height:
            difficulty.write_difficulty(staged.layout, table)
    policy = _policy(dataset)
    benchmark = pl.col("source").is_in(evaluation_sources(staged.manifest))
    trained_on = records.filter(~benchmark)
    if policy is not None and (trained_on["split"] == "train").any():
        success = difficulty.choose(staged.layout, policy)
        basis = basis_of(staged.manifest, staged.layout, policy)
        tables.write_statistics(staged.layout, tables.compute(trained_on, success), basis)


def _policy(dataset: Dataset) -> str | None:
    """The policy behind the data set's statistics; None when it has none."""
    if not dataset.layout.statistics("domains").is_file():
        return None
    # Stale ones too say whose success rates they were: those of what leaves are counted anew.
    policies = tables.Stats.read(dataset.layout).domains["policy"].drop_nulls()
    return policies[0] if policies.len() else None
