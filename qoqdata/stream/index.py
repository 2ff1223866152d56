"""The index of a stream: one light row a record, with its place in the shards."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import polars as pl
import pyarrow as pa

from qoqdata.concepts import VIEWS, with_concepts
from qoqdata.contract.manifest import Manifest
from qoqdata.contract.record import RECORD
from qoqdata.errors import DatasetError, UsageError
from qoqdata.remote.files import Files, LocalFiles
from qoqdata.roles import for_training
from qoqdata.statistics.difficulty import choose
from qoqdata.stream.order import RecordPlaces
from qoqdata.stream.settings import StreamSettings
from qoqdata.verdicts import without_dropped

#: Characters of text that count as a token. Byte-pair vocabularies of about 150,000 entries take
#: three to five characters of clinical English a token, so this estimate is on the high side.
CHARACTERS_A_TOKEN = 3

#: Names of difficulties: without a success rate, below 1/3, below 2/3, above.
LEVELS = ("", "hard", "middle", "easy")

_LEAVES = (
    "id",
    "source",
    "domain",
    "image_info.list.element.width",
    "image_info.list.element.height",
    "ecg.fs",
    "context",
)
#: What mixes look at, where they do.
_MIXED = ("labels", "concepts", "study", "task", "difficulty", "level")
_MEDIA = ("images", "masks", "ecg")
_PLACE = ("shard", "row_group", "row")
_DERIVED = ("n_images", "pixels", "text_tokens")


@dataclass(frozen=True)
class Index:
    """The records of a stream in manifest order.

    `frame`: id, source, domain, labels, concepts, study and task (where asked for), pixels, and the
    place: `shard` (number in the manifest), `row_group` (in the shard), `row` (in the row group).
    """

    frame: pl.DataFrame
    paths: tuple[str, ...]
    #: Records of evaluation sources that training does without, by source.
    left_out: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.frame.height

    @cached_property
    def groups(self) -> RecordPlaces:
        """The row group of each record, numbered over all shards."""
        shard = self.frame["shard"].to_numpy().astype(np.int64)
        group = self.frame["row_group"].to_numpy().astype(np.int64)
        return RecordPlaces((shard << 32) | group, shard)

    @cached_property
    def row(self) -> np.ndarray:
        """The row of each record in its row group, int64."""
        return self.frame["row"].to_numpy().astype(np.int64)

    @cached_property
    def pixels(self) -> np.ndarray:
        """Width x height summed over the stored images of each record, int64."""
        return self.frame["pixels"].to_numpy().astype(np.int64)

    @cached_property
    def fingerprint(self) -> str:
        """Tells two selections of records apart: other filters, verdicts, shards, difficulties."""
        # By NumPy alone: worker processes ask for it, and polars does not survive a fork.
        names = [*_PLACE, *(("level",) if "level" in self.frame.columns else ())]
        place = np.stack([self.frame[name].to_numpy() for name in names], axis=1).astype("<i4")
        return hashlib.sha256(place.tobytes()).hexdigest()[:16]

    def place(self, record: int) -> tuple[str, int, int]:
        """Shard path, row group and row of a record."""
        shard, group, row = self.frame.select(_PLACE).row(record)
        return self.paths[shard], group, row


def build(files: Files, manifest: Manifest, settings: StreamSettings) -> Index:
    """Read the metadata of a data set and select the records of a stream.

    Left out: other splits, annotation-only records, records that curation dropped, what `where`,
    `max_pixels` and `max_tokens` refuse and, for training, records of evaluation sources. A run
    that stops at the first fault looks for shards in a folder that are lost or cut; what is inside
    is seen when it is read.

    Raises DatasetError when no record is left, when metadata cannot be read or a shard is not the
    manifest's; UsageError for a filter over unknown columns or over images and signals, and where
    training would be on evaluation sources alone.
    """
    if not manifest.shards:
        raise DatasetError("holds no record", where=files.origin(), fix="see its quarantine")
    extra = _extra(settings)
    columns = [*_LEAVES, *(leaf for name in extra for leaf in _LEAVES_OF.get(name, (name,)))]
    if settings.on_bad == "stop" and isinstance(files, LocalFiles):
        _require_shards(files, manifest)
    table = files.leaves(list(dict.fromkeys(columns)))
    splits = pl.Series([shard.split for shard in manifest.shards])
    frame = _derived(_placed(table), settings)
    if settings.concepts is not None and set(VIEWS) <= set(frame.columns):
        frame = with_concepts(frame, settings.concepts)
    frame = frame.with_columns(split=splits.gather(frame["shard"]))
    frame = frame.filter(pl.col("split") == settings.split)
    frame = without_dropped(frame.filter("shows"), files.layout("curation"))
    frame = _filtered(frame, settings)
    left_out: dict[str, int] = {}
    if settings.purpose == "training":
        frame, left_out = for_training(frame, manifest, where=files.origin())
    if frame.height == 0:
        what = f"holds no record of {settings.split} for this stream"
        raise DatasetError(what, where=files.origin(), fix="see its verdicts and the filters")
    if settings.mix is not None and "difficulty" in settings.mix.levels:
        frame = with_difficulty(frame, files, settings.mix.policy)
    light = ["id", "source", "domain", "pixels", *_PLACE]
    light += [name for name in _MIXED if name in frame.columns]
    return Index(frame.select(light).rechunk(), tuple(s.path for s in manifest.shards), left_out)


def with_difficulty(frame: pl.DataFrame, files: Files, policy: str | None) -> pl.DataFrame:
    """The records with their `difficulty`, "" to "easy", and its number in LEVELS (`level`).

    Raises UsageError without a difficulty table, and where the choice of a policy is open.
    """
    table = choose(files.layout("difficulty"), policy)
    if table is None:
        fix = "run `qoqdata difficulty` first, or leave difficulty out of the mix"
        raise UsageError("the set has no success rates to mix by", where="mix.by", fix=fix)
    rate = pl.col("success_rate")
    level = (
        pl.when(rate.is_null())
        .then(0)
        .when(rate < 1 / 3)
        .then(1)
        .when(rate < 2 / 3)
        .then(2)
        .otherwise(3)
    )
    rates = table.select("id", "success_rate")
    known = frame.join(rates, on="id", how="left", maintain_order="left")
    names = pl.col("level").replace_strict(range(len(LEVELS)), LEVELS, return_dtype=pl.String)
    return known.with_columns(level=level.cast(pl.Int32)).with_columns(difficulty=names)


def _require_shards(files: LocalFiles, manifest: Manifest) -> None:
    for shard in manifest.shards:
        path = files.local(shard)
        size = path.stat().st_size if path.is_file() else None
        if size != shard.bytes:
            what = "is missing" if size is None else f"{size} bytes, {shard.bytes} by the manifest"
            raise DatasetError(what, where=str(path), fix="run `qoqdata validate`")


#: How Parquet names the leaves of columns that are not a leaf themselves.
_LEAVES_OF = {
    field.name: (f"{field.name}.list.element",)
    for field in RECORD.fields
    if field.name in ("options", "labels", "uncertain", "absent")
}


def _extra(settings: StreamSettings) -> list[str]:
    """Record columns beyond the light ones that filters and the mix look at."""
    names: set[str] = set()
    if settings.mix is not None:
        levels = settings.mix.levels
        names |= {"labels"} if "label" in levels else set()
        names |= {"task"} if "task" in levels else set()
        names |= {"study"} if settings.mix.weights in ("rarity", "target") else set()
        names |= set(VIEWS) if "concept" in levels else set()
    if settings.where is not None:
        names |= set(settings.where.meta.root_names()) - set(_DERIVED)
        if views := names & set(VIEWS.values()):
            if settings.concepts is None:
                fix = "name a table of concepts, as in harmonise='findings'"
                raise UsageError(f"{min(views)!r} needs one", where="where", fix=fix)
            names = names - views | set(VIEWS)
    for name in sorted(names):
        if name not in RECORD.names or name in _MEDIA:
            light = sorted({*RECORD.names, *_DERIVED} - set(_MEDIA))
            fix = f"filter by {', '.join(light)}"
            raise UsageError(f"{name!r} is no light column", where="where", fix=fix)
    if settings.max_tokens is not None or _mentions(settings.where, "text_tokens"):
        names |= {"question", "options"}
    # `split` is the manifest's, and the light leaves are read anyway.
    return sorted(names - {"id", "source", "domain", "context", "split"})


def _mentions(where: pl.Expr | None, name: str) -> bool:
    return where is not None and name in where.meta.root_names()


def _placed(table: pa.Table) -> pl.DataFrame:
    frame = pl.DataFrame(table)
    return frame.with_columns(row=pl.int_range(pl.len(), dtype=pl.Int32).over("shard", "row_group"))


def _derived(frame: pl.DataFrame, settings: StreamSettings) -> pl.DataFrame:
    size = pl.element().struct
    area = size.field("width").cast(pl.Int64) * size.field("height")
    has_ecg = pl.col("ecg").struct.field("fs").is_not_null()
    n_images = pl.col("image_info").list.len().fill_null(0).cast(pl.Int64)
    frame = frame.with_columns(
        n_images=n_images,
        pixels=pl.col("image_info").list.eval(area).list.sum().fill_null(0),
        shows=(n_images > 0) | has_ecg | pl.col("context").is_not_null(),
    )
    if "question" in frame.columns and "options" in frame.columns:
        options = pl.col("options").list.eval(pl.element().str.len_chars()).list.sum()
        text = pl.col("context").str.len_chars().fill_null(0) + pl.col("question").str.len_chars()
        characters = text + options.fill_null(0)
        tokens = (characters + CHARACTERS_A_TOKEN - 1) // CHARACTERS_A_TOKEN
        frame = frame.with_columns(text_tokens=tokens.cast(pl.Int64))
    return frame


def _filtered(frame: pl.DataFrame, settings: StreamSettings) -> pl.DataFrame:
    if settings.max_pixels is not None:
        frame = frame.filter(pl.col("pixels") <= settings.max_pixels)
    if settings.max_tokens is not None:
        frame = frame.filter(pl.col("text_tokens") <= settings.max_tokens)
    if settings.where is not None:
        try:
            frame = frame.filter(settings.where)
        except pl.exceptions.PolarsError as error:
            what = f"is no filter: {str(error).splitlines()[0]}"
            raise UsageError(what, where="where") from error
    return frame
