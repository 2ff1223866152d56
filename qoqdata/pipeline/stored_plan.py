"""A plan on disk: units as a Parquet table, and all that whoever builds a part of it must know.

It names raw files and keys, so it lies in the folder of the build, which is its owner's alone.
`plan.json` is written last and bound to the other files by digest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from qoqdata.atomic import file_digest, replacing, write_json
from qoqdata.contract.vocabulary import Split
from qoqdata.errors import UnfinishedBuild, UsageError
from qoqdata.layout import Layout
from qoqdata.pipeline import raw_keys, receipts
from qoqdata.pipeline.chunks import Chunk
from qoqdata.pipeline.config import BuildConfig, BuildSetting, Overrides
from qoqdata.pipeline.jobs import mapping_of
from qoqdata.pipeline.place import Place
from qoqdata.pipeline.planning import SourcePlan
from qoqdata.pipeline.source_build import SourceBuild
from qoqdata.records.identity import Salt
from qoqdata.records.raw_keys import ENTRY
from qoqdata.sources.raw_stamps import Stamp
from qoqdata.sources.unit_table import COLUMNS, OLDEST, all_files, list_array
from qoqdata.version import VERSION

#: Of the files of a unit, in their order: bytes, and modification time in ns.
_SIZES, _TIMES = "sizes", "times"
#: Both, of a file that is not there.
_NOTHING = (-1, -1)
#: Of the table of units, a row group for each chunk.
_SCHEMA = pa.schema(
    [
        (name, pa.large_list(pa.large_string())) if name == "files" else (name, pa.large_string())
        for name in COLUMNS
    ]
    + [(name, pa.large_list(pa.int64())) for name in (_SIZES, _TIMES)]
)
_PLAN_AGAIN = "run `qoqdata plan` again; chunks that are unchanged stay"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PlannedChunk(_Part):
    """A chunk: so many units of the table, after those of the chunks before it."""

    name: str
    split: Split
    units: int
    fingerprint: str


class PlannedSource(_Part):
    """What the plan of a source gave, beside the table of its units.

    `inputs` are further files that planning looked at, with their stamps.
    """

    slug: str
    common: str
    chunks: tuple[PlannedChunk, ...]
    left_out: tuple[dict[str, Any], ...]
    blocked: dict[str, int]
    ungrouped: int
    refusal: str | None
    patient_splits: str | None
    inputs: dict[str, Stamp | None]


class PlanDocument(_Part):
    """plan.json. `digests` are those of the files beside it, by name."""

    qoqdata_version: str
    salt_fingerprint: str
    config: BuildConfig
    overrides: Overrides
    sources: tuple[str, ...]
    digests: dict[str, str]


@dataclass(frozen=True, eq=False)
class StoredPlan:
    """A plan that was read: `document`, and of each source what was planned.

    Tables of units are read as they are asked for: a plan of millions is more than a part needs.
    """

    place: Place
    document: PlanDocument
    sources: Mapping[str, PlannedSource]
    _text: bytes
    _open: dict[str, pq.ParquetFile] = field(default_factory=dict)

    @property
    def layout(self) -> Layout:
        """Where its files are on this machine."""
        return self.place.layout

    def in_turn(self) -> Iterator[tuple[str, int]]:
        """Source and place in it of all chunks, in the order in which parts take them."""
        for slug, source in self.sources.items():
            for place in range(len(source.chunks)):
                yield slug, place

    def chunk(self, slug: str, place: int) -> Chunk:
        """A chunk of a source: a row group of its table."""
        one = self.sources[slug].chunks[place]
        if (file := self._open.get(slug)) is None:
            file = self._open[slug] = pq.ParquetFile(self.layout.planned_units(slug))
        table = pl.from_arrow(file.read_row_group(place, use_threads=False))
        assert isinstance(table, pl.DataFrame)
        return Chunk(one.name, one.split, table)

    def chunks(self, slug: str, table: pl.DataFrame) -> tuple[Chunk, ...]:
        """All chunks of a source, of which `table` has the units."""
        chunks, begin = [], 0
        for one in self.sources[slug].chunks:
            chunks.append(Chunk(one.name, one.split, table.slice(begin, one.units)))
            begin += one.units
        return tuple(chunks)

    def table(self, slug: str) -> pl.DataFrame:
        """All units of a source."""
        return pl.read_parquet(self.layout.planned_units(slug))

    def keys(self, slug: str) -> np.ndarray:
        """The entries of the raw keys that planning a source found."""
        return np.fromfile(self.layout.planned_keys(slug), ENTRY)

    def is_replaced(self) -> bool:
        """Whether another plan, or none, is there now."""
        self.place.bring([self.layout.plan])
        try:
            return self.layout.plan.read_bytes() != self._text
        except FileNotFoundError:
            return True


def frozen_config(config: BuildConfig) -> BuildConfig:
    """The configuration as it is to be read anywhere: absolute paths, mappings by content."""
    requests = [
        request.model_copy(
            update={
                "raw": request.raw if isinstance(request.raw, str) else request.raw.absolute(),
                "inventory": request.inventory and request.inventory.absolute(),
                "mounts": {name: folder.absolute() for name, folder in request.mounts.items()},
                "mapping": None if (own := mapping_of(request)) is None else dict(own),
            }
        )
        for request in config.sources
    ]
    choices = {
        name: one.absolute() if isinstance(one, Path) else one
        for name, one in config.patient_splits.items()
    }
    return config.model_copy(update={"sources": tuple(requests), "patient_splits": choices})


def write_plan(
    builds: Iterable[SourceBuild], place: Place, config: BuildConfig, setting: BuildSetting
) -> None:
    """Write the plan of sources that were planned, with the stamps that their files have now."""
    builds, layout, digests = list(builds), place.layout, {}
    for build in builds:
        for path in _write_source(build, layout, setting.salt):
            digests[path.name] = file_digest(path)
    document = PlanDocument(
        qoqdata_version=VERSION,
        salt_fingerprint=setting.salt.fingerprint,
        config=frozen_config(config),
        overrides=setting.overrides,
        sources=tuple(build.slug for build in builds),
        digests=digests,
    )
    write_json(layout.plan, document.model_dump(mode="json"))
    place.keep_rest((), layout.plan)


def read_plan(place: Place, salt: Salt) -> StoredPlan:
    """The plan in the data set.

    Raises UsageError where there is none and for one of another salt or version of qoqdata, and
    UnfinishedBuild for one whose files are not those that were written.
    """
    layout, where = place.layout, place.where
    place.bring([layout.plan])
    try:
        text = layout.plan.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        fix = "plan it first: qoqdata plan SLUG --raw DIR --out SET"
        raise UsageError("holds no plan", where=where, fix=fix) from error
    try:
        document = PlanDocument.model_validate_json(text)
    except ValidationError as error:
        raise _damaged(layout.plan) from error
    if document.qoqdata_version != VERSION:
        what = f"was planned by qoqdata {document.qoqdata_version}, and this is {VERSION}"
        raise UsageError(what, where=where, fix="use the same version everywhere, or plan again")
    if document.salt_fingerprint != salt.fingerprint:
        fix = "name the same file with --salt-file"
        raise UsageError("was planned with another salt", where=where, fix=fix)
    place.bring(layout.plan.with_name(name) for name in document.digests)
    for name, expected in document.digests.items():
        path = layout.plan.with_name(name)
        if not path.is_file() or file_digest(path) != expected:
            raise _damaged(path)
    sources = {
        slug: PlannedSource.model_validate_json(layout.planned_source(slug).read_bytes())
        for slug in document.sources
    }
    return StoredPlan(place, document, sources, text)


def as_planned(build: SourceBuild, plan: StoredPlan, salt: Salt) -> None:
    """Have a build, which has not begun, stand as if its source was planned in this process, but
    for the units.

    Raises UsageError where converter or settings are not those that the plan is of.
    """
    planned = plan.sources[build.slug]
    build.patient_splits = planned.patient_splits
    build.refusal = planned.refusal
    build.common = planned.common
    if build.refusal is None:
        own = receipts.common_fingerprint(build.source, build.job, salt, build.storage)
        if own != planned.common:
            what = f"{build.slug} was planned with another converter, card or settings"
            fix = f"install the same everywhere, or {_PLAN_AGAIN}"
            raise UsageError(what, where=plan.place.where, fix=fix)


def with_units(build: SourceBuild, plan: StoredPlan) -> None:
    """Give a build that is `as_planned` all units of its source, and what planning left out."""
    planned, table = plan.sources[build.slug], plan.table(build.slug)
    build.plan = SourcePlan(table, planned.left_out, planned.blocked, planned.ungrouped)
    build.plan_keys = plan.keys(build.slug)
    build.chunks = plan.chunks(build.slug, table)


def changed_input(build: SourceBuild, planned: PlannedSource) -> str | None:
    """The first file that planning looked at, beside those of units, and that is another now."""
    now = build.job.raw.stamps(list(planned.inputs))
    pairs = zip(planned.inputs.items(), now, strict=True)
    return next((path for (path, then), stamp in pairs if stamp != then), None)


def changed_file(build: SourceBuild, chunk: Chunk) -> str | None:
    """The first file of a chunk's units that is another now than it was when it was planned."""
    files = all_files(chunk.table).to_list()
    now = map(_numbers, build.job.raw.stamps(files))
    then = zip(*(_flat(chunk.table, name) for name in (_SIZES, _TIMES)), strict=True)
    both = zip(files, now, then, strict=True)
    return next((path for path, stamp, before in both if stamp != before), None)


