"""Row groups in memory: read once while they are needed, on any thread."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from qoqdata.atomic import file_digest
from qoqdata.contract.manifest import Shard
from qoqdata.errors import DatasetError, InputError
from qoqdata.remote.files import Files
from qoqdata.stream import columns

#: The columns of a row group and how to get a value of each.
Columns = tuple[tuple[str, columns.Value], ...]
#: What reading and decoding raise for damaged input.
FAULTS = (pa.ArrowException, OSError, ValueError, DatasetError, InputError)

_FOOTERS = 256
_SPARE = 8


class RowGroups:
    """The open row groups of a reader.

    A row group is named by shard number x 2**32 + its number in the shard, as in `index.Groups`.
    `submit` starts a call on a thread (or runs it) and returns its future.
    """

    def __init__(
        self,
        files: Files,
        shards: Sequence[Shard],
        names: Sequence[str],
        submit: Callable[..., Future[Any]],
        *,
        verify: bool,
    ) -> None:
        self._files, self._shards, self._names = files, shards, tuple(names)
        self._leaves = columns.leaves(names)
        self._submit, self._verify = submit, verify
        self._open: dict[int, Future[Columns]] = {}
        self._users: Counter[int] = Counter()
        self._spare: OrderedDict[int, Columns] = OrderedDict()
        self._footers: OrderedDict[int, pq.FileMetaData] = OrderedDict()
        self._sound: set[int] = set()
        self._lock = threading.Lock()

    def open(self, groups: Sequence[int]) -> None:
        """Begin to read row groups that are not open; each call needs a `close` of its own."""
        lacking = [group for group in groups if group not in self._open]
        self._users.update(groups)
        if lacking:
            numbers = dict.fromkeys(group >> 32 for group in lacking)
            self._files.prefetch([self._shards[number] for number in numbers])
        for group in lacking:
            self._open[group] = self._submit(self._load, group)

    def close(self, groups: Iterable[int]) -> None:
        """Take back an `open` of row groups; the last one lets go of them."""
        for group in groups:
            self._users[group] -= 1
            if self._users[group] == 0:
                del self._users[group], self._open[group]

    def held(self) -> list[int]:
        """What is open, as often as it was opened."""
        return list(self._users.elements())

    def get(self, group: int) -> Columns:
        """An open row group; raises one of FAULTS when it cannot be read."""
        return self._open[group].result()

    def get_any(self, group: int) -> Columns:
        """A row group, open or not; a few that are not are kept. Raises one of FAULTS."""
        found = self._open.get(group)
        # One that still waits for a thread may wait for the very thread that asks here.
        if found is not None and (found.done() or found.running()):
            return found.result()
        with self._lock:
            if (kept := self._spare.get(group)) is not None:
                return kept
        loaded = self._load(group)
        with self._lock:
            self._spare[group] = loaded
            while len(self._spare) > _SPARE:
                self._spare.popitem(last=False)
        return loaded

    def _load(self, group: int) -> Columns:
        number, row_group = group >> 32, group & 0xFFFFFFFF
        with self._files.holding(self._shards[number]) as path:
            if self._verify:
                self._check(number, path)
            with pq.ParquetFile(
                path,
                metadata=self._footer(number, path),
                pre_buffer=False,
                page_checksum_verification=True,
            ) as file:
                table = file.read_row_group(row_group, columns=self._leaves, use_threads=False)
        return columns.values(table, self._names)

    def _footer(self, number: int, path: Path) -> pq.FileMetaData:
        """The parsed footer of a shard, which costs more than a small row group to read."""
        with self._lock:
            if (known := self._footers.get(number)) is not None:
                self._footers.move_to_end(number)
                return known
        footer = pq.read_metadata(path)
        with self._lock:
            self._footers[number] = footer
            while len(self._footers) > _FOOTERS:
                self._footers.popitem(last=False)
        return footer

    def _check(self, number: int, path: Path) -> None:
        if number in self._sound:
            return
        shard = self._shards[number]
        if path.stat().st_size != shard.bytes or file_digest(path) != shard.sha256:
            what = "differs from its digest in the manifest"
            raise DatasetError(what, where=self._files.origin(shard.path))
        self._sound.add(number)
