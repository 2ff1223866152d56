"""Where a release goes, the files that go there, and what became of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from qoqdata.atomic import file_digest
from qoqdata.dataset import Dataset
from qoqdata.errors import UsageError
from qoqdata.progress import ProgressCallback


@dataclass(frozen=True)
class Outgoing:
    """One file: its path in the release, where it lies, and its content's identity."""

    path: str
    local: Path
    size: int
    sha256: str

    def git_oid(self) -> str:
        """The id that git gives the content (sha1 over a header and the bytes)."""
        data = self.local.read_bytes()
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


def outgoing_files(root: Path, digests: Mapping[str, str]) -> tuple[Outgoing, ...]:
    """The files below `root` by path; `digests`, by path, need no new hashing."""
    files = []
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        name = path.relative_to(root).as_posix()
        digest = digests.get(name) or file_digest(path)
        files.append(Outgoing(name, path, path.stat().st_size, digest))
    return tuple(files)
