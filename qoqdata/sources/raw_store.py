"""Raw files behind a URL: listed once as empty files, and brought when they are read.

    FOLDER/mirror/<path>           an empty file for each file of the store
    FOLDER/staged/<process>/<path> what this process reads, and read last, as far as there is room
    FOLDER/planned/<hash>          what a plan read that was given up or killed
    FOLDER/listed                  the URL, when the mirror is whole

Whatever asks for names, folders and stamps looks at the mirror, which needs no network. Its files
are empty, so that nothing can be mistaken for the content of a file that was not brought.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import socket
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock

from qoqdata.atomic import replacing
from qoqdata.errors import DatasetError, MissingFile, QoqdataError, UnreadableFile, UsageError
from qoqdata.readers.container.elsewhere import READ_BY_RANGE, stand_for
from qoqdata.readers.raw_file import RangedFile
from qoqdata.remote.cache import Cache
from qoqdata.remote.store import StoreFolder
from qoqdata.remote.urls import shown
from qoqdata.sources.plan_reads import PlanReads
from qoqdata.sources.raw_inventory import Entry, list_store, read_inventory

_T = TypeVar("_T")
#: Bytes of staged files that a process keeps, beside those of the unit that it works on.
STAGED_VARIABLE, STAGED_BYTES = "QOQDATA_STAGED_BYTES", 8 * 10**9
#: Seconds between attempts at a file while a source is planned, each with the store's own patience
#: (see `remote.faults`): a plan that is given up has read its tables and headers for nothing.
PLANNING_WAITS = (5.0, 10.0, 20.0, 40.0, 60.0, 60.0, 60.0, 60.0)
#: Share of the room for what a plan reads, so that the next one need not where it is given up.
_SHARE_OF_PLANS = 0.25
#: Downloads of one process at a time.
_AT_A_TIME = 8
#: Share of the room from which on an archive is not brought: one request fetches a member, so many
#: small ones cost more time than the archive.
_SHARE_IN_PLACE = 0.25
#: Locks that files share: a file is brought once, and a store of millions needs no more memory.
_GUARDS = 256
#: Bits of an entry's time that tell its state; the others are its size.
_STATE_BITS = 20


class OutOfReach(OSError):
    """A store that does not give a file, or let it be read: nothing is known of the file. Its
    `strerror` names the object, and says what the store said."""


class RawStore:
    """The files below a URL. Threads may share one; a process of its own gets one by pickling."""

    def __init__(self, url: str, folder: Path, staged_bytes: int = STAGED_BYTES) -> None:
        self.url, self.folder, self.staged_bytes = url, folder, staged_bytes
        self._begin()

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (self.url, self.folder, self.staged_bytes)

    @property
    def mirror(self) -> Path:
        """The tree of empty files."""
        return self.folder / "mirror"

    def refresh(self, inventory: Path | None = None) -> None:
        """List the store, or read its inventory, and make the mirror equal to that.

        Raises UsageError for a store that cannot be listed or has names that no folder can hold.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)  # Names of raw files are for whoever builds.
        with FileLock(self.folder / "lock"):
            self._sweep()
            (self.folder / "listed").unlink(missing_ok=True)
            entries = read_inventory(inventory, self.url) if inventory else list_store(self.url)
            self._write_mirror(entries)
            with replacing(self.folder / "listed") as draft:
                draft.write_text(self.url)

    def ensure(self) -> None:
        """Make the mirror where this machine has none."""
        if not (self.folder / "listed").is_file():
            self.refresh()

    def bring(self, relative: str) -> Path:
        """The file's path on this machine, with its content; it stays while there is room.

        Raises MissingFile and UnreadableFile where the store no longer has what was listed, and
        OSError where it is out of reach.
        """
        with self._guard(relative):
            if (path := self._staged(relative)) is not None:
                return path
            size = mirrored_size((self.mirror / relative).stat())
            self._make_room(size)
            path = self.stage / relative
            self._download(relative, path, size)
            with self._lock:
                self._sizes[relative] = size
                if self._in_use is not None:
                    self._in_use.add(relative)
            return path

    def container(self, relative: str) -> Path:
        """Where a container is read: brought as `bring` does, or by range through the empty file
        that stands for it."""
        if not self.reads_in_place(relative):
            return self.bring(relative)
        path, file = self.mirror / relative, self.ranged(relative)
        stand_for(path, file.size, file.read)
        return path

    def reads_in_place(self, relative: str) -> bool:
        """Whether a container is read by range: an archive that would take much of the room."""
        if not relative.lower().endswith(READ_BY_RANGE):
            return False
        size = mirrored_size((self.mirror / relative).stat())
        return size > self.staged_bytes * _SHARE_IN_PLACE

    def ranged(self, relative: str) -> RangedFile:
        """The file as it was listed, of which readers fetch what they look at.

        What they fetch raises as `bring`.
        """
        store, status = StoreFolder(self.url), (self.mirror / relative).stat()

        def read(begin: int, end: int) -> bytes:
            def ask() -> bytes:
                return self._asked(relative, lambda: store.read_range(relative, begin, end))

            reads = self._reads_of(relative, status)
            if reads is None:
                return ask()
            return reads.content(relative, status.st_mtime_ns, begin, end, ask)

        return RangedFile(relative, mirrored_size(status), read)

    @contextmanager
    def holding(self, relatives: Iterable[str]) -> Iterator[None]:
        """Bring files; they, and what else is brought in the block, stay while it runs."""
        with self._lock:
            before, self._in_use = self._in_use, set()
        try:
            self.bring_all(relatives)
            yield
        finally:
            with self._lock:
                self._in_use = before
                self._make_room(0)

    def bring_all(self, relatives: Iterable[str]) -> None:
        """Bring files, several at a time; together they may be more than there is room for."""
        names = list(dict.fromkeys(relatives))
        with self._lock:
            before = self._in_use
            self._in_use = {*(before or ()), *names}
        try:
            if len(names) > 1:
                with ThreadPoolExecutor(min(_AT_A_TIME, len(names))) as pool:
                    list(pool.map(self.bring, names))
            elif names:
                self.bring(names[0])
        finally:
            with self._lock:
                if before is None:
                    self._in_use = None

    @contextmanager
    def planning(self) -> Iterator[None]:
        """While the block runs, a store that does not answer is waited for. Once it is given up,
        all further files fail at once. What was read is kept until a plan ends well."""
        self._waits, self._gave_up = PLANNING_WAITS, None
        room = int(self.staged_bytes * _SHARE_OF_PLANS)
        reads = self._reads = PlanReads(self.folder / "planned", room)
        try:
            yield
            reads.clear()
        finally:
            self._waits, self._gave_up, self._reads = (), None, None

    _reads: PlanReads | None = None
    _waits: tuple[float, ...] = ()
    _gave_up: str | None = None

    def _reads_of(self, relative: str, status: os.stat_result) -> PlanReads | None:
        """What was read of a file while planning; None where nobody could tell that it changed."""
        unknown = Entry(relative, mirrored_size(status), None, None)
        return None if status.st_mtime_ns == _time_of(unknown) else self._reads

    def _asked(self, relative: str, call: Callable[[], _T]) -> _T:
        """What the store answers; raises as `bring`."""
        for wait in (*self._waits, None):
            if self._gave_up is not None:
                raise OutOfReach(errno.EIO, self._gave_up, relative)
            try:
                return self._of_what_is_there(call)
            except FileNotFoundError as error:
                fix = "fetch it, or drop the row; the next build lists the store anew"
                raise MissingFile("is no longer in the store", where=relative, fix=fix) from error
            except QoqdataError as error:
                # A refusal, as of credentials that ended, does not pass.
                if wait is None or isinstance(error, UsageError):
                    self._gave_up = str(error) if self._waits else None
                    # Its unit is tried again, and stays unfinished.
                    raise OutOfReach(errno.EIO, str(error), relative) from error
            time.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    def _of_what_is_there(self, call: Callable[[], _T]) -> _T:
        """What the store answers; DatasetError where all that was listed is gone, of which no file
        is missing."""
        try:
            return call()
        except FileNotFoundError as error:
            if not StoreFolder(self.url).is_gone():
                raise
            what, fix = "is empty or gone, and was there when it was listed", "bring it back"
            raise DatasetError(what, where=shown(self.url), fix=fix) from error

    #: Files of the unit in work; None between units.
    _in_use: set[str] | None = None

    def _begin(self) -> None:
        self._process = os.getpid()
        name = f"{socket.gethostname()}-{self._process}-{id(self):x}"
        #: Where this process has the files that it reads.
        self.stage = self.folder / "staged" / name
        self._lock = threading.RLock()
        self._guards = tuple(threading.Lock() for _ in range(_GUARDS))
        #: Staged files by path, the least recently used first.
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._in_use = None
        weakref.finalize(self, _remove, self.stage, self._process)

    def _guard(self, relative: str) -> threading.Lock:
        if os.getpid() != self._process:
            self._begin()  # After a fork, the parent's files are the parent's.
        return self._guards[hash(relative) % _GUARDS]

    def _staged(self, relative: str) -> Path | None:
        with self._lock:
            if relative not in self._sizes:
                return None
            self._sizes.move_to_end(relative)
            if self._in_use is not None:
                self._in_use.add(relative)
            return self.stage / relative

    def _make_room(self, size: int) -> None:
        with self._lock:
            total = size + sum(self._sizes.values())
            for name in [one for one in self._sizes if one not in (self._in_use or ())]:
                if total <= self.staged_bytes:
                    break
                total -= self._sizes.pop(name)
                (self.stage / name).unlink(missing_ok=True)

    def _download(self, relative: str, path: Path, size: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        status = (self.mirror / relative).stat()
        reads, store = self._reads_of(relative, status), StoreFolder(self.url)
        if reads is not None and reads.take(relative, status.st_mtime_ns, path):
            return
        with replacing(path) as draft:
            self._asked(relative, lambda: store.fetch(relative, draft, least=size))
            if (length := draft.stat().st_size) != size:
                raise UnreadableFile(
                    f"has {length:,} bytes, and was listed with {size:,}",
                    where=relative,
                    fix="build again once nothing writes to the store: it is listed anew",
                )
        if reads is not None:
            reads.keep(relative, status.st_mtime_ns, path)

    def _write_mirror(self, entries: Iterable[Entry]) -> None:
        """Empty files for the entries, and no others; only those that differ are touched."""
        names: set[str] = set()
        folders: set[Path] = set()
        for entry in entries:
            names.add(entry.path)
            place, stamp = self.mirror / entry.path, _time_of(entry)
            try:
                if place.parent not in folders:
                    place.parent.mkdir(parents=True, exist_ok=True)
                    folders.add(place.parent)
                try:
                    if place.stat().st_mtime_ns == stamp:
                        continue
                except FileNotFoundError:
                    place.touch(0o600)
                os.utime(place, ns=(stamp, stamp))
                if place.is_dir():
                    raise IsADirectoryError
            except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
                what = f"{entry.path} is a file of the store, and a folder"
                fix = "name a part of the store in which it is one of them"
                raise UsageError(what, where=shown(self.url), fix=fix) from error
            if place.stat().st_mtime_ns != stamp:
                fix = "set QOQDATA_CACHE to a folder that keeps times in nanoseconds"
                raise UsageError("keeps coarse times", where=str(self.mirror), fix=fix)
        for folder, _, files in os.walk(self.mirror, topdown=False):
            inside = Path(folder).relative_to(self.mirror)
            for name in files:
                if (inside / name).as_posix() not in names:
                    (self.mirror / inside / name).unlink()
            if inside.parts:
                with suppress(OSError):  # It holds something.
                    Path(folder).rmdir()

    def _sweep(self) -> None:
        """Remove what processes of this machine that died have left."""
        own = f"{socket.gethostname()}-"
        for folder in (self.folder / "staged").glob(f"{own}*"):
            process = folder.name.removeprefix(own).partition("-")[0]
            if process.isdecimal() and not _lives(int(process)):
                shutil.rmtree(folder, ignore_errors=True)


def open_store(url: str, inventory: Path | None = None) -> RawStore:
    """The store of a raw URL, listed now; raises UsageError where that fails.

    The mirror lies in the cache, see `qoqdata.remote.cache`; credentials come from where the URL's
    file system looks for them.
    """
    text = os.environ.get(STAGED_VARIABLE) or str(STAGED_BYTES)
    if not text.isdecimal() or not int(text):
        fix = f"give a whole number of bytes, such as {STAGED_BYTES}"
        raise UsageError("is not a size", where=STAGED_VARIABLE, fix=fix)
    url = url.rstrip("/")
    key = hashlib.sha256(url.encode()).hexdigest()[:24]
    store = RawStore(url, Cache.settled().root / "raw" / key, int(text))
    store.refresh(inventory)
    return store


def mirrored_size(status: os.stat_result) -> int:
    """Bytes of the store's file, by the state of the empty one that stands for it."""
    return status.st_mtime_ns >> _STATE_BITS


def _reopened(url: str, folder: Path, staged_bytes: int) -> RawStore:
    store = RawStore(url, folder, staged_bytes)
    store.ensure()
    return store


def _time_of(entry: Entry) -> int:
    """Size and state of an entry as a time in ns, which is what stamps of files are made of."""
    state = hashlib.sha256(json.dumps([entry.tag, entry.modified]).encode()).digest()
    bits = int.from_bytes(state[:4], "big") >> (32 - _STATE_BITS)
    return (entry.size << _STATE_BITS) | bits


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _remove(folder: Path, process: int) -> None:
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
