"""The training questions of a data set, and whether its statistics still speak of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from qoqdata.errors import DatasetError, UsageError
from qoqtrain.drpo import DRPO
from qoqtrain.trainer.ranks import Ranks
from qoqtrain.trainer.settings import TrainSettings

if TYPE_CHECKING:
    from qoqdata.dataset import Dataset

#: The columns that prompts, truths and logs are made of.
COLUMNS = (
    *("id", "source", "domain", "modality", "task", "split", "images", "image_info", "ecg"),
    *("regions", "context", "question", "options", "answer", "labels", "reasoning"),
)


def train_records(dataset: Dataset) -> pl.DataFrame:
    """The kept training records, a light row each; raises UsageError when there are none."""
    kept = dataset.kept().filter(pl.col("split") == "train")
    if kept.height == 0:
        found = ", ".join(dataset.metadata()["split"].unique().sort().to_list())
        raise UsageError(
            f"has no training record to show (splits: {found})",
            where=str(dataset.root),
            fix="train on a data set with a train split; `qoqdata curate` tells what it dropped",
        )
    return kept


def ecg_ids(dataset: Dataset) -> list[str]:
    """Ids of the records that hold an ECG; signals stay on disk."""
    tables = []
    for path in dataset.paths:
        with pq.ParquetFile(path) as file:
            tables.append(file.read(columns=["id", "ecg.fs"]))
    frame = pl.DataFrame(pa.concat_tables(tables))
    held = frame.filter(pl.col("ecg").struct.field("fs").is_not_null())
    return held["id"].to_list()


def estimator(dataset: Dataset, settings: TrainSettings, records: pl.DataFrame) -> DRPO:
    """The DRPO estimator from the data set's statistics.

    Raises DatasetError, with the command that makes them, when there are none or they count other
    records than are there.
    """
    stats, key = dataset.stats, settings.drpo.domain_key
    table = stats.domains if key == "domain" else stats.sources
    counted = dict(table.select("key", "n_records").iter_rows())
    there = dict(records.group_by(key).len().iter_rows())
    if counted != there:
        name = next(n for n in sorted({*counted, *there}) if counted.get(n) != there.get(n))
        raise DatasetError(
            f"the statistics are stale: they count {counted.get(name, 0):,} training records of"
            f" the {key} {name}, there are {there.get(name, 0):,}",
            where=str(dataset.root),
            fix=f"qoqdata stats {dataset.root}",
        )
    return DRPO.from_stats(stats, key, settings.drpo.preset, **settings.drpo.settings)


def open_stream(
    dataset: Dataset, settings: TrainSettings, ranks: Ranks, *, ecg: Sequence[str] | None
) -> Any:
    """The endless stream of this rank's questions.

    `ecg` are the ids of ECG records, to take alone (alignment) or to leave out (no ECG branch).
    """
    from qoqdata.stream.mixing import Mix

    where = None
    if ecg is not None:
        held = pl.col("id").is_in(list(ecg))
        where = held if settings.stage == "align" else ~held
    try:
        mix = None if settings.mix is None else Mix(**settings.mix)
    except TypeError as error:
        raise UsageError(
            f"{error}", where="mix", fix="by, weights, temperature, max_repeats"
        ) from error
    return dataset.stream(
        "train",
        seed=settings.seed,
        mix=mix,
        where=where,
        columns=COLUMNS,
        images="bytes",
        rank=ranks.rank,
        world=ranks.world,
    )
