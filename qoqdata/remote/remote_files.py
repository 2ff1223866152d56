"""Files of a data set behind a URL: shards and metadata through the cache, the rest beside it."""

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

from qoqdata.contract.manifest import Manifest, MetadataFile, Shard
from qoqdata.errors import DatasetError, UsageError
from qoqdata.layout import Layout
from qoqdata.manifest import is_as_built
from qoqdata.remote import integrity, leaves, side_files
from qoqdata.remote.cache import Cache
from qoqdata.remote.faults import retried
from qoqdata.remote.files import Bound, scan_records
from qoqdata.remote.store import StoreFolder
from qoqdata.remote.transfer import fetch
from qoqdata.remote.urls import file_system, scheme, shown

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_PREFETCH_THREADS = 4


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
        return (type(self), arguments)

    @property
    def root(self) -> Path:
        return self._root

    @property
    def in_folder(self) -> bool:
        return False

    @property
    def cache(self) -> Cache:
        """Where its shards are kept."""
        return self._cache

    @property
    def manifest(self) -> Manifest:
        """What it consists of."""
        return self._manifest

    @property
    def store(self) -> StoreFolder:
        """The folder of the store that it lies in."""
        return StoreFolder(self._url, self._options)

    def origin(self, name: str = "") -> str:
        return f"{shown(self._url)}/{name}" if name else shown(self._url)

    def local(self, file: Bound) -> Path:
        file = self._bound(file)
        with self._lock:
            if file.sha256 in self._holds:
                return self._path(file)
        entry = self._bring(file)
        with self._lock:
            hold = self._holds.setdefault(file.sha256, entry)
        if hold is not entry:
            entry.close()
        return self._path(file)

    def release(self, file: Bound) -> None:
        with self._lock:
            entry = self._holds.pop(self._bound(file).sha256, None)
        if entry is not None:
            entry.close()

    @contextmanager
    def holding(self, file: Bound, *, verify: bool = False, judged: bool = True) -> Iterator[Path]:
        file = self._bound(file)
        with self._bring(file):
            path = self._path(file)
            require = integrity.require_footer if judged else integrity.require_schema
            require(path, file, where=self.origin(file.path))
            yield path

    def listing(self, folder: str) -> list[str]:
        listed = scheme(self._url) not in ("http", "https")
        return list(self.store.listing(folder)) if listed else []

    def prefetch(self, files: Iterable[Bound]) -> None:
        room = self._cache.max_bytes // 2
        with self._lock:
            for file in map(self._bound, files):
                room -= file.bytes
                if room < 0:
                    return
                future = self._downloads.get(file.sha256)
                if future is None or future.done():
                    self._downloads[file.sha256] = self._pool.submit(self._fetch, file)

    def layout(self, *names: str) -> Layout:
        parts = set(names or side_files.PARTS)
        with self._layout_lock:
            for name in sorted(parts - self._fresh):
                system, inside = self._place()
                # fsspec remembers listings by thread; this thread may have an old one.
                system.invalidate_cache()
                files = side_files.files_of(name, self._manifest, system, inside, self._url)
                # What was there once and is no longer goes from the cache too.
                here = (self._root / name).glob("*.parquet")
                files = sorted({*files, *(f"{name}/{path.name}" for path in here)})
                # A note and its file are two files: one process at a time writes them.
                with self._cache.guarded(self._root.name):
                    side_files.refresh(system, inside, files, folder=self._root, url=self.origin())
                self._fresh.add(name)
        return Layout(self._root)

    def records(self) -> pl.LazyFrame:
        return scan_records(self, self._manifest)

    def leaves(self, columns: Sequence[str]) -> pa.Table:
        return leaves.read_leaves(self, self._manifest, columns)

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

    def _bound(self, file: Bound) -> Shard | MetadataFile:
        if not isinstance(file, str):
            return file
        if file not in self._by_path:
            raise UsageError("is no shard of the data set", where=self.origin(file))
        return self._by_path[file]

    def _path(self, file: Shard | MetadataFile) -> Path:
        return self._cache.root / _entry(file)

    def _fetch(self, file: Shard | MetadataFile) -> None:
        self._bring(file).close()

    def _bring(self, file: Shard | MetadataFile) -> BinaryIO:
        def write(draft: Path) -> None:
            url = self.origin(file.path)
            try:
                retried(lambda: self._download(file, draft), url=url)
            except FileNotFoundError as error:
                fix = "publish the data set again"
                what = "is in the manifest and not in the store"
                raise DatasetError(what, where=url, fix=fix) from error

        return self._cache.obtain(_entry(file), file.bytes, write)

    def _download(self, file: Shard | MetadataFile, draft: Path) -> None:
        system, inside = self._place()
        draft.unlink(missing_ok=True)
        # A file that was published anew is told by its digest, one without an end by its size.
        most, url = 2 * file.bytes + 2**20, self.origin(file.path)
        fetch(system, f"{inside}/{file.path}", draft, most=most, url=url)
        if (length := draft.stat().st_size) < file.bytes:
            raise ConnectionError(f"{length} of {file.bytes} bytes came")
        if not is_as_built(draft, file):
            # The next try must not trust a remembered listing.
            system.invalidate_cache()
            fix = "open the data set again, as it may have changed; else publish it again"
            raise DatasetError(
                "differs from its digest in the manifest", where=self.origin(file.path), fix=fix
            )


def set_folder(cache: Cache, url: str, manifest: bytes) -> Path:
    """Where the parts of one release of a data set are kept beside its shards."""
    key = hashlib.sha256(url.encode() + b"\0" + manifest).hexdigest()
    return cache.root / "sets" / key


def _entry(file: Shard | MetadataFile) -> str:
    kind = "shards" if isinstance(file, Shard) else "meta"
    return f"{kind}/{file.sha256[:2]}/{file.sha256}.parquet"


def _finish(entries: dict[str, BinaryIO], pool: ThreadPoolExecutor) -> None:
    pool.shutdown(wait=False, cancel_futures=True)
    while entries:
        entries.popitem()[1].close()


_ALL: weakref.WeakSet[RemoteFiles] = weakref.WeakSet()


def _after_fork() -> None:
    for files in list(_ALL):
        files._after_fork()


os.register_at_fork(after_in_child=_after_fork)
