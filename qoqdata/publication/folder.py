"""Any fsspec folder as a target: file, s3, gs ...

    TARGET/current.json       {"release": "1.1.0"}; readers follow it, and it is switched last
    TARGET/1.1.0/...          a whole release; older ones stay beside it

A release folder without its manifest is unfinished and nothing points to it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import fsspec

from qoqdata.atomic import canonical
from qoqdata.dataset import Dataset, open_dataset
from qoqdata.errors import DatasetError
from qoqdata.progress import ProgressCallback, silent
from qoqdata.publication.target import Delivery, Outgoing
from qoqdata.remote.faults import retried
from qoqdata.remote.opening import POINTER

_LAST = "manifest.json"
_PIECE = 1 << 20

_T = TypeVar("_T")


@dataclass(frozen=True)
class Folder:
    """A folder at an fsspec URL that holds releases."""

    url: str
    options: dict[str, Any] = field(default_factory=dict, repr=False)

    def prepare(self) -> None:
        """Make the folder where the file system has folders."""
        files, root = self._system()
        self._ask(lambda: files.makedirs(root, exist_ok=True))

    def open(self) -> Dataset | None:
        """The present release; None when there is none."""
        release = self._current()
        if release is None:
            return None
        return open_dataset(f"{self.url.rstrip('/')}/{release}", storage_options=self.options)

    def read(self, path: str) -> bytes | None:
        """The content of a file of the present release; None when there is none."""
        release = self._current()
        return None if release is None else self._read(f"{release}/{path}")

    def deliver(
        self,
        files: Iterable[Outgoing],
        *,
        message: str,
        tag: str,
        progress: ProgressCallback = silent,
    ) -> Delivery:
        """Write `files` as the release `tag`, check them by digest, and point readers to it.

        Contents that the present release holds are copied within the target. What an interrupted
        publication left is checked and kept. Raises DatasetError for a release of that name with
        other content.
        """
        outgoing = sorted(files, key=lambda file: (file.path == _LAST, file.path))
        current, before = self._current(), self._manifest_digests()
        finished = self._exists(f"{tag}/{_LAST}")
        sent: list[Outgoing] = []
        unchanged: list[Outgoing] = []
        for number, file in enumerate(outgoing, 1):
            target = f"{tag}/{file.path}"
            if self._digest(target) == file.sha256:
                unchanged.append(file)
            elif finished:
                fix = "raise --version"
                raise DatasetError("is published with other content", where=tag, fix=fix)
            else:
                same = before.get(file.path) == file.sha256
                if same:
                    self._copy(f"{current}/{file.path}", target)
                else:
                    self._send(file, target)
                (unchanged if same else sent).append(file)
                if self._digest(target) != file.sha256:
                    fix = "publish again"
                    raise DatasetError("differs from what was sent", where=target, fix=fix)
            progress(number, len(outgoing))
        self._write(POINTER, canonical({"release": tag}).encode())
        return Delivery(
            revision=tag,
            sent=tuple(file.path for file in sent),
            unchanged=tuple(file.path for file in unchanged),
            removed=(),
            bytes_sent=sum(file.size for file in sent),
        )

    def _current(self) -> str | None:
        content = self._read(POINTER)
        return None if content is None else str(json.loads(content)["release"])

    def _manifest_digests(self) -> dict[str, str]:
        content = self.read(_LAST)
        shards = json.loads(content)["shards"] if content else []
        return {shard["path"]: shard["sha256"] for shard in shards}

    def _send(self, file: Outgoing, target: str) -> None:
        files, root = self._system()

        def send() -> None:
            self._make_parent(f"{root}/{target}")
            files.put_file(str(file.local), f"{root}/{target}")

        self._ask(send)

    def _copy(self, source: str, target: str) -> None:
        files, root = self._system()

        def copy() -> None:
            self._make_parent(f"{root}/{target}")
            files.cp_file(f"{root}/{source}", f"{root}/{target}")

        self._ask(copy)

    def _write(self, path: str, content: bytes) -> None:
        """Write a small file that readers may be looking at: whole, under its name at once."""
        files, root = self._system()

        def write() -> None:
            draft = f"{root}/{path}.new"
            files.pipe_file(draft, content)
            files.mv(draft, f"{root}/{path}")

        self._ask(write)

    def _make_parent(self, path: str) -> None:
        self._system()[0].makedirs(path.rpartition("/")[0], exist_ok=True)

    def _exists(self, path: str) -> bool:
        files, root = self._system()
        return bool(self._ask(lambda: files.exists(f"{root}/{path}")))

    def _read(self, path: str) -> bytes | None:
        files, root = self._system()
        try:
            return bytes(self._ask(lambda: files.cat_file(f"{root}/{path}")))
        except FileNotFoundError:
            return None

    def _digest(self, path: str) -> str | None:
        """sha256 of a file at the target, read back; None when there is none."""
        files, root = self._system()

        def read() -> str:
            hasher = hashlib.sha256()
            with files.open(f"{root}/{path}", "rb") as stream:
                while piece := stream.read(_PIECE):
                    hasher.update(piece)
            return hasher.hexdigest()

        try:
            return str(self._ask(read))
        except FileNotFoundError:
            return None

    def _system(self) -> tuple[Any, str]:
        # Listings must be fresh: other processes write here too.
        files, root = fsspec.core.url_to_fs(self.url, use_listings_cache=False, **self.options)
        return files, root.rstrip("/")

    def _ask(self, call: Callable[[], _T]) -> _T:
        return retried(call, url=self.url)
