"""Digests of whole containers: each file read once, for all its units and for later builds.

A record's digest is over the members that it was decoded from. These are over the files that the
publisher hands out, so that whoever has one can tell whether it is the same.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
from blake3 import blake3
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from qoqdata.atomic import write_json
from qoqdata.pipeline.faults import fault_of
from qoqdata.readers.container.address import LMDB_FILE, MARK, container_state
from qoqdata.readers.container.elsewhere import is_elsewhere, open_archive
from qoqdata.sources.protocol import Job
from qoqdata.sources.raw_stamps import Stamp
from qoqdata.sources.unit_table import all_files

#: Bytes that are fetched at once of a container elsewhere.
_STEP = 1 << 23


class ContainerDigest(BaseModel):
    """BLAKE3 of a container, and the stamp that its file had."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stamp: Stamp
    digest: str


_STORED = TypeAdapter(dict[str, ContainerDigest])


def container_digests(units: pl.DataFrame, job: Job, stored: Path) -> dict[str, str]:
    """BLAKE3 by raw path of every container that a unit of the table names a member of.

    Those of the last build lie at `stored`, and hold while size and modification time do. A file
    that is no longer there, or cannot be read, is left out: its units are in quarantine. Raises
    OSError for a disk or a store that fails.
    """
    paths = all_files(units)
    named = job.raw.containers(paths.filter(paths.str.contains(MARK, literal=True)).to_list())
    before = _read(stored)
    found = {}
    for relative, path in sorted(named.items()):
        state = container_state(path)
        if state is None:
            continue
        stamp = (state.st_size, state.st_mtime_ns)
        known = before.get(relative)
        if known is None or known.stamp != stamp:
            try:
                known = ContainerDigest(stamp=stamp, digest=_digest(path))
            except OSError as error:
                if fault_of(error) is not None:  # Another time it can be read.
                    raise
                continue
        found[relative] = known
    if found:
        write_json(stored, {name: one.model_dump(mode="json") for name, one in found.items()})
    else:
        stored.unlink(missing_ok=True)
    return {name: one.digest for name, one in found.items()}


def _digest(path: Path) -> str:
    file = path / LMDB_FILE if path.is_dir() else path
    hasher = blake3(max_threads=blake3.AUTO)
    if not is_elsewhere(path):
        hasher.update_mmap(file)
        return hasher.hexdigest()
    with open_archive(path) as stream:
        while block := stream.read(_STEP):
            hasher.update(block)
    return hasher.hexdigest()


def _read(path: Path) -> dict[str, ContainerDigest]:
    try:
        return _STORED.validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return {}
