"""A record made again from its raw files, and compared with the one in the set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from qoqdata import items
from qoqdata.atomic import digest
from qoqdata.contract.manifest import SourceEntry
from qoqdata.curation.lineage import Lineage
from qoqdata.dataset import Dataset
from qoqdata.errors import DatasetError, UsageError
from qoqdata.pipeline.blocks import blocked_names, blocks_of
from qoqdata.pipeline.chunks import Chunk
from qoqdata.pipeline.config import SourceRequest
from qoqdata.pipeline.conversion import ChunkTask, convert_unit
from qoqdata.pipeline.faults import UnitStopped
from qoqdata.pipeline.jobs import make_job
from qoqdata.pipeline.patient_splits import HASH, gather
from qoqdata.pipeline.place import FolderPlace
from qoqdata.pipeline.planning import make_plan
from qoqdata.readers.limits import Limits
from qoqdata.records.identity import Salt, keyed
from qoqdata.records.rows import SCHEMA
from qoqdata.sources import catalogue
from qoqdata.sources.protocol import Job, Unit
from qoqdata.sources.unit_table import unit_table


@dataclass(frozen=True)
class Replay:
    """What a conversion of today gives: `differ` are the columns that are not byte for byte those
    of the set, `failure` why there is no record; `changed` are what was another one at the build,
    of code and card."""

    differ: tuple[str, ...]
    failure: str | None
    changed: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether the record came out as it is in the set."""
        return not self.differ and self.failure is None


def replay(
    dataset: Dataset,
    made: Lineage,
    raw: Path | str,
    salt: Salt,
    *,
    mounts: Mapping[str, Path] | None = None,
    mapping: Path | Mapping[str, Any] | None = None,
) -> Replay:
    """Plan the record's source below `raw`, a folder or URL, and convert its unit with the options
    of the build.

    `mounts` and `mapping` are those of the build, which the set does not hold. Raises UsageError
    for another salt, for a source that needs a mapping, and for raw files that cannot be opened;
    DatasetError where no unit has the record's files; what planning raises.
    """
    slug = str(made.record["source"])
    entry = dataset.manifest.sources[slug]
    if salt.fingerprint != dataset.manifest.salt_fingerprint:
        fix = "name the file of the salt that the set was built with: --salt-file"
        raise UsageError("was built with another salt", where=dataset.where, fix=fix)
    source = catalogue.find_source(entry.converter)
    own = dict(mapping) if isinstance(mapping, Mapping) else mapping
    request = SourceRequest(
        source=entry.converter,
        raw=raw,
        mounts=dict(mounts or {}),
        options=entry.options,
        mapping=own,
    )
    job = make_job(source, request, limits=Limits())
    changed = [("code", source.code_digest != entry.code_digest)]
    changed.append(("card", digest(job.card.model_dump(mode="json")) != entry.card_digest))
    found = None
    failure: str | None = None
    for unit in _units(dataset, made, job, entry, salt):
        split = made.record["split"]
        task = ChunkTask(
            Chunk(f"{split}-00000", split, unit_table([unit])),
            source,
            job,
            salt,
            entry.storage,
            FolderPlace(dataset.layout),
            common="",  # No receipt is written.
        )
        outcome = convert_unit(unit, task)
        if outcome.left_out is not None:
            failure = outcome.left_out["message"]
        found = next((row for row in outcome.rows if row["id"] == made.record["id"]), found)
    if found is None:
        failure = failure or "its unit gives no such record any more"
    differ = () if found is None else _differences(dataset, found)
    return Replay(
        differ, failure if found is None else None, tuple(name for name, is_so in changed if is_so)
    )


def _units(
    dataset: Dataset, made: Lineage, job: Job, entry: SourceEntry, salt: Salt
) -> Iterator[Unit]:
    """The units of today's plan that have the raw files of the record."""
    hashed = {entry.namespace: HASH} if entry.namespace and entry.patient_splits == HASH else {}
    lists = gather([job], hashed, dataset.layout, salt)
    listed = lists.get(entry.namespace or "")
    blocking = catalogue.blocking_cards(blocked_names(job.card))
    try:
        plan = make_plan(
            catalogue.find_source(entry.converter),
            job,
            limit=entry.limit,
            blocks=blocks_of(job.card, (*blocking, job.card)),
            listed=None if listed is None else listed.of,
        )
    except UnitStopped as stopped:
        what, fix = f"cannot be planned: {stopped.fault.message}", "see to its disk or mount"
        raise DatasetError(what, where=stopped.key, fix=fix) from stopped
    wanted = tuple(made.record["provenance"]["raw"])
    count = 0
    for unit in plan.units:
        files = unit.files
        if job.card.raw_paths == "keyed":
            files = tuple(keyed("path", job.card.slug, path, salt=salt) for path in files)
        if tuple(files) == wanted:
            count += 1
            yield unit
    if not count:
        what = f"the plan of {job.card.slug} has no unit of the files of record {made.record['id']}"
        fix = "name the raw folder that the set was built from"
        raise DatasetError(what, where=job.raw.origin, fix=fix)


def _differences(dataset: Dataset, row: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns of a row that are not those of the set, all bytes of images and signals too."""
    places = items.all_places(dataset.files).filter(pl.col("id") == row["id"])
    stored = next(items.read_records(dataset.files, dataset.manifest, places.select(items.COLUMNS)))
    then, now = (pl.DataFrame(pa.Table.from_pylist([one], schema=SCHEMA)) for one in (stored, row))
    # Polars takes NaN for equal to itself; Arrow does not.
    return tuple(name for name in then.columns if not then[name].equals(now[name], null_equal=True))
