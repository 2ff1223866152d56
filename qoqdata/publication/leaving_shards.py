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

import pyarrow as pa
import pyarrow.parquet as pq

from qoqdata.atomic import linked
from qoqdata.contract.manifest import Manifest, MetadataFile, Shard
from qoqdata.dataset import Dataset
from qoqdata.layout import Layout
from qoqdata.metadata import shard_metadata, write_source_metadata
from qoqdata.pipeline.shards import rewrite_shard
from qoqdata.progress import ProgressCallback
from qoqdata.publication import recipe as recipes
from qoqdata.publication.leaving_changes import Change
from qoqdata.publication.passing_shards import PassingFiles, PassingShards
from qoqdata.remote.files import LocalFiles
from qoqdata.remote.remote_files import RemoteFiles


class Look(Protocol):
    """Looks into the shards that leave."""

    def is_clean(self, name: str, sha256: str) -> bool:
        """Whether it has looked into this one before; then its content need not be here."""

    def file(self, content: Path, name: str, sha256: str | None = None) -> None:
        """Look into a shard as it leaves: where its content is, and its path in the release."""

    def became(self, change: str) -> tuple[Shard | None] | None:
        """What a change of a shard gave, None where no record was left; None where it was not made
        before."""

    def note_became(self, change: str, after: Shard | None) -> None:
        """Remember what a change of a shard gave, by what `became` is asked for."""

    def forget(self) -> None:
        """Take nothing for known the next time."""


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
                light = (metadata() for metadata in visits)
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
    ) -> Iterator[Callable[[], pa.Table]]:
        """Of those that leave something, what reads the metadata, as long as the next is not asked
        for."""
        files = self.dataset.files
        for number, shard in enumerate(shards):
            target, where = self.root / shard.path, files.origin(shard.path)
            if isinstance(files, RemoteFiles) and not self._is_brought(shard):
                # What it becomes is made, and its digest compared, when it is sent.
                if (known := self._known(shard)) is not None:
                    self.after[shard.path] = known
                    ranges = files.store.ranges(shard.path, shard.bytes)
                    yield partial(self._light, shard, ranges, where)
                visited(number + 1)
                continue
            stays = shard.source in self.open_pixels and isinstance(files, LocalFiles)
            # A flipped bit is found before anything is sent.
            with files.holding(shard, verify=True) as source:
                files.prefetch(s for s in shards[number + 1 : number + 2] if self._is_brought(s))
                after: Shard | None = shard
                content = source
                if (change := self.changes.get(shard.path)) is not None:
                    content = target
                    after = rewrite_shard(source, target, shard, change)
                elif stays:
                    content = target
                    linked(source, target)
                if after is not None:
                    self.after[shard.path] = after
                    self._take(after, content)
                    yield partial(shard_metadata, content, where=where)
                # By now it was searched.
                if change is not None and self.look is not None:
                    self.look.note_became(change.of(shard), after)
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
        """Whether a shard has to be here: not one of which it is known what becomes of it, and
        that this was looked into."""
        if shard.source not in self.open_pixels or self.look is None:
            return True
        if shard.path not in self.changes:
            return not self.look.is_clean(shard.path, shard.sha256)
        before = self.look.became(self.changes[shard.path].of(shard))
        if before is None:
            return True
        return before[0] is not None and not self.look.is_clean(shard.path, before[0].sha256)

    def _known(self, shard: Shard) -> Shard | None:
        """What becomes of a shard that is not brought."""
        if shard.path not in self.changes or self.look is None:
            return shard
        before = self.look.became(self.changes[shard.path].of(shard))
        return None if before is None else before[0]

    def _light(self, shard: Shard, content: RawIOBase, where: str) -> pa.Table:
        """The metadata of what becomes of a shard, read from the shard as it is."""
        table = shard_metadata(content, where=where)
        change = self.changes.get(shard.path)
        return table if change is None else change(table).cast(table.schema)

    def files(self, manifest: Manifest) -> LocalFiles:
        """The files of the tree."""
        if isinstance(self.dataset.files, LocalFiles):
            return LocalFiles(self.root, manifest)
        work = self.root.parent
        forget = None if self.look is None else self.look.forget
        passing = PassingShards(self.dataset, self.changes, self.after, work, forget)
        return PassingFiles(self.root, manifest, passing)


def _counted(progress: ProgressCallback, before: int, total: int, done: int) -> None:
    progress(before + done, total)
