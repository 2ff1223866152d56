"""A set in a store that a pass writes into: its side files here, shards through the cache.

    CACHE/passes/<key>/<process>/<name>/...     side files, gone when the pass ends

One pass, build or publication at a time has a set, by the lease of its builds. What a pass wrote
goes into the store when it has ended well: each file in place of the one that was brought, and of
no other. The receipts of curation, which are bound to what lies beside them, go last.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from qoqdata import manifest as manifests
from qoqdata.contract.manifest import Manifest
from qoqdata.errors import DatasetError, QoqdataError, UsageError
from qoqdata.layout import Layout
from qoqdata.remote.lease import FOLDER, Lease, Taken, leased
from qoqdata.remote.remote_files import RemoteFiles
from qoqdata.remote.store import Listed, StoreFolder
from qoqdata.remote.urls import READ_ONLY, scheme, shown
from qoqdata.remote.work_folder import work_folder
from qoqdata.threads import several

#: What passes write, below the set; what is under way there has a name with a dot before it.
_WRITTEN = ("README.md", "croissant.json", "curation", "difficulty", "figures", "stats")
_TALLIES = Layout(Path()).tally("x").parent.as_posix()
#: What they read beside it.
_READ = ("cards", "quarantine", "recipes")
#: What images and signals are recognised by, which takes more room than all else.
LIKENESSES = Layout(Path()).likenesses("x").parent.as_posix()
RAW_KEYS = Layout(Path()).raw_keys("x").parent.as_posix()
#: Which patients are in which official split, by which a unit is planned again.
PATIENT_SPLITS = Layout(Path()).patient_splits("x").parent.as_posix()


class WorkingFiles(RemoteFiles):
    """Files of a set whose side files are all in its root, where they may be written."""

    @property
    def in_folder(self) -> bool:
        return True

    def layout(self, *names: str) -> Layout:
        return Layout(self._root)


@contextmanager
def working_copy(
    origin: RemoteFiles, command: str, parts: Collection[str] = ()
) -> Iterator[tuple[WorkingFiles, Manifest]]:
    """The files of a set whose side files can be written while the block runs; `parts` are of
    LIKENESSES, RAW_KEYS and PATIENT_SPLITS. What was written is in the store once the block has
    ended well.

    Raises UsageError where nothing can be written there, for a release and while another command
    writes the set; DatasetError where the set was built anew meanwhile or the store is out of
    reach. `command` is named in them.
    """
    store, where = origin.store, origin.origin()
    refuse_read_only(store.url, command)
    try:
        with (
            work_folder(origin.cache.root / "passes", store.url) as folder,
            _told_by_url(folder, where),
            leased(store, FOLDER) as lease,
        ):
            copy = _Copy(store, folder)
            with copy.brought(origin, parts) as files:
                if files.manifest.release is not None:
                    what = f"`qoqdata {command}` writes into the set, and this is a release"
                    fix = "work on the set that it was made of, and publish that again"
                    raise UsageError(what, where=where, fix=fix)
                yield files, files.manifest
            copy.send(lease)
    except Taken:
        what, fix = "another command is writing this data set", "wait for it to end"
        raise UsageError(what, where=where, fix=fix) from None


@contextmanager
def reading_copy(
    origin: RemoteFiles, parts: Collection[str]
) -> Iterator[tuple[WorkingFiles, Manifest]]:
    """The files of a set with `parts` (see `working_copy`) while the block runs, to be read alone:
    nothing is written into the store, and another command may write there."""
    store = origin.store
    with (
        work_folder(origin.cache.root / "passes", store.url) as folder,
        _told_by_url(folder, origin.origin()),
        _Copy(store, folder).brought(origin, parts) as files,
    ):
        yield files, files.manifest


def refuse_read_only(url: str, command: str) -> None:
    """Raise UsageError for a URL at which no set is written, but published."""
    if scheme(url) in READ_ONLY:
        what = f"`qoqdata {command}` writes into the set"
        fix = "work on the folder or bucket where the set was built, and publish it again"
        raise UsageError(what, where=shown(url), fix=fix)


@contextmanager
def _told_by_url(folder: Path, url: str) -> Iterator[None]:
    """Errors name the set by its URL, and not by the folder, which goes."""
    try:
        yield
    except QoqdataError as error:
        for name in ("what", "where", "fix"):
            if (text := getattr(error, name)) is not None:
                setattr(error, name, text.replace(str(folder), url))
        raise


@dataclass(frozen=True)
class _Copy:
    """What of a store lies in a folder. `listed` is how it was in the store when it came, `came`
    size and time here."""

    store: StoreFolder
    folder: Path
    listed: dict[str, Listed] = field(default_factory=dict)
    came: dict[str, tuple[int, int]] = field(default_factory=dict)

    @contextmanager
    def brought(self, origin: RemoteFiles, parts: Collection[str]) -> Iterator[WorkingFiles]:
        """Bring the side files, and be the set's files while the block runs."""
        content = self.store.read("manifest.json") or b""
        where = self.store.where("manifest.json")
        manifest = manifests.parse_manifest(content, where=where)
        (self.folder / "manifest.json").write_bytes(content)
        self.bring(parts)
        store = self.store
        files = WorkingFiles(store.url, manifest, self.folder, origin.cache, store.options)
        try:
            yield files
        finally:
            files.close()

    def bring(self, parts: Collection[str]) -> None:
        found = self.store.listing()
        wanted = [path for path in found if _is_wanted(path, parts)]
        for path in several(self._bring, wanted):
            self.listed[path] = found[path]

    def _bring(self, path: str) -> str:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.store.fetch(path, target)
        except FileNotFoundError as error:
            raise self._changed(path) from error
        self.came[path] = _state(target)
        return path

    def send(self, lease: Lease) -> None:
        """Have the store as the folder is."""
        files = {path.relative_to(self.folder).as_posix(): path for path in _files(self.folder)}
        written = [
            name
            for name, path in files.items()
            if _is_written(name) and self.came.get(name) != _state(path)
        ]
        gone = [name for name in self.listed if _is_written(name) and name not in files]
        if not written and not gone:
            return
        self._look(written + gone, lease)
        for turn in range(3):
            for _ in several(self._send, [name for name in written if _turn(name) == turn]):
                pass
        for _ in several(self.store.remove, gone):
            pass

    def _look(self, names: Collection[str], lease: Lease) -> None:
        """Raise DatasetError where somebody else has the set, or wrote what is written now."""
        if not lease.look():
            raise self._changed("")
        tops = sorted({name.rpartition("/")[0] or name for name in names})
        now = {path: one for top in tops for path, one in self.store.listing(top).items()}
        for name in names:
            if now.get(name) != self.listed.get(name):
                raise self._changed(name)

    def _send(self, name: str) -> None:
        path = self.folder / name
        if not self.store.exchange(path, name, self.listed.get(name)):
            raise self._changed(name)

    def _changed(self, name: str) -> DatasetError:
        what = "was written by another command meanwhile"
        return DatasetError(what, where=self.store.where(name), fix="run the same command again")


def _is_wanted(path: str, parts: Collection[str]) -> bool:
    for part in (LIKENESSES, RAW_KEYS, PATIENT_SPLITS):
        if path.startswith(f"{part}/"):
            return part in parts
    return path.split("/")[0] in _READ or _is_written(path)


def _is_written(path: str) -> bool:
    named = path.split("/")[0] in _WRITTEN or path.startswith(f"{_TALLIES}/")
    return named and not path.rpartition("/")[2].startswith(".")


def _turn(name: str) -> int:
    """The log of decisions goes first, from which verdicts are made again; receipts go last."""
    if name == Layout(Path()).decisions.as_posix():
        return 0
    return 2 if name.startswith("curation/") and name.endswith(".json") else 1


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _state(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
