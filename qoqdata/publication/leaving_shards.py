"""The shards of a set on their way into a release: each is visited once, and what is left of it is
searched, described and, of a set in a folder, linked."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from io import RawIOBase
from pathlib import Path
from typing import Protocol

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from qoqdata import verdicts
from qoqdata.atomic import linked
from qoqdata.contract.manifest import Manifest, MetadataFile, Shard
from qoqdata.curation.burned_in.blanking import Boxes, blank_rows
from qoqdata.dataset import Dataset
from qoqdata.layout import Layout
from qoqdata.metadata import shard_metadata, write_source_metadata
from qoqdata.pipeline.shards import rewrite_shard
from qoqdata.progress import ProgressCallback
from qoqdata.publication import recipe as recipes
from qoqdata.publication.passing_shards import Change, PassingFiles, PassingShards
from qoqdata.remote.files import LocalFiles
from qoqdata.remote.remote_files import RemoteFiles


class Look(Protocol):
    """Looks into the shards that leave."""

    def is_clean(self, name: str, sha256: str) -> bool:
        """Whether it has looked into this one before; then its content need not be here."""

    def file(self, content: Path, name: str, sha256: str | None = None) -> None:
        """Look into a shard as it leaves: where its content is, and its path in the release."""


@dataclass(frozen=True, eq=False)
class Leaving:
    """The shards of a set on their way out. Each is visited once: `after` are those that leave
    something, by path, `annotations` of those whose pixels stay."""

    dataset: Dataset
    root: Path
    changes: Mapping[str, Change]
    open_pixels: Collection[str]
    look: Look | None
    after: dict[str, Shard] = field(default_factory=dict)
    annotations: dict[str, pa.Table] = field(default_factory=dict)

    def visit(self, shards: Sequence[Shard], progress: ProgressCallback) -> dict[str, MetadataFile]:
        """Visit all shards, and write the metadata of what leaves of each source: linked of those
        in which nothing changes."""
        by_source: dict[str, list[Shard]] = {}
        for shard in shards:
            by_source.setdefault(shard.source, []).append(shard)
        entries, before = {}, 0
        progress(0, len(shards))
        for slug, own in sorted(by_source.items()):
            visits = self._visits(own, partial(_counted, progress, before, len(shards)))
            before += len(own)
            if any(shard.path in self.changes for shard in own):
                light = (shard_metadata(content, where=where) for content, where in visits)
                entries[slug] = write_source_metadata(self.root, slug, light)
            else:
                for _ in visits:
                    pass
                entries[slug] = self.dataset.manifest.meta[slug]
                with self.dataset.files.holding(entries[slug], verify=True) as source:
                    linked(source, Layout(self.root).metadata(slug))
            if not any(shard.path in self.after for shard in own):
                del entries[slug]
                Layout(self.root).metadata(slug).unlink(missing_ok=True)
        return entries

    def _visits(
        self, shards: Sequence[Shard], visited: Callable[[int], None]
    ) -> Iterator[tuple[Path | RawIOBase, str]]:
        """The contents of those that leave something, each as long as the next is not asked for,
        and where they are from."""
        files = self.dataset.files
        for number, shard in enumerate(shards):
            target, where = self.root / shard.path, files.origin(shard.path)
            if isinstance(files, RemoteFiles) and not self._is_brought(shard):
                # Its digest is compared when it is sent.
                self.after[shard.path] = shard
                yield files.store.ranges(shard.path, shard.bytes), where
                visited(number + 1)
                continue
            stays = shard.source in self.open_pixels and isinstance(files, LocalFiles)
            # A flipped bit is found before anything is sent.
            with files.holding(shard, verify=True) as source:
                files.prefetch(s for s in shards[number + 1 : number + 2] if self._is_brought(s))
                after: Shard | None = shard
                content = source
                if shard.path in self.changes:
                    content = target
                    after = rewrite_shard(source, target, shard, self.changes[shard.path])
                elif stays:
                    content = target
                    linked(source, target)
                if after is not None:
                    self.after[shard.path] = after
                    self._take(after, content)
                    yield content, where
            if not stays:
                shutil.rmtree(target.parent, ignore_errors=True)
            visited(number + 1)

    def _take(self, shard: Shard, content: Path) -> None:
        if shard.source not in self.open_pixels:
            table = pq.read_table(content)
            self.annotations[shard.path] = recipes.annotations_of(shard.path, table)
            return
        if self.look is not None:
            self.look.file(content, shard.path, shard.sha256)

    def _is_brought(self, shard: Shard) -> bool:
        """Whether a shard has to be here: not one that leaves as it is and was looked into."""
        if shard.path in self.changes or shard.source not in self.open_pixels:
            return True
        return self.look is None or not self.look.is_clean(shard.path, shard.sha256)

    def files(self, manifest: Manifest) -> LocalFiles:
        """The files of the tree."""
        if isinstance(self.dataset.files, LocalFiles):
            return LocalFiles(self.root, manifest)
        work = self.root.parent
        passing = PassingShards(self.dataset, self.changes, self.after, work)
        return PassingFiles(self.root, manifest, passing)


def changes_of(dataset: Dataset, blanked: Boxes, open_pixels: Collection[str]) -> dict[str, Change]:
    """What changes in the shards that hold dropped records or, of sources with `open_pixels`,
    blanked ones, by path."""
    shards, dropped = dataset.manifest.shards, _dropped(dataset)
    torn = _numbers(dataset, dropped.to_pylist())
    painted = {n for n in _numbers(dataset, list(blanked)) if shards[n].source in open_pixels}
    return {
        shards[number].path: partial(
            _changed, dropped=dropped, boxes=blanked if number in painted else {}
        )
        for number in torn | painted
    }


def _dropped(dataset: Dataset) -> pa.Array:
    return pa.array(verdicts.dropped(dataset.layout)["id"].unique().sort().to_list(), pa.string())


def _changed(table: pa.Table, dropped: pa.Array, boxes: Boxes) -> pa.Table:
    return blank_rows(table.filter(pc.invert(pc.is_in(table.column("id"), dropped))), boxes)


def _numbers(dataset: Dataset, ids: list[str]) -> set[int]:
    """Numbers of the shards that hold some of the records."""
    places = pl.DataFrame(dataset.files.leaves(["id"]))
    some = pl.DataFrame({"id": ids}, schema={"id": pl.String})
    return set(places.join(some, on="id", how="semi")["shard"].unique())


def _counted(progress: ProgressCallback, before: int, total: int, done: int) -> None:
    progress(before + done, total)
