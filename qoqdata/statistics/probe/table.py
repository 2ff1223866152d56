"""The difficulty table of the probe."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from qoqdata.statistics.estimate import named, rows
from qoqdata.statistics.probe import LIMIT, POLICY, SCORER, features
from qoqdata.statistics.probe.answers import out_of_fold, rewards

if TYPE_CHECKING:
    from qoqdata.dataset import Dataset

_COLUMNS = ("id", "images", "image_info", "ecg", "context")
_PIXELS = 128 * 128


def probe_difficulty(
    dataset: Dataset, *, limit: int = LIMIT, told: Callable[[int, int], None] = lambda *_: None
) -> tuple[pl.DataFrame, list[str]]:
    """Rows of the difficulty table for training questions with options, and the tasks left out.

    At most `limit` questions of a source and task are probed, those with the lowest hashes of
    their ids. Folds are whole patients, or studies where no patient is known. A task whose
    questions all fall into one fold is left out. `told` hears of records read and their total.
    Raises as the stream of the data set.
    """
    asked = _asked(dataset, limit)
    read = 0
    parts, left_out = [], []
    for (source,), mine in asked.group_by(["source"], maintain_order=True):
        shown: dict[str, features.Features] = {}
        for name, found in _features(dataset, str(source), mine["id"].to_list()):
            shown[name] = found
            read += 1
            told(read, asked.height)
        for (task,), questions in mine.group_by(["task"], maintain_order=True):
            single = dataset.task_kinds.get((str(source), str(task))) == "single"
            scored = _scored(questions, shown, single=single)
            if scored is None:
                left_out.append(f"{source}, {task}")
            else:
                parts.append(scored)
    return rows(parts, policy=POLICY, scorer=SCORER), left_out


def _asked(dataset: Dataset, limit: int) -> pl.DataFrame:
    """The questions to probe, by source and task, with the group that a fold keeps together."""
    train = dataset.kept().filter((pl.col("split") == "train") & pl.col("options").is_not_null())
    drawn = [hashlib.sha256(name.encode()).hexdigest() for name in train["id"]]
    return (
        train.with_columns(drawn=pl.Series(drawn, dtype=pl.String))
        .with_columns(place=pl.col("drawn").rank("ordinal").over("source", "task"))
        .filter(pl.col("place") <= limit)
        .sort("source", "task", "id")
        .select("id", "source", "task", "options", "answer", group=pl.coalesce("patient", "study"))
    )


def _features(
    dataset: Dataset, source: str, ids: Sequence[str]
) -> Iterator[tuple[str, features.Features]]:
    """Id and features of each wanted record of a source."""
    from qoqdata.stream.decode import Budget

    stream = dataset.stream(
        "train",
        where=(pl.col("source") == source) & pl.col("id").is_in(list(ids)),
        columns=_COLUMNS,
        images="array",
        budget=Budget(min_pixels=28 * 28, max_pixels=_PIXELS, max_images=8),
        shuffle=False,
        epochs=1,
    )
    try:
        for record in stream:
            yield record["id"], features.of_record(record)
    finally:
        stream.close()


def _scored(
    questions: pl.DataFrame, shown: dict[str, features.Features], *, single: bool
) -> pl.DataFrame | None:
    seen = np.stack([shown[name] for name in questions["id"]])
    present = named(questions)
    scores = out_of_fold(seen, present, questions["group"].to_list())
    if scores is None:
        return None
    return pl.DataFrame({"id": questions["id"], "mean": rewards(scores, present, single=single)})
