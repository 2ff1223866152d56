"""The cache of remote files: a folder of bounded size that processes of one node share.

    ROOT/shards/<2 digits>/<sha256>.parquet     shards, by content: data sets share them
    ROOT/meta/<2 digits>/<sha256>.parquet       metadata of sources, by content
    ROOT/sets/<sha256>/                         cards, statistics, verdicts; not counted, small
    ROOT/reserved/, ROOT/locks/                 space and names of downloads under way

An entry is written aside, checked, synced and renamed, so a name is whole or absent, also after
SIGKILL at any moment. Whoever uses an entry holds a shared `flock` on it; eviction takes the least
recently used entries that nobody holds. The kernel drops the locks of a killed process, and the
next download that needs room sweeps what it left. Locks need a file system with `flock`: keep the
cache on a disk of the node.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from qoqdata.atomic import replacing
from qoqdata.errors import DatasetError, UsageError

DEFAULT_BYTES = 50 * 10**9

_COUNTED = ("shards", "meta")
_POLL = 0.05  # seconds


@dataclass(frozen=True)
class Cache:
    """A cache folder and the most bytes that its entries may take.

    When all entries are in use, a new one waits for downloads under way, which may be evicted once
    they are whole, and then `patience` seconds for a reader to move on.
    """

    root: Path
    max_bytes: int = DEFAULT_BYTES
    patience: float = 2.0

    @classmethod
    def settled(cls, root: str | Path | None = None, max_bytes: int | None = None) -> Cache:
        """The cache that arguments or QOQDATA_CACHE and QOQDATA_CACHE_BYTES name.

        Without any: `qoqdata` below XDG_CACHE_HOME or ~/.cache, 50 GB. Raises UsageError for a
        size that is not a positive whole number.
        """
        if root is None:
            home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
            root = os.environ.get("QOQDATA_CACHE") or Path(home) / "qoqdata"
        if max_bytes is None:
            text = os.environ.get("QOQDATA_CACHE_BYTES") or str(DEFAULT_BYTES)
            max_bytes = int(text) if text.isdecimal() else 0
        if max_bytes <= 0:
            fix = "give a whole number of bytes, such as 50000000000"
            raise UsageError("is not a size", where="QOQDATA_CACHE_BYTES or cache_bytes", fix=fix)
        return cls(Path(root).expanduser().absolute(), max_bytes)

    def obtain(self, name: str, size: int, write: Callable[[Path], None]) -> BinaryIO:
        """The entry `name`, open and held until closed; made by `write(draft)` when absent.

        `write` must leave `size` bytes at the path it is given, and raise for anything else.
        One process writes at a time, the others wait for it. Raises DatasetError when the entry
        does not fit beside those in use or the cache cannot be written; errors of `write` pass.
        """
        if (entry := self.held(name, size)) is not None:
            return entry
        with self.guarded(Path(name).name):
            # Another process may have written it while this one waited.
            if (entry := self.held(name, size)) is not None:
                return entry
            with self._reserved(name, size), replacing(self.root / name) as draft:
                write(draft)
                # The lock belongs to the file, not to its name: it is held before it is seen.
                return _hold(draft)

    def held(self, name: str, size: int | None = None) -> BinaryIO | None:
        """The entry, open and held until closed; None when there is none of `size` bytes."""
        path = self.root / name
        while True:
            try:
                entry = _hold(path)
            except (FileNotFoundError, NotADirectoryError):
                return None
            status = os.fstat(entry.fileno())
            if status.st_nlink and size in (None, status.st_size):
                with suppress(PermissionError):  # another user's file in a shared cache
                    os.utime(entry.fileno())
                return entry
            entry.close()
            if status.st_nlink:
                path.unlink(missing_ok=True)

    def drop(self, name: str) -> None:
        """Delete an entry that turned out to be unreadable."""
        (self.root / name).unlink(missing_ok=True)

    @contextmanager
    def guarded(self, name: str) -> Iterator[None]:
        """Exclude other processes and threads from writing what `name` stands for.

        Raises DatasetError when the block cannot write the cache.
        """
        try:
            with self._lock(name):
                yield
        except OSError as error:
            # Faults of the store are told by `write` itself; what is left is this folder's.
            fix = "set QOQDATA_CACHE to a folder that can be written"
            reason = error.strerror or str(error)
            raise DatasetError(
                f"the cache cannot be written: {reason}", where=str(self.root), fix=fix
            ) from error

    def _lock(self, name: str) -> FileLock:
        folder = self.root / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / f"{name}.lock")

    @contextmanager
    def _reserved(self, name: str, size: int) -> Iterator[None]:
        """Room for `size` bytes, counted by every process while the block runs."""
        if size > self.max_bytes:
            what = f"a file of {size} bytes is larger than the whole cache"
            raise DatasetError(what, where=str(self.root), fix=self._raise_it())
        claim = self.root / "reserved" / Path(name).name
        claim.parent.mkdir(parents=True, exist_ok=True)
        until = time.monotonic() + self.patience
        while not self._claimed(claim, size):
            if any(True for _ in self._claims()) and self.patience:
                until = time.monotonic() + self.patience
            if time.monotonic() >= until:
                what = f"no room for {size} bytes: the rest is in use"
                raise DatasetError(what, where=str(self.root), fix=self._raise_it())
            time.sleep(_POLL)
        try:
            yield
        finally:
            claim.unlink(missing_ok=True)

    def _raise_it(self) -> str:
        return f"raise QOQDATA_CACHE_BYTES (now {self.max_bytes})"

    def _claimed(self, claim: Path, size: int) -> bool:
        """Evict until `size` bytes fit, and state the claim; False when too much is in use."""
        with self._lock("room"):
            self._sweep(own=claim.name)
            # Claims first: one that ends meanwhile is then an entry, and counted once.
            claims = dict(self._claims())
            entries = sorted(self._entries(), key=lambda entry: entry[1].st_mtime_ns)
            for path, _ in entries:
                claims.pop(path.name, None)
            total = size + sum(claims.values()) + sum(state.st_size for _, state in entries)
            for path, state in entries:
                if total <= self.max_bytes:
                    break
                total -= state.st_size if _evicted(path) else 0
            if total > self.max_bytes:
                return False
            with claim.open("wb") as stream:
                stream.truncate(size)  # a hole: it states a size and takes no disk
            return True

    def _claims(self) -> Iterator[tuple[str, int]]:
        for path in (self.root / "reserved").iterdir():
            with suppress(FileNotFoundError):
                yield path.name, path.stat().st_size

    def _entries(self) -> Iterator[tuple[Path, os.stat_result]]:
        for kind in _COUNTED:
            for path in (self.root / kind).glob("*/[!.]*"):
                with suppress(FileNotFoundError):
                    yield path, path.stat()

    def _sweep(self, *, own: str) -> None:
        """Delete claims and drafts of processes that died: nobody holds the lock of their name."""
        remains = {path.name: [path] for path in (self.root / "reserved").iterdir()}
        for kind in _COUNTED:
            for draft in (self.root / kind).glob("*/.*.tmp"):
                # .NAME.PID.tmp, as `qoqdata.atomic.replacing` writes it
                remains.setdefault(draft.name[1:].rsplit(".", 2)[0], []).append(draft)
        for name, paths in remains.items():
            if name == own:
                _delete(paths)
                continue
            with suppress(Timeout), self._lock(name).acquire(timeout=0):
                _delete(paths)


def _hold(path: Path) -> BinaryIO:
    """Open with a shared lock, which waits only for an eviction of this file to end."""
    entry = path.open("rb")
    try:
        fcntl.flock(entry, fcntl.LOCK_SH)
    except BaseException:
        entry.close()
        raise
    return entry


def _evicted(path: Path) -> bool:
    """Delete an entry unless somebody holds it."""
    try:
        with path.open("rb") as entry:
            fcntl.flock(entry, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
    except FileNotFoundError:
        return True
    except (BlockingIOError, PermissionError):
        return False
    return True


def _delete(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
