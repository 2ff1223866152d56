"""The schema of manifest.json: what a data set on disk consists of."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from qoqdata.contract.storage import Storage
from qoqdata.contract.vocabulary import RECORD_DOMAINS, REDISTRIBUTION, SourceRole, Split

VERSION = 2

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Blake3 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


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


class Comparison(_Part):
    """What a build counts against what the card expects of a complete copy."""

    compared: int = Field(description="how many counts of the card were compared")
    differences: tuple[CountDifference, ...] = ()
    skipped: str | None = Field(None, description="why nothing was compared")


class SourceEntry(_Part):
    """One source of the data set."""

    converter: str
    version: int
    role: SourceRole = "training"
    domain: Literal[RECORD_DOMAINS]  # type: ignore[valid-type]
    licence: str
    redistribution: Literal[REDISTRIBUTION]  # type: ignore[valid-type]
    card_digest: Sha256
    code_digest: Sha256
    options: dict[str, Any]
    storage: Storage = Field(description="how its pixels are stored")
    limit: int | None
    shard_units: int | None = Field(None, description="null: the card's own")
    refused: str | None = Field(None, description="why planning refused the source as a whole")
    counts: Counts
    expected: Comparison | None = Field(None, description="null: the card expects no counts")
    blocked: dict[str, int] = Field(
        {}, description="units that a block list kept out of train, by the card that lists them"
    )
    ungrouped: int = Field(
        0, description="units without patient, study or group: their splits cannot be kept apart"
    )
    namespace: str | None = Field(None, description="of its patients, where it shares them")
    patient_splits: str | None = Field(
        None, description="the list of its namespace: a digest, or hash where the user chose so"
    )
    containers: dict[str, Blake3] = Field(
        {}, description="BLAKE3 of each container by raw path; none where raw paths are keyed"
    )


class Shard(_Part):
    """One Parquet file of records."""

    path: str
    source: str
    split: Split
    rows: int
    row_groups: tuple[int, ...] = Field(description="rows of each row group, in order")
    bytes: int
    sha256: Sha256


class MetadataFile(_Part):
    """One Parquet file of the records of a source without media, in the order of its shards."""

    path: str
    rows: int
    bytes: int
    sha256: Sha256


class Release(_Part):
    """What a published set says of itself. Its counts are those of the records that left."""

    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$", description="semantic version")]
    previous: Sha256 | None = Field(None, description="data digest of the release before")
    content: Sha256 | None = Field(None, description="over shards, recipes, cards, statistics")
    recipes: tuple[str, ...] = Field((), description="sources that left as recipe")
    withheld: dict[str, str] = Field({}, description="sources that did not leave, and why")
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
    sources: dict[str, SourceEntry]
    shards: tuple[Shard, ...]
    meta: dict[str, MetadataFile] = Field(description="by source, of each that has shards")
    release: Release | None = Field(None, description="null for a data set as built")
