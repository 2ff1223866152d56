"""A data set on disk or behind a URL, opened for reading."""

from __future__ import annotations

import glob
import operator
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

import numpy as np
import polars as pl

from qoqdata import items, notebook, roles
from qoqdata.atomic import digest
from qoqdata.concepts import ConceptTable, known_labels, read_concepts, refuse_unknown_labels
from qoqdata.contract.card import Card
from qoqdata.contract.manifest import Manifest
from qoqdata.errors import DatasetError, FailedSourceWarning, QoqdataError, UsageError
from qoqdata.json_document import document_bytes, parse_json
from qoqdata.layout import Layout
from qoqdata.light import COLUMNS, light_records
from qoqdata.remote.files import Files, LocalFiles
from qoqdata.remote.opening import open_files
from qoqdata.sources.card import parse_card
from qoqdata.statistics.tables import Stats, current
from qoqdata.verdicts import dropped, without_dropped

if TYPE_CHECKING:
    from datasets import DatasetDict

    from qoqdata.stream import Mix, Stream
    from qoqdata.stream.settings import Purpose


@dataclass(frozen=True, repr=False)
class Dataset:
    """A finished data set: its folder, its manifest and its files.

    `ds[i]` is the i-th record that curation keeps, in manifest order over all splits, as a plain
    dictionary; `ds[i:j]` is a list of them, `len(ds)` their number, and `for record in ds` reads
    them one after another. Annotation-only records count here; `kept` leaves them out.

    Behind a URL, `root` is the folder in the cache that holds the parts that are no shards, and
    shards are reached through `files` alone.
    """

    root: Path
    manifest: Manifest
    files: Files = field(compare=False)

    def __repr__(self) -> str:
        return notebook.as_line(self)

    def _repr_html_(self) -> str:
        return notebook.as_html(self)

    def __dir__(self) -> list[str]:
        """The public names, for tab completion."""
        return sorted(name for name in object.__dir__(self) if not name.startswith("_"))

    def __len__(self) -> int:
        return self._places.height

    @overload
    def __getitem__(self, index: SupportsIndex) -> dict[str, Any]: ...

    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...

    def __getitem__(self, index: SupportsIndex | slice) -> dict[str, Any] | list[dict[str, Any]]:
        """The record of a number, from the end when it is negative, or the list of a slice.

        Reads the row groups that hold them and no others; behind a URL it fetches their shards.
        Raises IndexError beyond the records, DatasetError when a shard cannot be read.
        """
        places = self._places
        if isinstance(index, slice):
            numbers = np.arange(*index.indices(places.height))
            return list(items.read_records(self.files, self.manifest, places[numbers]))
        number = operator.index(index)
        if not -places.height <= number < places.height:
            raise IndexError(f"there is no record {number} among {places.height} kept ones")
        one = places.slice(number % places.height, 1)
        return next(items.read_records(self.files, self.manifest, one))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return items.read_records(self.files, self.manifest, self._places)

    @property
    def _places(self) -> pl.DataFrame:
        """Where the kept records lie; looked up again when the verdicts have changed."""
        verdicts = self.files.layout("curation").verdicts
        state = verdicts.stat() if verdicts.is_file() else None
        version = state and (state.st_ino, state.st_size, state.st_mtime_ns)
        if self.__dict__.get("_places_of", ())[:1] != (version,):
            # The class is frozen; its dictionary holds what is derived, as of a cached_property.
            self.__dict__["_places_of"] = (version, items.kept_places(self.files, self.manifest))
        places: pl.DataFrame = self.__dict__["_places_of"][1]
        return places

    @property
    def in_folder(self) -> bool:
        """Whether it lies in a folder of this machine, where curation and statistics can write."""
        return isinstance(self.files, LocalFiles)

    @property
    def where(self) -> str:
        """Its folder or URL, for messages."""
        return self.files.origin()

    @property
    def layout(self) -> Layout:
        """Where its parts are; behind a URL they are brought up to date at the first use."""
        return self.files.layout()

    @property
    def paths(self) -> list[Path]:
        """Its shards, in manifest order; behind a URL all are fetched, and kept while it is open.

        Raises DatasetError when they do not fit the cache together.
        """
        return [self.files.local(shard) for shard in self.manifest.shards]

    @property
    def records(self) -> pl.LazyFrame:
        """The kept records of all splits in manifest order, lazily; columns as in
        `qoqdata.contract.record`.

        Behind a URL, shards are fetched one after another while a query runs.
        """
        self.check_some()
        records = self.files.records()
        lost = dropped(self.files.layout("curation"))["id"]
        return records.filter(~pl.col("id").is_in(lost.implode())) if lost.len() else records

    @property
    def stats(self) -> Stats:
        """The statistics tables, of what is there now.

        Raises DatasetError when `qoqdata stats` has not run, or an earlier version of it, or over
        other records, verdicts or success rates.
        """
        layout = self.files.layout("stats", "curation", "difficulty")
        try:
            return current(Stats.read(layout), self.manifest, layout)
        except DatasetError as error:
            if self.in_folder:
                raise
            fix = "run `qoqdata stats` where the data set was built and publish it again"
            raise DatasetError(error.what, where=self.files.origin("stats"), fix=fix) from error

    @cached_property
    def cards(self) -> dict[str, Card]:
        """The cards as built, by source; raises DatasetError for one that is lost or altered.

        A release also has the cards of the sources that left as recipe.
        """
        layout, release = self.files.layout("cards"), self.manifest.release
        digests = {slug: entry.card_digest for slug, entry in self.manifest.sources.items()}
        return {
            slug: _card(
                layout.card(slug), digests.get(slug), where=self.files.origin(f"cards/{slug}.json")
            )
            for slug in (*digests, *(release.recipes if release else ()))
        }

    def metadata(self, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """One light row a record: keys, split, labels, `n_images`, and whether it `shows` anything.

        `shows` is false for annotation-only records, which training leaves out. `columns` are those
        that are read, of `qoqdata.light.COLUMNS`: of millions of records, ask for few.
        """
        self.check_some()
        return light_records(self.files, self.manifest, columns)

    def kept(self, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """`metadata` without the records that curation dropped and without annotation-only ones."""
        names = COLUMNS if columns is None else columns
        light = self.metadata(list(dict.fromkeys([*names, "id", "shows"]))).filter("shows")
        return without_dropped(light, self.files.layout("curation")).select(names)

    def for_training(self, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """`kept` without the records of evaluation sources, which are never trained on.

        Raises UsageError where no others are there.
        """
        names = COLUMNS if columns is None else columns
        light = self.kept(list(dict.fromkeys([*names, "source"])))
        return roles.for_training(light, self.manifest, where=self.where)[0].select(names)

    def concepts(self, table: str | Path) -> ConceptTable:
        """The table of concepts of a name or file (see `qoqdata.concepts`).

        Raises UsageError, which names file and line, for one that is at fault or names a label that
        a source of this data set does not have.
        """
        found = read_concepts(table)
        refuse_unknown_labels(found, known_labels(self.metadata(), self.cards))
        return found

    def refuse_unknown(
        self,
        ids: Iterable[str],
        *,
        of: str,
        where: str | None = None,
        error: type[QoqdataError] = DatasetError,
    ) -> None:
        """Raise `error` where one of the different `ids` is no record's.

        `of` is what they are ids of, as in "rollout"; `where` is by default this data set.
        """
        self.check_some()
        request = pl.DataFrame({"id": list(ids)}, schema={"id": pl.String})
        records = pl.DataFrame(self.files.leaves(["id"]))
        unknown = request.join(records, on="id", how="anti")["id"].sort()
        if unknown.len():
            count = f"{unknown.len()} of {request.height}"
            raise error(
                f"{count} {of} ids are not in the data set, such as {unknown[0]}",
                where=where or self.where,
                fix="ids are in the column id of its records, and in `qoqdata view`"
                if of == "record"
                else f"use the {of}s of this data set",
            )

    def check_some(self) -> None:
        """Raise DatasetError where no source gave a record."""
        if not self.manifest.shards:
            raise DatasetError("holds no record", where=self.where, fix="see its quarantine")

    def stream(
        self,
        split: str = "train",
        *,
        mix: Mix | str | None = None,
        harmonise: str | Path | None = None,
        columns: Sequence[str] | None = None,
        bad_log: str | Path | None = None,
        **settings: Any,
    ) -> Stream:
        """Records of a split in an exact order, for training.

        Records of evaluation sources are left out, logged and counted (`Stream.left_out`);
        `purpose="evaluation"` takes them too.

        `mix`: a `qoqdata.stream.Mix`, or "domain", "source", "label" or "concept" and a rule, as in
        "domain:uniform". `harmonise`: name or file of a table of concepts (see `qoqdata.concepts`),
        by which `where` and `mix` know concepts. `columns`: those of a record, None for all.
        `settings` are the fields of `qoqdata.stream.StreamSettings`: purpose, seed, shuffle,
        where, max_pixels, max_tokens, images, budget, workers, on_bad, rank, world, epochs and
        others.

        Raises UsageError for settings that cannot be met and for a data set of evaluation sources
        only, DatasetError when no record is left, when
        a shard cannot be read, or when statistics are asked for that are not there.
        """
        from qoqdata.stream import mixing
        from qoqdata.stream.settings import parse_stream_settings
        from qoqdata.stream.stream import open_stream

        mix = mixing.parse_mix(mix)
        named = mixing.table_of(mix, harmonise)
        request = parse_stream_settings(
            settings,
            split=split,
            mix=mix,
            concepts=None if named is None else self.concepts(named),
            columns=None if columns is None else tuple(columns),
            bad_log=None if bad_log is None else Path(bad_log),
        )
        return open_stream(self.files, self.manifest, lambda: self.stats, request)

    def to_hf(self, *, purpose: Purpose = "training") -> DatasetDict:
        """The kept records as a Hugging Face DatasetDict by split, images as PIL images.

        For training it has no records of evaluation sources; raises UsageError where no others are
        there. `purpose="evaluation"` has all.
        """
        from datasets import DatasetDict, load_dataset

        self.check_some()
        files: dict[str, list[str]] = {}
        shards = self.manifest.shards
        if purpose == "training":
            benchmarks = roles.evaluation_sources(self.manifest)
            shards = tuple(shard for shard in shards if shard.source not in benchmarks)
            if not shards:
                raise roles.training_refusal(benchmarks, where=self.where)
        for shard in shards:
            path = self.files.local(shard)
            # Hugging Face takes paths for patterns.
            files.setdefault(shard.split, []).append(glob.escape(str(path)))
        kept = dict(self._kept_rows({shard.path for shard in shards}))
        loaded = load_dataset("parquet", data_files=files)
        assert isinstance(loaded, DatasetDict)
        return DatasetDict({split: rows.select(kept[split]) for split, rows in loaded.items()})

    def _kept_rows(self, paths: Collection[str]) -> Iterator[tuple[str, list[int]]]:
        """By split, which of the rows of the shards `paths`, one after another, are kept."""
        lost = set(dropped(self.files.layout("curation"))["id"])
        ids = pl.DataFrame(self.files.leaves(["id"]))
        for split in dict.fromkeys(shard.split for shard in self.manifest.shards):
            own = [
                number
                for number, shard in enumerate(self.manifest.shards)
                if shard.split == split and shard.path in paths
            ]
            rows = ids.filter(pl.col("shard").is_in(own))["id"]
            yield split, [place for place, id_ in enumerate(rows) if id_ not in lost]


def _card(path: Path, wanted: str | None, *, where: str) -> Card:
    fix = "build its source again, or fetch the data set anew"
    try:
        content = parse_json(document_bytes(path))
        card = parse_card(content, where=where)
    except (OSError, ValueError, UsageError) as error:
        raise DatasetError("holds no card as built", where=where, fix=fix) from error
    # Gates decide by what cards say, so one that was edited since says nothing.
    if wanted is not None and digest(content) != wanted:
        raise DatasetError("differs from its digest in the manifest", where=where, fix=fix)
    return card


def open_dataset(
    root: str | Path,
    *,
    cache: str | Path | None = None,
    cache_bytes: int | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> Dataset:
    """Open the data set at `root`: a folder, or any fsspec URL (s3://, gs://, hf://, https://).

    Behind a URL, files come when they are needed, through the folder `cache` of at most
    `cache_bytes` (else QOQDATA_CACHE and QOQDATA_CACHE_BYTES, else ~/.cache/qoqdata and 50 GB);
    every shard is checked against the manifest. `storage_options` go to the fsspec file system.

    A FailedSourceWarning tells of each source that failed as a whole. Raises DatasetError when
    there is no data set, when its build has not finished, when its store
    stays out of reach or when its schema version is another one; UsageError for a URL that nothing
    can read, for credentials that lack and for a cache size that is none.
    """
    files, manifest = open_files(
        root, cache=cache, cache_bytes=cache_bytes, storage_options=storage_options
    )
    for slug, entry in manifest.sources.items():
        if entry.failure is not None:
            what = f"{files.origin()}: the source {slug} failed as a whole: {entry.failure}"
            warnings.warn(what, FailedSourceWarning, stacklevel=2)
    return Dataset(files.root, manifest, files)
