"""Row groups that the processes of a machine share: read once, mapped by all.

FOLDER/<digest>.arrow   a row group as an Arrow stream, whole or not at all
FOLDER/<digest>.lock    held by the process that makes it, while the others wait

Names are digests of what is in them, so that a folder that a killed run left serves the next one.
Best in memory, such as below /dev/shm. Records of patients are in it: the folder is its owner's
alone.
"""

from __future__ import annotations

import fcntl
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from qoqdata.errors import UsageError


@dataclass(frozen=True)
class SharedTables:
    """Tables in `folder`, of which the oldest go when all take more than `memory` bytes.

    A table that went stays with whoever has mapped it.
    """

    folder: Path
    memory: int

    def get(self, digest: str, read: Callable[[], pa.Table]) -> pa.Table:
        """The table named `digest`, which `read` reads where no process has yet.

        Where it cannot be kept, as on a full disk or where the folder is gone, it is what was read.
        """
        path = self.folder / f"{digest}.arrow"
        if (table := _mapped(path)) is not None:
            return table
        with _held(path.with_suffix(".lock")) as held:
            if held and (table := _mapped(path)) is not None:
                return table
            table = read()
            if not held or not _written(table, path):
                return table
            self._make_room(path)
        return table if (mapped := _mapped(path)) is None else mapped

    def _make_room(self, newest: Path) -> None:
        held = []
        for path in self.folder.glob("*.arrow"):
            with suppress(OSError):
                facts = path.stat()
                held.append((facts.st_mtime_ns, facts.st_size, path))
        total = sum(size for _, size, _ in held)
        for _, size, path in sorted(held):
            if total <= self.memory or path == newest:
                break
            path.unlink(missing_ok=True)
            path.with_suffix(".lock").unlink(missing_ok=True)
            total -= size


def shared_tables(folder: Path, memory: int) -> SharedTables:
    """Tables in `folder`, which is made, for its owner alone, where it is not there.

    Raises UsageError for a folder that others may look into.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid() or facts.st_mode & 0o077:
        fix = "name another folder, or remove this one"
        raise UsageError("is not a folder of this user alone", where=str(folder), fix=fix)
    return SharedTables(folder, memory)


def _mapped(path: Path) -> pa.Table | None:
    try:
        with pa.memory_map(str(path)) as source:
            return pa.ipc.open_stream(source).read_all()
    except FileNotFoundError:
        return None


def _written(table: pa.Table, path: Path) -> bool:
    draft = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        with pa.OSFile(str(draft), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        draft.rename(path)
    except OSError:
        draft.unlink(missing_ok=True)
        return False
    return True


@contextmanager
def _held(path: Path) -> Iterator[bool]:
    """Whether the lock is held; it is not where the folder is gone."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        yield False
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield True
    finally:
        os.close(handle)
