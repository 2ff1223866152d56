"""The schema of manifest.json: what a data set on disk consists of.

A manifest may come from anyone, so every name in it that becomes a path is bounded here: files lie
where the layout puts them, and nowhere else.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from qoqdata.contract.card import Slug
from qoqdata.contract.storage import Storage
from qoqdata.contract.vocabulary import RECORD_DOMAINS, REDISTRIBUTION, SourceRole, Split

VERSION = 2

#: What became of a source, or of all: as asked; more in quarantine than allowed; no record.
Outcome = Literal["done", "findings", "failed"]
#: The share of a source's units that may be in quarantine where nobody says another.
MAX_QUARANTINE = 0.01

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Blake3 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Counts(_Part):
    """units = converted + quarantined + filtered, always.

    A unit all of whose questions are skipped is filtered.
    """

    units: int = Field(description="everything that planning discovered")
    converted: int
    quarantined: int
    filtered: int
    records: int
    annotation_only: int = Field(description="records that show the policy nothing")
    by_split: dict[str, int]
    skipped: dict[str, dict[str, int]] = Field(
        {}, description="questions that could not be asked of a unit, by task and reason"
    )


class CountDifference(_Part):
    """A count of the card that the build does not reach, or exceeds."""

    what: str = Field(description="units, records, patients or rows")
    split: Split | None = Field(None, description="null: of all splits")
    table: str | None = Field(None, description="whose rows; null for the other counts")
    expected: int
    found: int | None = Field(description="null for a table that is not there or cannot be read")

    @property
    def name(self) -> str:
        """What is counted, in words."""
        if self.table is not None:
            return f"rows of {self.table}"
        return self.what if self.split is None else f"{self.what}, {self.split}"


class Comparison(_Part):
    """What a build counts against what the card expects of a complete copy."""

    compared: int = Field(description="how many counts of the card were compared")
    differences: tuple[CountDifference, ...] = ()
    skipped: str | None = Field(None, description="why nothing was compared")


class SourceEntry(_Part):
    """One source of the data set."""

    converter: Slug
    version: int
    role: SourceRole = "training"
    domain: Literal[RECORD_DOMAINS]  # type: ignore[valid-type]
    licence: str
    redistribution: Literal[REDISTRIBUTION]  # type: ignore[valid-type]
    card_digest: Sha256
    code_digest: Sha256
    options: dict[str, Any]
    storage: Storage = Field(description="how its pixels are stored")
    limit: Annotated[int, Field(ge=1)] | None
    shard_units: Annotated[int, Field(ge=1)] | None = Field(
        None, description="null: the card's own"
    )
    refused: str | None = Field(None, description="why planning refused the source as a whole")
    counts: Counts
    max_quarantine: float = Field(
        MAX_QUARANTINE, ge=0, le=1, description="share of the units that may be in quarantine"
    )
    expected: Comparison | None = Field(None, description="null: the card expects no counts")
    blocked: dict[str, int] = Field(
        {}, description="units that a block list kept out of train, by the card that lists them"
    )
    ungrouped: int = Field(
        0, description="units without patient, study or group: their splits cannot be kept apart"
    )
    namespace: Slug | None = Field(None, description="of its patients, where it shares them")
    patient_splits: str | None = Field(
        None, description="the list of its namespace: a digest, or hash where the user chose so"
    )
    containers: dict[str, Blake3] = Field(
        {}, description="BLAKE3 of each container by raw path; none where raw paths are keyed"
    )

    @property
    def quarantined_share(self) -> float:
        """The share of the units that are in quarantine, 0 to 1."""
        return self.counts.quarantined / self.counts.units if self.counts.units else 0.0

    @property
    def failure(self) -> str | None:
        """Why the source failed as a whole: it was refused, or none of its units gave a record."""
        if self.refused is not None or self.counts.records:
            return self.refused
        return f"none of its {self.counts.units} units gave a record"

    @property
    def outcome(self) -> Outcome:
        """What the build of this source came to."""
        if self.failure is not None:
            return "failed"
        return "findings" if self.quarantined_share > self.max_quarantine else "done"


class Shard(_Part):
    """One Parquet file of records, in the folder of its source."""

    path: Annotated[str, Field(pattern=r"^data/[a-z][a-z0-9_]{1,63}/[A-Za-z0-9_-]+\.parquet$")]
    source: Slug
    split: Split
    rows: Count
    row_groups: tuple[Count, ...] = Field(description="rows of each row group, in order")
    bytes: Count
    sha256: Sha256

    @model_validator(mode="after")
    def _lies_with_its_source(self) -> Self:
        if self.path.split("/")[1] != self.source:
            raise ValueError(f"the shard {self.path} does not lie in data/{self.source}")
        return self


class MetadataFile(_Part):
    """One Parquet file of the records of a source without media, in the order of its shards."""

    path: Annotated[str, Field(pattern=r"^meta/[a-z][a-z0-9_]{1,63}\.parquet$")]
    rows: Count
    bytes: Count
    sha256: Sha256


class Release(_Part):
    """What a published set says of itself. Its counts are those of the records that left."""

    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$", description="semantic version")]
    previous: Sha256 | None = Field(None, description="data digest of the release before")
    content: Sha256 | None = Field(None, description="over shards, recipes, cards, statistics")
    recipes: tuple[Slug, ...] = Field((), description="sources that left as recipe")
    withheld: dict[Slug, str] = Field({}, description="sources that did not leave, and why")
    dropped: dict[str, int] = Field({}, description="records that curation left out, by rule")
    shared_images: int | None = Field(
        None, description="records that show an image of a later split; null: not compared"
    )


class Manifest(_Part):
    """Written last: a data set without it is unfinished."""

    name: str
    schema_version: int
    manifest_version: int = VERSION
    qoqdata_version: str
    config_digest: Sha256
    salt_fingerprint: str = Field(description="tells two sites' salts apart, reveals neither")
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="over all shard digests")]
    sources: dict[Slug, SourceEntry]
    shards: tuple[Shard, ...]
    meta: dict[Slug, MetadataFile] = Field(description="by source, of each that has shards")
    release: Release | None = Field(None, description="null for a data set as built")

    @model_validator(mode="after")
    def _each_file_once(self) -> Self:
        paths = [shard.path for shard in self.shards]
        if len(set(paths)) < len(paths):
            repeated = next(path for place, path in enumerate(paths) if path in paths[:place])
            raise ValueError(f"the shard {repeated} is listed twice")
        for source, file in self.meta.items():
            if file.path != f"meta/{source}.parquet":
                raise ValueError(f"the metadata of {source} do not lie in meta/{source}.parquet")
        return self

    @property
    def outcome(self) -> Outcome:
        """The worst outcome of its sources."""
        outcomes = {entry.outcome for entry in self.sources.values()}
        ranked: tuple[Outcome, ...] = ("failed", "findings")
        return next((outcome for outcome in ranked if outcome in outcomes), "done")