def _write_source(build: SourceBuild, layout: Layout, salt: Salt) -> tuple[Path, Path, Path]:
    """Write the three files of a source."""
    slug, plan = build.slug, build.planned
    paths = layout.planned_units(slug), layout.planned_source(slug), layout.planned_keys(slug)
    settings = {"compression": "zstd", "write_statistics": False}
    with (
        replacing(paths[0]) as draft,
        pq.ParquetWriter(draft, _SCHEMA, **settings) as writer,
    ):
        chunks = [_write_chunk(chunk, build, writer) for chunk in build.chunks]
    planned = PlannedSource(
        slug=slug,
        common=build.common,
        chunks=tuple(chunks),
        left_out=build.plan.left_out,
        blocked=dict(plan.blocked),
        ungrouped=plan.ungrouped,
        refusal=build.refusal,
        patient_splits=build.patient_splits,
        inputs=dict(plan.inputs),
    )
    write_json(paths[1], planned.model_dump(mode="json"))
    entries = raw_keys.plan_keys(plan, plan.identifiers, build.job.card, salt)
    raw_keys.write_raw_keys(paths[2], entries, ())
    return paths


def _write_chunk(chunk: Chunk, build: SourceBuild, writer: pq.ParquetWriter) -> PlannedChunk:
    """Write a chunk as a row group, with the stamps of its files."""
    table, raw = chunk.table, build.job.raw
    stamps = raw.stamps(all_files(table).to_list())
    fingerprint = receipts.fingerprint(build.common, chunk, raw, [tuple(stamps)])
    lengths = table["files"].list.len().to_list()
    numbers = np.array(list(map(_numbers, stamps)), np.int64).reshape(-1, 2)
    columns = table.select(*COLUMNS).to_arrow(compat_level=OLDEST)
    for place, name in enumerate((_SIZES, _TIMES)):
        values = pl.Series(numbers[:, place]).to_arrow()
        columns = columns.append_column(name, list_array(values, lengths))
    writer.write_table(columns.cast(_SCHEMA), row_group_size=max(1, table.height))
    units = table.height
    return PlannedChunk(name=chunk.name, split=chunk.split, units=units, fingerprint=fingerprint)


def _numbers(stamp: Stamp | None) -> Stamp:
    return stamp or _NOTHING


def _flat(table: pl.DataFrame, column: str) -> list[int]:
    return table[column].explode(empty_as_null=False).to_list()


def _damaged(path: Path) -> UnfinishedBuild:
    return UnfinishedBuild("is not what `qoqdata plan` wrote", where=str(path), fix=_PLAN_AGAIN)
