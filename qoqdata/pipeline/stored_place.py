"""A data set that is built in a store, chunk by chunk.

    URL/...                                    the set, laid out as in a folder
    URL/.build/lease/<number>                  who writes it, see `remote.lease`
    CACHE/built/<key>/<process>/<name>/...     what a command has in work here; gone when it ends

A worker writes the shard of its chunk here, sends it, then its receipt, and removes both: so a
receipt in the store says that its shard is there, and a process has one shard on its disk.
"""

from __future__ import annotations

import errno
import hashlib
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from qoqdata.contract.manifest import Shard
from qoqdata.errors import QoqdataError, UnfinishedBuild, UsageError
from qoqdata.layout import Layout
from qoqdata.metadata import shard_metadata
from qoqdata.pipeline.place import TAIL, FolderPlace, Place, another_writes
from qoqdata.remote.cache import Cache
from qoqdata.remote.lease import FOLDER, Lease, Taken, leased
from qoqdata.remote.store import Listed, StoreFolder
from qoqdata.remote.urls import READ_ONLY, local_path, scheme, shown
from qoqdata.remote.work_folder import work_folder
from qoqdata.sources.rawtree import RawTree
from qoqdata.threads import several


@dataclass(frozen=True)
class StoredPlace:
    """A data set in a store; `layout` is the folder for what is in work. Travels to workers."""

    store: StoreFolder
    layout: Layout
    #: What the store held when the set was opened, and is known to hold since.
    _listed: dict[str, Listed] = field(default_factory=dict, repr=False)
    #: Of files that were brought, size and time here.
    _brought: dict[str, tuple[int, int]] = field(default_factory=dict, repr=False)
    _ends: dict[str, tuple[int, str]] = field(default_factory=dict, repr=False)
    _lease: list[Lease] = field(default_factory=list, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return StoredPlace, (self.store, self.layout)

    @property
    def where(self) -> str:
        return shown(self.store.url)

    def open(self) -> None:
        """Learn what is there, and bring what a build reads of earlier ones."""
        self._listed.update(self.store.listing())
        layout = self.layout
        folders = (layout.summary("x"), layout.patient_splits("x"), layout.raw_keys("x"))
        wanted = [self._path(one.parent) for one in (*folders, layout.containers("x"))]
        self.bring(
            layout.root / path
            for path in self._listed
            if path == "manifest.json" or path.rpartition("/")[0] in wanted
        )

    @contextmanager
    def alone(self) -> Iterator[None]:
        try:
            with leased(self.store, FOLDER) as lease:
                self._lease.append(lease)
                # Another may have written since the set was opened.
                self._listed.clear()
                self.open()
                yield
        except Taken:
            raise another_writes(self.where) from None
        finally:
            self._lease.clear()

    def require_alone(self, *, ask: bool = False) -> None:
        for lease in self._lease:
            if lease.lost or (ask and not lease.look()):
                what = "another build has taken this data set over"
                raise UnfinishedBuild(what, where=self.where, fix="wait for it to end")

    def is_inside(self, raw: RawTree) -> bool:
        return raw.store is not None and f"{self.store.url}/".startswith(f"{raw.store.url}/")

    def bring(self, paths: Iterable[Path]) -> None:
        for _ in several(self._bring, list(paths)):
            pass

    def look_at(self, shards: Iterable[Shard]) -> None:
        for _ in several(self.end_of, [shard.path for shard in shards]):
            pass

    def end_of(self, path: str) -> tuple[int, str] | None:
        if path not in self._ends:
            if (listed := self._listed.get(path)) is None:
                return None
            size = listed.size
            try:
                tail = self.store.read_range(path, max(0, size - TAIL), size)
            except FileNotFoundError:
                return None
            self._ends[path] = size, hashlib.sha256(tail).hexdigest()
        return self._ends[path]

    def names(self, folder: Path) -> list[str]:
        found = self.store.listing(self._path(folder))
        self._listed.update(found)
        prefix = f"{self._path(folder)}/"
        own = [one for one in found if one.startswith(prefix)]
        own.sort(key=lambda one: (found[one].modified, one))
        return [one.removeprefix(prefix) for one in own]

    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._forget(self._path(path))

    def remove_below(self, folder: Path) -> None:
        prefix = f"{self._path(folder)}/"
        shutil.rmtree(folder, ignore_errors=True)
        for _ in several(self._forget, [one for one in self._listed if one.startswith(prefix)]):
            pass

    def keep(self, paths: Iterable[Path]) -> None:
        for _ in several(self._send, list(paths)):
            pass

    def keep_chunk(self, files: Sequence[Path], receipt: Path) -> None:
        try:
            for path in files:
                if path.is_file():
                    self.store.put(path, self._path(path))
                else:
                    self.store.remove(self._path(path))
            name, content = self._path(receipt), receipt.read_bytes()
            # Who builds the same chunk at the same time has written the same receipt, or one that
            # does not hold: its shard is no longer there.
            if not self.store.create(name, content):
                self.store.write(name, content)
        except FileNotFoundError as error:
            raise OSError(errno.EIO, "was lost in the store", str(error)) from error
        except QoqdataError as error:
            raise OSError(errno.EIO, str(error), self.where) from error
        for path in (*files, receipt):
            path.unlink(missing_ok=True)

    def keep_rest(self, slugs: Iterable[str], last: Path) -> None:
        layout, own = self.layout, []
        apart = [self._path(one("x", "x").parent.parent) for one in (layout.shard, layout.receipt)]
        apart.append(self._path(layout.likenesses("x").parent))
        for path in layout.root.rglob("*"):
            name = self._path(path)
            if path == last or path.is_dir() or any(name.startswith(f"{one}/") for one in apart):
                continue
            if self._brought.get(name) != _state(path):
                own.append(path)
        self.keep(own)
        perhaps = (layout.metadata, layout.quarantine, layout.containers, layout.raw_keys)
        for path in (one(slug) for slug in slugs for one in perhaps):
            if not path.is_file():
                self._forget(self._path(path))
        self.require_alone(ask=True)
        self._send(last)

    def metadata(self, shards: Iterable[Shard]) -> Iterator[pa.Table]:
        return several(self._metadata, list(shards))

    def _metadata(self, shard: Shard) -> pa.Table:
        where = self.store.where(shard.path)
        with self.store.ranges(shard.path, shard.bytes) as stream:
            return shard_metadata(stream, where=where)

    def _bring(self, path: Path) -> None:
        name = self._path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        try:
            self.store.fetch(name, draft)
            draft.replace(path)
            self._brought[name] = _state(path)
        except FileNotFoundError:
            path.unlink(missing_ok=True)
            self._brought.pop(name, None)
        finally:
            draft.unlink(missing_ok=True)

    def _send(self, path: Path) -> None:
        name = self._path(path)
        self.store.put(path, name)
        self._brought[name] = _state(path)
        self._listed[name] = Listed(path.stat().st_size, "")

    def _forget(self, name: str) -> None:
        self._brought.pop(name, None)
        self._ends.pop(name, None)
        if self._listed.pop(name, None) is not None:
            self.store.remove(name)

    def _path(self, path: Path) -> str:
        return path.relative_to(self.layout.root).as_posix()


@contextmanager
def open_place(out: str | Path) -> Iterator[Place]:
    """The place that --out names; raises UsageError for a URL at which nothing can be built."""
    folder = local_path(out)
    if folder is not None:
        yield FolderPlace(Layout(folder))
        return
    url = str(out).rstrip("/")
    if scheme(url) in READ_ONLY:
        fix = "build into a folder or a bucket (s3://, gs://); `qoqdata publish` sends to the Hub"
        raise UsageError("no data set can be built there", where=shown(url), fix=fix)
    with work_folder(Cache.settled().root / "built", url) as folder:
        place = StoredPlace(StoreFolder(url), Layout(folder))
        place.open()
        yield place


def _state(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
