"""Where a data set that is being built lies: in a folder, or in a store."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pyarrow as pa
from filelock import FileLock, Timeout

from qoqdata.contract.manifest import Shard
from qoqdata.errors import UnfinishedBuild, UsageError
from qoqdata.layout import Layout
from qoqdata.metadata import shard_metadata
from qoqdata.sources.rawtree import RawTree

#: Bytes at the end of a shard that tell it from others: its footer holds ids and checksums.
TAIL = 2**16
#: What the system says of a place where no folder can be made, now or later.
_NO_PLACE = (
    *(errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.EEXIST, errno.ENOENT, errno.ENOTDIR),
)


class Place(Protocol):
    """A data set as its build sees it. `layout` is where its files are on this machine: of a set in
    a store only those that are in work. Paths are below it."""

    @property
    def layout(self) -> Layout: ...

    @property
    def where(self) -> str:
        """The folder or URL, for messages and commands."""

    def alone(self) -> AbstractContextManager[None]:
        """Alone with the data set while the block runs.

        Raises UsageError where another build writes it, and where nothing can be written.
        """

    def require_alone(self, *, ask: bool = False) -> None:
        """Raise UnfinishedBuild where another has taken the set over, or its folder is gone; `ask`
        looks anew."""

    def is_inside(self, raw: RawTree) -> bool:
        """Whether it lies below the raw files."""

    def bring(self, paths: Iterable[Path]) -> None:
        """Have files here as they are in the set; one that is not in it is not here either."""

    def look_at(self, shards: Iterable[Shard]) -> None:
        """Learn of shards for which `end_of` is asked next."""

    def end_of(self, path: str) -> tuple[int, str] | None:
        """Bytes of a shard and the digest of its last ones; None where there is none."""

    def names(self, folder: Path) -> list[str]:
        """Names of the files in a folder of the set, the last written last."""

    def remove(self, path: Path) -> None:
        """Remove a file, if it is there."""

    def remove_below(self, folder: Path) -> None:
        """Remove all files below a folder."""

    def keep(self, paths: Iterable[Path]) -> None:
        """Files that were written here are part of the set, once this returns."""

    def keep_chunk(self, files: Sequence[Path], receipt: Path) -> None:
        """Files of a chunk are part of the set, those that are there, and then its receipt.

        Raises OSError where they cannot be written.
        """

    def keep_rest(self, slugs: Iterable[str], last: Path) -> None:
        """All files that were written or removed here since the set was opened, `last` at last."""

    def metadata(self, shards: Iterable[Shard]) -> Iterator[pa.Table]:
        """What metadata is made of, shard by shard; raises DatasetError."""


@dataclass(frozen=True)
class FolderPlace:
    """A data set in its folder: what is written there is kept."""

    layout: Layout
    #: The device of the lock while this process has it.
    _locked: list[int] = field(default_factory=list, compare=False)

    @property
    def where(self) -> str:
        return str(self.layout.root)

    @contextmanager
    def alone(self) -> Iterator[None]:
        lock = FileLock(self.layout.lock, timeout=0)
        with self._refusing_closed():
            self._make_folders()
            try:
                lock.acquire()
            except Timeout as error:
                raise another_writes(self.where) from error
        try:
            self._locked.append(self.layout.lock.stat().st_dev)
            yield
        finally:
            self._locked.clear()
            lock.release()

    def require_alone(self, *, ask: bool = False) -> None:
        # The lock is the kernel's: nobody takes it over. But of a mount that went a folder stays,
        # in which a build could go on, without all that it wrote before.
        for device in self._locked:
            try:
                there = self.layout.lock.stat().st_dev == device
            except FileNotFoundError:
                there = False
            if not there:
                what = "was removed or unmounted while it was built"
                fix = "bring the folder back; then the same command goes on from here"
                raise UnfinishedBuild(what, where=self.where, fix=fix)

    def is_inside(self, raw: RawTree) -> bool:
        return self.layout.root.resolve().is_relative_to(raw.root.resolve())

    def bring(self, paths: Iterable[Path]) -> None:
        """They are here."""

    def look_at(self, shards: Iterable[Shard]) -> None:
        """A look at a file costs little."""

    def end_of(self, path: str) -> tuple[int, str] | None:
        file = self.layout.root / path
        return (file.stat().st_size, tail_digest(file)) if file.is_file() else None

    def names(self, folder: Path) -> list[str]:
        files = list(folder.glob("*")) if folder.is_dir() else []
        return [one.name for one in sorted(files, key=lambda one: one.lstat().st_mtime_ns)]

    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def remove_below(self, folder: Path) -> None:
        for path in folder.glob("**/*") if folder.is_dir() else ():
            if not path.is_dir():
                path.unlink(missing_ok=True)

    def keep(self, paths: Iterable[Path]) -> None:
        """They are kept."""

    def keep_chunk(self, files: Sequence[Path], receipt: Path) -> None:
        """They are kept."""

    def keep_rest(self, slugs: Iterable[str], last: Path) -> None:
        """They are kept."""

    def metadata(self, shards: Iterable[Shard]) -> Iterator[pa.Table]:
        for shard in shards:
            yield shard_metadata(self.layout.root / shard.path)

    def _make_folders(self) -> None:
        """Those that name raw files and what is in them: for whoever builds, and nobody else."""
        for folder in (self.layout.build, self.layout.quarantine("x").parent):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)

    @contextmanager
    def _refusing_closed(self) -> Iterator[None]:
        """Nothing was done yet, so a place where nobody may write is a wrong --out, whatever closes
        it; one that is closed later leaves the build unfinished."""
        try:
            yield
        except OSError as error:
            if error.errno not in _NO_PLACE:
                raise
            what = f"no folder can be made there: {(error.strerror or str(error)).lower()}"
            fix = "see who may write there, or name another --out"
            raise UsageError(what, where=self.where, fix=fix) from error


def another_writes(where: str) -> UsageError:
    """Another build, or a pass, has the set."""
    what = "another command is writing this data set"
    return UsageError(what, where=where, fix="wait for it to end")


def tail_digest(path: Path) -> str:
    """sha256 of the last bytes of a file: of a shard, its footer, which holds ids and checksums."""
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - TAIL))
        return hashlib.sha256(stream.read()).hexdigest()
