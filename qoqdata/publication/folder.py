"""Any fsspec folder as a target: file, s3, gs ...

    TARGET/current.json       {"release": "1.1.0"}; readers follow it, and it is switched last
    TARGET/1.1.0/...          a whole release; older ones stay beside it

A release folder without its manifest is unfinished and nothing points to it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from qoqdata.atomic import canonical
from qoqdata.dataset import Dataset, open_dataset
from qoqdata.errors import DatasetError
from qoqdata.progress import ProgressCallback, silent
from qoqdata.publication.target import AT_A_TIME, Delivery, Outgoing
from qoqdata.remote.opening import POINTER
from qoqdata.remote.store import StoreFolder
from qoqdata.threads import several

_LAST = "manifest.json"


@dataclass(frozen=True)
class Folder:
    """A folder at an fsspec URL that holds releases."""

    url: str
    options: dict[str, Any] = field(default_factory=dict, repr=False)

    def prepare(self) -> None:
        """Make the folder where the file system has folders."""
        self._files.make()

    def open(self) -> Dataset | None:
        """The present release; None when there is none."""
        release = self._current()
        if release is None:
            return None
        return open_dataset(f"{self.url.rstrip('/')}/{release}", storage_options=self.options)

    def read(self, path: str) -> bytes | None:
        """The content of a file of the present release; None when there is none."""
        release = self._current()
        return None if release is None else self._files.read(f"{release}/{path}")

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
        finished = self._files.exists(f"{tag}/{_LAST}")

        def settled(file: Outgoing) -> bool:
            """Have the file in the release; whether it was sent for that."""
            target = f"{tag}/{file.path}"
            if self._files.sha256(target) == file.sha256:
                return False
            if finished:
                fix = "raise --version"
                raise DatasetError("is published with other content", where=tag, fix=fix)
            same = before.get(file.path) == file.sha256
            if same:
                self._files.copy(f"{current}/{file.path}", target)
            else:
                with file.holding() as content:
                    self._files.put(content, target)
            if self._files.sha256(target) != file.sha256:
                fix = "publish again"
                raise DatasetError("differs from what was sent", where=target, fix=fix)
            return not same

        sent: list[Outgoing] = []
        unchanged: list[Outgoing] = []
        done = several(settled, outgoing[:-1], at_a_time=AT_A_TIME)
        # The manifest says that all is there: it is written once that is so.
        for number, (file, new) in enumerate(
            zip(outgoing, chain(done, map(settled, outgoing[-1:])), strict=True), 1
        ):
            (sent if new else unchanged).append(file)
            progress(number, len(outgoing))
        self._files.write(POINTER, canonical({"release": tag}).encode())
        return Delivery(
            revision=tag,
            sent=tuple(file.path for file in sent),
            unchanged=tuple(file.path for file in unchanged),
            removed=(),
            bytes_sent=sum(file.size for file in sent),
        )

    def _current(self) -> str | None:
        content = self._files.read(POINTER)
        return None if content is None else str(json.loads(content)["release"])

    def _manifest_digests(self) -> dict[str, str]:
        content = self.read(_LAST)
        shards = json.loads(content)["shards"] if content else []
        return {shard["path"]: shard["sha256"] for shard in shards}

    @property
    def _files(self) -> StoreFolder:
        return StoreFolder(self.url, self.options)
