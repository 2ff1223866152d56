"""What statistics were computed over, stated in each of their tables, and whether that still is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from qoqdata.atomic import file_digest
from qoqdata.contract.manifest import Manifest
from qoqdata.layout import Layout
from qoqdata.roles import evaluation_sources

#: Where the schema metadata of a table have it.
KEY = b"qoqdata.basis"


class Basis(BaseModel):
    """`data` is the digest of the manifest; `verdicts` and `difficulty` are sha256 of the tables
    that counted, None where there was none; `policy` is whose difficulty it is; `apart` are the
    evaluation sources, which count nowhere. Counts by concept state that table's digest in rows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: str
    verdicts: str | None
    policy: str | None
    difficulty: str | None
    apart: tuple[str, ...]

    def to_metadata(self) -> dict[bytes, bytes]:
        """As an entry of the schema metadata of a table."""
        return {KEY: self.model_dump_json().encode()}

    @classmethod
    def of_metadata(cls, metadata: Mapping[bytes, bytes]) -> Self | None:
        """What a table states; None where it states nothing that can be read."""
        try:
            return cls.model_validate_json(metadata.get(KEY, b""))
        except ValidationError:
            return None


def basis_of(manifest: Manifest, layout: Layout, policy: str | None) -> Basis:
    """What statistics are computed over now, with the difficulty of `policy` (None: without)."""
    return Basis(
        data=manifest.digest,
        verdicts=_digest(layout.verdicts),
        policy=policy,
        difficulty=None if policy is None else _digest(layout.difficulty / f"{policy}.parquet"),
        apart=tuple(evaluation_sources(manifest)),
    )


def why_stale(basis: Basis, manifest: Manifest, layout: Layout) -> str | None:
    """What has changed since statistics were computed over `basis`; None where nothing has."""
    now = basis_of(manifest, layout, basis.policy)
    if basis.data != now.data:
        return "they were computed over other records"
    if basis.verdicts != now.verdicts:
        return "the verdicts have changed since"
    if basis.apart != now.apart:
        return "the evaluation sources are others"
    if basis.policy is None and any(layout.difficulty.glob("*.parquet")):
        return "they were computed without the difficulty that is there"
    # Not every store lists its tables of difficulty; one that is not there tells nothing.
    if now.difficulty not in (None, basis.difficulty):
        return f"the difficulty of {basis.policy} has changed since"
    return None


def _digest(path: Path) -> str | None:
    return file_digest(path) if path.is_file() else None
