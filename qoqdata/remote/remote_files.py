"""Files of a data set behind a URL: shards through the cache, the rest beside it."""

from __future__ import annotations

import hashlib
import os
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from qoqdata.atomic import digest, file_digest
from qoqdata.contract.manifest import Manifest, Shard
from qoqdata.errors import DatasetError, UsageError
from qoqdata.layout import Layout
from qoqdata.remote import leaves, side_files
from qoqdata.remote.cache import Cache
from qoqdata.remote.faults import retried
from qoqdata.remote.files import scan_shards
from qoqdata.remote.urls import file_system, shown

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_PREFETCH_THREADS = 4
_LEAF_THREADS = 16


class RemoteFiles:
    """`files.Files` over an fsspec file system; threads, forks and pickles may share one."""

    def __init__(
        self, url: str, manifest: Manifest, root: Path, cache: Cache, options: Mapping[str, Any]
    ) -> None:
        self._url, self._manifest, self._root = url, manifest, root
        self._cache, self._options = cache, dict(options)
        self._by_path = {shard.path: shard for shard in manifest.shards}
        self._begin()
        _ALL.add(self)

    def __reduce__(self) -> tuple[Any, ...]:
        arguments = (self._url, self._manifest, self._root, self._cache, self._options)
        return (RemoteFiles, arguments)

    @property
    def root(self) -> Path:
        return self._root

    def origin(self, name: str = "") -> str:
        return f"{shown(self._url)}/{name}" if name else shown(self._url)

    def local(self, shard: Shard | str) -> Path:
        shard = self._shard(shard)
        with self._lock:
            if shard.sha256 in self._holds:
                return self._path(shard)
        entry = self._bring(shard)
        with self._lock:
            hold = self._holds.setdefault(shard.sha256, entry)
        if hold is not entry:
            entry.close()
        return self._path(shard)

    def release(self, shard: Shard | str) -> None:
        with self._lock:
            entry = self._holds.pop(self._shard(shard).sha256, None)
        if entry is not None:
            entry.close()

    @contextmanager
    def holding(self, shard: Shard | str) -> Iterator[Path]:
        shard = self._shard(shard)
        with self._bring(shard):
            yield self._path(shard)

    def prefetch(self, shards: Iterable[Shard | str]) -> None:
        room = self._cache.max_bytes // 2
        with self._lock:
            for shard in map(self._shard, shards):
                room -= shard.bytes
                if room < 0:
                    return
                future = self._downloads.get(shard.sha256)
                if future is None or future.done():
                    self._downloads[shard.sha256] = self._pool.submit(self._fetch, shard)

    def layout(self, *names: str) -> Layout:
        parts = set(names or side_files.PARTS)
        with self._layout_lock:
            for name in sorted(parts - self._fresh):
                system, inside = self._place()
                # fsspec remembers listings by thread; this thread may have an old one.
                system.invalidate_cache()
                files = side_files.files_of(name, self._manifest, system, inside, self._url)
                # A note and its file are two files: one process at a time writes them.
                with self._cache.guarded(self._root.name):
                    side_files.refresh(system, inside, files, folder=self._root, url=self.origin())
                self._fresh.add(name)
        return Layout(self._root)

    def records(self) -> pl.LazyFrame:
        return scan_shards(self, self._manifest.shards)

    def leaves(self, columns: Sequence[str]) -> pa.Table:
        shards = [[shard.sha256, shard.rows] for shard in self._manifest.shards]
        key = digest({"columns": list(columns), "shards": shards})
        name = f"leaves/{key[:2]}/{key}.parquet"
        with self._cache.guarded(f"{key}.reading"):
            if (table := self._cached_table(name)) is not None:
                return table
            table = self._read_leaves(columns)
            sink = pa.BufferOutputStream()
            pq.write_table(table, sink, compression="zstd")
            content = sink.getvalue()
            self._cache.obtain(name, content.size, _writer(content)).close()
        return table

    def close(self) -> None:
        self._finish()
        self._begin()

    def _begin(self) -> None:
        self._lock, self._layout_lock = threading.Lock(), threading.Lock()
        self._holds: dict[str, BinaryIO] = {}
        self._downloads: dict[str, Future[None]] = {}
        self._fresh: set[str] = set()
        self._pool = ThreadPoolExecutor(_PREFETCH_THREADS, thread_name_prefix="qoqdata-prefetch")
        self._finish = weakref.finalize(self, _finish, self._holds, self._pool)

    def _after_fork(self) -> None:
        # The parent's threads and locks do not exist here; its holds stay its own.
        self._finish.detach()
        for entry in self._holds.values():
            entry.close()
        self._begin()

    def _place(self) -> tuple[AbstractFileSystem, str]:
        # fsspec keeps one instance a thread and process, so this is a look-up.
        return file_system(self._url, self._options)

    def _shard(self, shard: Shard | str) -> Shard:
        if not isinstance(shard, str):
            return shard
        if shard not in self._by_path:
            raise UsageError("is no shard of the data set", where=self.origin(shard))
        return self._by_path[shard]

    def _path(self, shard: Shard) -> Path:
        return self._cache.root / _entry(shard)

    def _fetch(self, shard: Shard) -> None:
        self._bring(shard).close()

    def _bring(self, shard: Shard) -> BinaryIO:
        def write(draft: Path) -> None:
            url = self.origin(shard.path)
            try:
                retried(lambda: self._download(shard, draft), url=url)
            except FileNotFoundError as error:
                fix = "publish the data set again"
                what = "is in the manifest and not in the store"
                raise DatasetError(what, where=url, fix=fix) from error

        return self._cache.obtain(_entry(shard), shard.bytes, write)

    def _download(self, shard: Shard, draft: Path) -> None:
        system, inside = self._place()
        draft.unlink(missing_ok=True)
        system.get_file(f"{inside}/{shard.path}", str(draft))
        if (length := draft.stat().st_size) < shard.bytes:
            raise ConnectionError(f"{length} of {shard.bytes} bytes came")
        if length != shard.bytes or file_digest(draft) != shard.sha256:
            # The next try must not trust a remembered listing.
            system.invalidate_cache()
            fix = "open the data set again, as it may have changed; else publish it again"
            raise DatasetError(
                "differs from its digest in the manifest", where=self.origin(shard.path), fix=fix
            )

    def _read_leaves(self, columns: Sequence[str]) -> pa.Table:
        def one(number: int) -> pa.Table:
            return self._leaves_of(self._manifest.shards[number], columns, number)

        with ThreadPoolExecutor(_LEAF_THREADS, thread_name_prefix="qoqdata-leaves") as pool:
            return pa.concat_tables(pool.map(one, range(len(self._manifest.shards))))

    def _leaves_of(self, shard: Shard, columns: Sequence[str], number: int) -> pa.Table:
        url = self.origin(shard.path)

        def attempt() -> pa.Table:
            system, inside = self._place()
            source = f"{inside}/{shard.path}"
            return leaves.read_remote(system, source, shard.bytes, columns, shard=number)

        entry = self._cache.held(_entry(shard), shard.bytes)
        if entry is None:
            try:
                table = retried(attempt, url=url)
                if table.num_rows == shard.rows:
                    return table
            except UsageError:
                raise
            except (DatasetError, FileNotFoundError):
                # A store without ranges, or damage: the whole shard tells, and is checked.
                entry = None
            entry = self._bring(shard)
        with entry:
            return leaves.read_leaves(self._path(shard), columns, shard=number)

    def _cached_table(self, name: str) -> pa.Table | None:
        entry = self._cache.held(name)
        if entry is None:
            return None
        with entry:
            try:
                with pq.ParquetFile(entry) as file:
                    return file.read()
            except (pa.ArrowException, OSError):
                self._cache.drop(name)
                return None


def set_folder(cache: Cache, url: str, manifest: bytes) -> Path:
    """Where the parts of one release of a data set are kept beside its shards."""
    key = hashlib.sha256(url.encode() + b"\0" + manifest).hexdigest()
    return cache.root / "sets" / key


def _entry(shard: Shard) -> str:
    return f"shards/{shard.sha256[:2]}/{shard.sha256}.parquet"


def _writer(content: pa.Buffer) -> Any:
    return lambda draft: draft.write_bytes(content)


def _finish(entries: dict[str, BinaryIO], pool: ThreadPoolExecutor) -> None:
    pool.shutdown(wait=False, cancel_futures=True)
    while entries:
        entries.popitem()[1].close()


_ALL: weakref.WeakSet[RemoteFiles] = weakref.WeakSet()


def _after_fork() -> None:
    for files in list(_ALL):
        files._after_fork()


os.register_at_fork(after_in_child=_after_fork)
