"""The files of a release, and what a target already holds of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from qoqdata.atomic import file_digest


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


def outgoing(root: Path, known: Mapping[str, str]) -> tuple[Outgoing, ...]:
    """The files below `root` by path; `known` are digests that need no new hashing."""
    files = []
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        name = path.relative_to(root).as_posix()
        digest = known.get(name) or file_digest(path)
        files.append(Outgoing(name, path, path.stat().st_size, digest))
    return tuple(files)
