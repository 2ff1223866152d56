"""A folder of a store: files written whole, read, listed and removed, through faults that pass.

Whatever lies in a store is written here: data sets that are built there, and releases. A file is
there under its name once all of it is, as S3 and GCS have it (a large one as a multipart upload
that is completed at its end). Paths are relative to the folder, with forward slashes.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from qoqdata.atomic import file_digest
from qoqdata.readers.ranged_stream import RangedStream
from qoqdata.remote.faults import retried, status
from qoqdata.remote.urls import file_system, is_url, scheme, shown

_T = TypeVar("_T")
_PIECE = 1 << 20
#: Stores that have names and no folders.
_FLAT = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "memory"}
_TIMES = ("LastModified", "last_modified", "updated", "mtime", "created")
_MARKS = ("ETag", "etag", "generation")
#: Stores that write a file only where there is none, and only in place of one with a mark.
_CREATING, _MATCHING = {"s3", "s3a", "gs", "gcs", "memory"}, {"s3", "s3a"}


class Listed(NamedTuple):
    """A file as a listing tells it; `modified` is the store's word for when, and `mark` for what is
    in it, if it has one."""

    size: int
    modified: str
    mark: str = ""


@dataclass(frozen=True)
class StoreFolder:
    """The folder at an fsspec URL; `options` go to its file system.

    Every call is tried again while its fault may pass, and then raises DatasetError or UsageError,
    which say what to do.
    """

    url: str
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def read(self, path: str) -> bytes | None:
        """The content of a file; None where there is none."""
        system, root = self._system()
        try:
            return bytes(self._ask(path, lambda: system.cat_file(f"{root}/{path}")))
        except FileNotFoundError:
            return None

    def read_range(self, path: str, begin: int, end: int) -> bytes:
        """Bytes `begin` to `end`, all of them; raises FileNotFoundError."""
        system, root = self._system()

        def attempt() -> bytes:
            content = bytes(system.cat_file(f"{root}/{path}", start=begin, end=end))
            if len(content) != end - begin:
                raise ConnectionError(f"{len(content)} of {end - begin} bytes came")
            return content

        return self._ask(path, attempt) if end > begin else b""

    def ranges(self, path: str, size: int) -> io.RawIOBase:
        """The file of so many bytes, of which those come that are asked for."""
        return RangedStream(partial(self.read_range, path), size)

    def fetch(self, path: str, target: Path, *, least: int = 0) -> None:
        """Write the file to `target`; fewer than `least` bytes count as a lost connection.

        Raises FileNotFoundError.
        """
        system, root = self._system()

        def attempt() -> None:
            target.unlink(missing_ok=True)
            try:
                system.get_file(f"{root}/{path}", str(target))
            except Exception:
                # The Hub's client remembers sizes, and refuses a file that is another by now.
                system.invalidate_cache()
                raise
            if (length := target.stat().st_size) < least:
                raise ConnectionError(f"{length} of {least} bytes came")

        self._ask(path, attempt)

    def sha256(self, path: str) -> str | None:
        """sha256 of a file, read whole; None where there is none."""
        system, root = self._system()

        def attempt() -> str:
            hasher = hashlib.sha256()
            with system.open(f"{root}/{path}", "rb") as stream:
                while piece := stream.read(_PIECE):
                    hasher.update(piece)
            return hasher.hexdigest()

        try:
            return self._ask(path, attempt)
        except FileNotFoundError:
            return None

    def put(self, local: Path, path: str) -> None:
        """Write a file in place of what is there."""
        system, root = self._system()

        def attempt() -> None:
            self._make_parent(f"{root}/{path}")
            system.put_file(str(local), f"{root}/{path}")

        self._ask(path, attempt)

    def write(self, path: str, content: bytes) -> None:
        """Write a small file in place of what is there; readers see the old one or the new one."""
        system, root = self._system()

        def attempt() -> None:
            self._make_parent(f"{root}/{path}")
            if self._has_folders:
                # No write of such a file system is whole or not there.
                system.pipe_file(f"{root}/{path}.new", content)
                system.mv(f"{root}/{path}.new", f"{root}/{path}")
            else:
                system.pipe_file(f"{root}/{path}", content)

        self._ask(path, attempt)

    def create(self, path: str, content: bytes) -> bool:
        """Write a small file where there is none (If-None-Match); whether its content is there now.

        False where another has written one first. An answer that was lost is no matter: what lies
        there is compared.
        """
        system, root = self._system()

        def attempt() -> bool:
            self._make_parent(f"{root}/{path}")
            try:
                system.pipe_file(f"{root}/{path}", content, mode="create")
            except (OSError, ValueError) as error:
                if _refused(error):
                    return False
                raise
            return True

        return self._ask(path, attempt) or self.read(path) == content

    def exchange(self, local: Path, path: str, before: Listed | None) -> bool:
        """Write a file in place of the one that was listed, or of none; whether it is there now.

        False where another has written meanwhile. S3 is told the mark of the file that goes
        (If-Match) or that there is none (If-None-Match), and compares as it writes: such a file is
        one request, of up to 5 GB. Elsewhere whoever calls has looked just before.
        """
        system, root = self._system()
        condition: dict[str, Any] = {}
        if before is None and scheme(self.url) in _CREATING:
            condition = {"mode": "create"}
        elif before is not None and before.mark and scheme(self.url) in _MATCHING:
            condition = {"IfMatch": before.mark}
        if scheme(self.url) in _MATCHING:
            # No condition goes with the parts of a large upload.
            condition["chunksize"] = max(1, local.stat().st_size)

        def attempt() -> bool:
            self._make_parent(f"{root}/{path}")
            try:
                system.put_file(str(local), f"{root}/{path}", **condition)
            except (OSError, ValueError) as error:
                if _refused(error):
                    return False
                raise
            return True

        try:
            # Of an answer that was lost the next attempt is refused: what lies there is compared.
            return self._ask(path, attempt) or self.sha256(path) == file_digest(local)
        except FileNotFoundError:
            return False

    def copy(self, source: str, target: str) -> None:
        """Copy a file within the store."""
        system, root = self._system()

        def attempt() -> None:
            self._make_parent(f"{root}/{target}")
            system.cp_file(f"{root}/{source}", f"{root}/{target}")

        self._ask(source, attempt)

    def remove(self, path: str) -> None:
        """Remove a file, if it is there."""
        system, root = self._system()

        def attempt() -> None:
            if system.exists(f"{root}/{path}"):
                system.rm_file(f"{root}/{path}")

        try:
            self._ask(path, attempt)
        except FileNotFoundError:
            return

    def exists(self, path: str) -> bool:
        """Whether there is such a file."""
        system, root = self._system()
        return bool(self._ask(path, lambda: system.exists(f"{root}/{path}")))

    def is_gone(self) -> bool:
        """Whether the folder, which was there, is no more: removed, with its bucket or alone, or
        emptied. False where the store lists no folders."""
        if scheme(self.url) in ("http", "https"):
            return False
        system, root = self._system()

        def attempt() -> bool:
            system.invalidate_cache()
            # One request; but a bucket that is empty is there.
            return not (system.exists(root) if "/" in root else system.ls(root, detail=False))

        try:
            return self._ask("", attempt)
        except FileNotFoundError:
            return True

    def listing(self, under: str = "") -> dict[str, Listed]:
        """The files below a folder of it, by path."""
        system, root = self._system()
        base = f"{root}/{under}" if under else root

        def attempt() -> dict[str, dict[str, Any]]:
            system.invalidate_cache()
            return dict(system.find(base, detail=True))

        try:
            found = self._ask(under, attempt)
        except FileNotFoundError:
            return {}
        prefix = f"{root}/"
        files = {}
        for name, facts in found.items():
            if name.startswith(prefix) and not name.endswith("/"):
                modified = next((str(facts[one]) for one in _TIMES if facts.get(one)), "")
                mark = next((str(facts[one]) for one in _MARKS if facts.get(one)), "")
                size = int(facts.get("size") or 0)
                files[name.removeprefix(prefix)] = Listed(size, modified, mark)
        return files

    def make(self) -> None:
        """Make the folder where the file system has folders."""
        system, root = self._system()
        self._ask("", lambda: system.makedirs(root, exist_ok=True))

    def where(self, path: str) -> str:
        """The URL of a file, for messages."""
        return f"{shown(self.url)}/{path}" if path else shown(self.url)

    def _system(self) -> tuple[Any, str]:
        url = self.url if is_url(self.url) else f"file://{Path(self.url).absolute()}"
        # Listings must be fresh: other processes write here too.
        return file_system(url, {"use_listings_cache": False, **self.options})

    @property
    def _has_folders(self) -> bool:
        return scheme(self.url) not in _FLAT if is_url(self.url) else True

    def _make_parent(self, path: str) -> None:
        if self._has_folders:
            self._system()[0].makedirs(path.rpartition("/")[0], exist_ok=True)

    def _ask(self, path: str, call: Callable[[], _T]) -> _T:
        return retried(call, url=self.where(path))


def _refused(error: Exception) -> bool:
    """Whether a write was refused for what lies there; raises ConnectionError where another such
    write is under way."""
    if status(error) == 409:
        raise ConnectionError(str(error)) from error
    return isinstance(error, FileExistsError) or status(error) == 412
