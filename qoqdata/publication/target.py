"""Where a release goes, the files that go there, and what became of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from qoqdata.atomic import file_digest
from qoqdata.dataset import Dataset
from qoqdata.errors import UsageError
from qoqdata.progress import ProgressCallback
from qoqdata.publication.passing_shards import PassingFiles

#: Files that are sent side by side.
AT_A_TIME = 4


@dataclass(frozen=True)
class Outgoing:
    """One file: its path in the release, where it lies, and its content's identity.

    One with `making` lies nowhere: it is made while somebody holds it.
    """

    path: str
    local: Path
    size: int
    sha256: str
    making: Callable[[], AbstractContextManager[Path]] | None = None

    def holding(self) -> AbstractContextManager[Path]:
        """Its content, while the `with` block runs."""
        return nullcontext(self.local) if self.making is None else self.making()

    def git_oid(self) -> str:
        """The id that git gives the content (sha1 over a header and the bytes)."""
        with self.holding() as path:
            data = path.read_bytes()
        return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Delivery:
    """What a publication did: files sent, files that were there already, files removed."""

    revision: str
    sent: tuple[str, ...]
    unchanged: tuple[str, ...]
    removed: tuple[str, ...]
    bytes_sent: int


class Target(Protocol):
    """Where releases go: the Hub, or a folder at an fsspec URL."""

    @property
    def url(self) -> str:
        """The address of the release for `qoqdata.open`."""

    def prepare(self) -> None:
        """Make the repository or folder where there is none."""

    def open(self) -> Dataset | None:
        """The present release."""

    def read(self, path: str) -> bytes | None:
        """A file of the present release."""

    def deliver(
        self,
        files: tuple[Outgoing, ...],
        *,
        message: str,
        tag: str,
        progress: ProgressCallback,
    ) -> Delivery:
        """Send files; readers see them once all of them are there."""


class Nowhere:
    """No target: what a dry run is prepared for that asks no network. It has no release yet."""

    url = ""

    def prepare(self) -> None:
        """Nothing is to be made."""

    def open(self) -> None:
        """There is no earlier release."""

    def read(self, path: str) -> None:
        """There is no file."""

    def deliver(
        self,
        files: tuple[Outgoing, ...],
        *,
        message: str,
        tag: str,
        progress: ProgressCallback,
    ) -> Delivery:
        """Raises UsageError: nothing can be sent there."""
        raise UsageError("says nowhere to publish", fix="--repo-id ORG/NAME or --to URL")


def outgoing_files(staged: Dataset) -> tuple[Outgoing, ...]:
    """The files of a staged release by path; shards need no new hashing."""
    root, shards = staged.root, {shard.path: shard for shard in staged.manifest.shards}
    passing = staged.files.passing if isinstance(staged.files, PassingFiles) else None
    names = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    files = []
    for name in sorted(names | set(shards)):
        local, shard = root / name, shards.get(name)
        if shard is None:
            files.append(Outgoing(name, local, local.stat().st_size, file_digest(local)))
        else:
            making = None if passing is None else partial(passing.making, name)
            files.append(Outgoing(name, local, shard.bytes, shard.sha256, making))
    return tuple(files)
